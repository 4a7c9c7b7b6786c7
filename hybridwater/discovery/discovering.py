"""The one function that people call: from a learned term to equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.discovery.equations import Writer, is_offset, operations
from hybridwater.discovery.forms import Visited
from hybridwater.discovery.front import Front, Proposal
from hybridwater.discovery.physics import Physics
from hybridwater.discovery.polishing import Target, polish
from hybridwater.discovery.sampling import sample_term
from hybridwater.discovery.search import Effort, Library, search
from hybridwater.discovery.selection import held_out, judge
from hybridwater.discovery.structures import Candidate, Structure
from hybridwater.errors import DataError
from hybridwater.training import Surrogate
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Network
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    import xarray as xr

#: Fewest samples that a search makes sense with.
FEWEST = 24
#: A term or an input varies if it does by more than this fraction of its size.
_VARIES = 1e-3
#: A more complex equation joins the front if its error is smaller by this factor.
_BETTER = 0.98
#: Share of the term's variance below which errors do not count.
TOLERANCE = 0.01


def discover(
    fits: Surrogate | Sequence[Surrogate],
    name: str,
    data: xr.Dataset,
    *,
    basin: str | None = None,
    samples: int = 1000,
    tolerance: float = TOLERANCE,
    terms: int = 2,
    seed: int = 0,
) -> Front:
    """Search for equations that say what a learned term says.

    Parameters
    ----------
    fits : Surrogate or sequence of Surrogate
        The fit in question, then others of an equal model from other seeds, whose spread says how
        far the term can be trusted.
    name : str
        A network of the model.
    data : xarray.Dataset
        Forcing; only the training and validation periods are used.
    basin : str, optional
        Which basin; the first if left out.
    samples : int
        About how many samples of the term are used.
    tolerance : float
        Share of the term's variance below which an error does not count.
    terms : int
        Most products in a sum.
    seed : int
        Seed of the draw of held-out time.

    Returns
    -------
    Front
        Equations that no simpler one beats, and the recommended one if there is one.

    Raises
    ------
    DataError, DeclarationError
        If the term was never exercised, its inputs do not vary, or there are too few samples.
    """
    first = fits if isinstance(fits, Surrogate) else next(iter(fits), None)
    term = sample_term(fits, name, data, basin=basin, samples=samples)
    assert first is not None
    return search_term(first.ude, name, term, tolerance=tolerance, terms=terms, seed=seed)


def search_term(
    ude: UDE,
    name: str,
    term: xr.Dataset,
    *,
    tolerance: float = TOLERANCE,
    terms: int = 2,
    seed: int = 0,
) -> Front:
    """Search for equations that explain samples of a term; see :func:`discover`.

    Parameters
    ----------
    ude : UDE
        The model.
    name : str
        A network of the model: its inputs, units and physics.
    term : xarray.Dataset
        Dim ``sample``, in the order of time: a coordinate per input of the network, ``learned``
        and optionally ``spread``, as :func:`sample_term` gives them.
    tolerance, terms, seed
        As in :func:`discover`.
    """
    network = ude.network(name)
    texts = [print_expression(i.expression) for i in network.inputs]
    x = np.stack([term[t].values.astype(float) for t in texts], axis=1)
    y = term["learned"].values.astype(float)
    input_units = tuple(str(term[t].attrs["units"]) for t in texts)
    offsets = [is_offset(u) for u in input_units]
    _check(network, x, y, texts)
    visited = tuple(Visited.of(x[:, k], temperature=t) for k, t in enumerate(offsets))
    columns = tuple(k for k in range(x.shape[1]) if visited[k].span > _VARIES * abs(x[:, k]).max())
    spread = term["spread"].values if "spread" in term else np.zeros(len(y))
    target = Target.of(x, y, _gate(network, texts, x), _weights(spread))
    library = Library(
        visited,
        columns,
        Physics(network, x, visited, float(np.sqrt(np.mean(y**2)))),
        _vanishing(network),
        network.zero_when_empty is not None,
        _natural(network, input_units, columns),
    )
    searched, block = held_out(len(y), seed)
    inside, outside = target.part(searched), target.part(~searched)
    candidates, broken = search(inside, library, Effort(terms=terms))
    writer = Writer(network, ude.units, input_units, visited)
    proposals = []
    for candidate in candidates:
        error = float(inside.weight @ inside.errors(candidate, visited))
        proposals.append((writer.complexity(candidate), error, candidate))
    front = _nondominated(proposals)
    scale = len(outside.y) * outside.weight
    errors = [outside.errors(c, visited) * scale for c in front]
    constant = (outside.y - inside.weight @ inside.y) ** 2 / outside.variance * scale
    noise = float(target.weight @ spread**2) / target.variance
    judgement = judge(
        np.array(errors).reshape(len(front), -1),
        np.array([writer.complexity(c) for c in front]),
        constant,
        block[~searched],
        noise,
        tolerance,
    )
    found = []
    for candidate, error in zip(front, errors, strict=True):
        final = _refitted(candidate, target, library) or candidate
        equation = writer.write(final)
        found.append(
            Proposal(
                equation,
                writer.complexity(final),
                operations(equation),
                1 - float(error.mean()),
                final.structure.describe(texts),
                final.values(x, visited, target.gate),
            )
        )
    notes = []
    if len(columns) < len(texts):
        constant_inputs = [t for k, t in enumerate(texts) if k not in columns]
        notes.append(f"Left out, because constant: {', '.join(constant_inputs)}.")
    if broken:
        notes.append(f"{broken} candidates broke the physics of the term.")
    return Front(
        name, network.unit, tuple(found), judgement.chosen, judgement.why, noise, term, tuple(notes)
    )


def _check(network: Network, x: np.ndarray, y: np.ndarray, texts: list[str]) -> None:
    where = f"network '{network.name}'"
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("The samples of the term are not all finite.", where, "Look at the fit")
    if len(y) < FEWEST:
        raise DataError(
            f"There are {len(y)} samples of the term, and {FEWEST} are needed.",
            where,
            "Fit a longer period",
        )
    if np.abs(y).max() <= 1e-6 * network.scale:
        raise DataError(
            "The term is never exercised: it is zero all through the training period.",
            where,
            "Train on a period in which the process happens",
        )
    if not (np.ptp(x, axis=0) > _VARIES * np.abs(x).max(0)).any():
        raise DataError(
            f"No input of the term varies: {', '.join(texts)}.",
            where,
            "Train on a period in which an input varies, or give the term other inputs",
        )
    if np.std(y) <= _VARIES * np.abs(y).max():
        raise DataError(
            f"The term does not vary: it is {y.mean():.4g} {network.unit} all through the "
            "training period.",
            where,
            "Replace it by a parameter",
        )


def _gate(network: Network, texts: list[str], x: np.ndarray) -> np.ndarray:
    """Evaluate the gate of an empty store where the store is an input; else it counts as open."""
    if network.zero_when_empty not in texts:
        return np.ones(len(x))
    assert network.empty_scale is not None
    stored = np.maximum(x[:, texts.index(network.zero_when_empty)], 0.0)
    return stored / (stored + network.empty_scale)


def _vanishing(network: Network) -> frozenset[int]:
    """Find the inputs that are zero when the store of the gate is empty."""
    if network.zero_when_empty is None:
        return frozenset()
    store = symbol(network.zero_when_empty)
    rows = enumerate(network.inputs)
    return frozenset(
        k for k, i in rows if i.expression.has(store) and i.expression.subs(store, 0) == 0
    )


def _weights(spread: np.ndarray) -> np.ndarray:
    """Weigh samples down where the fits disagree more than usual."""
    typical = np.median(spread)
    weight = 1 / (1 + (spread / typical) ** 2) if typical > 0 else np.ones(len(spread))
    return weight


def _natural(
    network: Network, input_units: tuple[str, ...], columns: tuple[int, ...]
) -> frozenset[tuple[tuple[int, int], ...]]:
    """Find the inputs that have the unit of the term, so that no amplitude is needed."""
    term = units.parse(network.unit)
    same = [((k, 1),) for k in columns if units.parse(input_units[k]) == term]
    dimensionless = [()] if term == units.parse("1") else []
    return frozenset([*same, *dimensionless])


def _nondominated(found: list[tuple[int, float, Candidate]]) -> list[Candidate]:
    """Keep what no simpler equation matches, in order of complexity."""
    front, best = [], np.inf
    for _, error, candidate in sorted(found, key=lambda item: (item[0], item[1])):
        if error < _BETTER * best:
            front.append(candidate)
            best = error
    return front


def _refitted(candidate: Candidate, target: Target, library: Library) -> Candidate | None:
    """Fit the constants to all samples, unless that breaks the physics."""
    structure: Structure = candidate.structure
    final = polish(structure, candidate.inner, target, library.visited, positive=library.positive)
    return None if final is None or library.physics.broken(final) else final
