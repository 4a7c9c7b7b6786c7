"""The front of equations, and how it shows itself."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.discovery.physics import Physics, Written
from hybridwater.discovery.selection import LEAST_EXPLAINED
from hybridwater.ude.terms import Equation
from hybridwater.ude.text import expression_as_latex, name_as_latex

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.training import Surrogate

_RIVALS = "Rivals, which the term cannot tell from these"


@dataclass(frozen=True, eq=False)
class Proposal:
    """One equation of a front.

    Parameters
    ----------
    equation : Equation
        With its parameters; their defaults are the fitted constants.
    complexity : int
        Operations and fitted constants.
    operations : int
        Sums, products, powers and functions.
    explained : float
        Share of the term's variance on held-out time that it explains.
    form : str
        Its forms in words, for example ``capped(soil) proportional(pet)``.
    values : numpy.ndarray
        Its values at the samples, shape (sample,).
    """

    equation: Equation
    complexity: int
    operations: int
    explained: float
    form: str
    values: np.ndarray = field(repr=False)

    def _repr_latex_(self) -> str:
        return self.equation._repr_latex_()


@dataclass(frozen=True, eq=False)
class Front:
    """Equations that no simpler one beats, in order of complexity.

    As a sequence it is these equations; :meth:`proposal` also knows its rivals by their numbers.

    Parameters
    ----------
    term, unit : str
        Name and unit of the term.
    proposals : tuple of Proposal
        The equations.
    chosen : int or None
        Number of the recommended one.
    why : str
        Why that one is recommended, or none; see :mod:`hybridwater.discovery.selection`.
    noise : float
        Disagreement of the fits as a share of the term's variance; zero for a single fit.
    samples : xarray.Dataset
        The samples, as :func:`hybridwater.discovery.sample_term` gives them.
    notes : tuple of str
        What else there is to say, in sentences.
    rivals : tuple of Proposal
        Equations beside the front that the term cannot tell from it: as good, to within the
        tolerance, as a simpler one, or one of the same complexity. Their numbers follow those of
        the front.
    physics : Physics, optional
        What the term must respect.
    """

    term: str
    unit: str
    proposals: tuple[Proposal, ...]
    chosen: int | None
    why: str
    noise: float
    samples: xr.Dataset
    notes: tuple[str, ...] = ()
    rivals: tuple[Proposal, ...] = ()
    physics: Physics | None = None

    def __len__(self) -> int:
        return len(self.proposals)

    def __iter__(self) -> Iterator[Equation]:
        return (proposal.equation for proposal in self.proposals)

    def __getitem__(self, number: int) -> Equation:
        return self.proposals[number].equation

    def proposal(self, number: int) -> Proposal:
        """Return one of the front, or of its rivals, by its number."""
        return self._every[number]

    @property
    def _every(self) -> tuple[Proposal, ...]:
        return (*self.proposals, *self.rivals)

    @property
    def recommended(self) -> Equation | None:
        """The recommended equation; ``None`` if there is none."""
        return None if self.chosen is None else self[self.chosen]

    def shortlist(self, count: int) -> list[int]:
        """Return the numbers of the simplest equations that explain half of the term or more.

        A network that has followed the noise of its data is a poor witness: the law may be well
        behind an equation that follows the network. So little is asked here; the data choose.

        Parameters
        ----------
        count : int
            How many, rivals of the front included; the recommended one is among them.
        """
        every = self._every
        order = sorted(range(len(every)), key=lambda k: every[k].complexity)
        good = [
            k for k in order if every[k].explained >= LEAST_EXPLAINED and _varies(every[k].equation)
        ]
        good = good[:count]
        if self.chosen is not None and self.chosen not in good:
            good = [*good[: count - 1], self.chosen]
        return sorted(good)

    def broken(self, fit: Surrogate) -> str:
        """Say what the equation of the term in a fit breaks; empty if nothing.

        Every equation of the front keeps sign, bounds and monotone effects of the network. The
        constants of one that is fitted again move, and it may not.

        Parameters
        ----------
        fit : Surrogate
            Of a model in which an equation takes the place of the network.

        Returns
        -------
        str
            Such as ``"negative"``, with the basin where there is more than one. Empty, too, if the
            term depends on more than the inputs of the network, so that it cannot be asked.
        """
        if self.physics is None:
            return ""
        fixed = {c.name: c.value for c in fit.ude.constants}
        numbers = [
            fixed | {name: float(values[row]) for name, values in fit.parameters.items()}
            for row in range(len(fit.basins))
        ]
        for basin, written in zip(
            fit.basins, Written.of(fit.ude, self.physics.network, numbers), strict=False
        ):
            if why := self.physics.broken(written):
                return why if len(numbers) == 1 else f"{why} in basin {basin}"
        return ""

    def table(self) -> pd.DataFrame:
        """Return the front and its rivals as a table: one row per equation, by its number."""
        import pandas as pd

        every = self._every
        rows = {
            "equation": [str(p.equation) for p in every],
            "complexity": [p.complexity for p in every],
            "operations": [p.operations for p in every],
            "explained": [p.explained for p in every],
            "recommended": [k == self.chosen for k in range(len(every))],
            "rival": [k >= len(self) for k in range(len(every))],
        }
        return pd.DataFrame(rows).rename_axis("number")

    def __repr__(self) -> str:
        return f"<Front of {len(self)} equations for '{self.term}': {self.why}>"

    def __str__(self) -> str:
        lines = [f"Equations for {self.term} [{self.unit}]"]
        lines.append(f"     {'complexity':>10} {'explained':>10}  equation")
        for k, p in enumerate(self._every):
            if k == len(self):
                lines.append(f"{_RIVALS}:")
            mark = "*" if k == self.chosen else " "
            lines.append(f"{k:>3}{mark} {p.complexity:>10} {p.explained:>10.4f}  {p.equation}")
        if self.recommended is not None:
            lines += [
                f"  {p.name} = {p.default:g} {p.unit}, in ({p.bounds[0]:g}, {p.bounds[1]:g})"
                for p in self.recommended.parameters
            ]
        return "\n".join([*lines, self.why, *self.notes])

    def _repr_html_(self) -> str:
        rows = []
        for k, p in enumerate(self._every):
            if k == len(self):
                rows.append(f'<tr><td></td><td colspan="4">{_RIVALS}</td></tr>')
            weight = ' style="font-weight:bold"' if k == self.chosen else ""
            latex = expression_as_latex(p.equation.expression)
            rows.append(
                f"<tr{weight}><td>{k}</td><td>{p.complexity}</td><td>{p.operations}</td>"
                f"<td>{p.explained:.4f}</td>"
                f'<td style="text-align:left">${html.escape(latex)}$</td></tr>'
            )
        head = "".join(
            f"<th>{t}</th>" for t in ("", "complexity", "operations", "explained", "equation")
        )
        title = f"${name_as_latex(self.term)}$ ({html.escape(self.unit)})"
        text = html.escape(" ".join((self.why, *self.notes)))
        return (
            f"<p>Equations for {title}</p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table><p>{text}</p>"
        )


def _varies(equation: Equation) -> bool:
    """Say whether an equation is more than a constant."""
    own = {t.name for t in (*equation.parameters, *equation.constants)}
    return any(str(s) not in own for s in equation.expression.free_symbols)
