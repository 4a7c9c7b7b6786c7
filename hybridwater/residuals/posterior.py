"""A fitted residual model: turns simulations into ensembles, explains itself, saves and loads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from hybridwater.errors import DataError, nearest
from hybridwater.residuals import margins, storage
from hybridwater.residuals.inference import Diagnostics
from hybridwater.residuals.layout import Layout
from hybridwater.residuals.pairing import (
    Records,
    matched,
    read_covariates,
    read_records,
)  # fmt: skip
from hybridwater.residuals.persistence import REGIMES, Persistence
from hybridwater.residuals.terms import term_labels

if TYPE_CHECKING:
    from hybridwater.residuals.model import ResidualModel

_BATCH = 4_000_000  # values drawn at once, so that memory does not grow with members


@dataclass(frozen=True, eq=False, repr=False)
class ResidualPosterior:
    """What was learned of the errors of a simulation.

    Parameters
    ----------
    model : ResidualModel
        What was fitted.
    layout : Layout
        Sites and their scales.
    draws : dict of str to torch.Tensor
        ``coefficients`` (draw, site, coefficient), ``transform`` (draw, parameter) and, where
        errors are autocorrelated, ``persistence`` (draw, site, coefficient).
    diagnostics : dict of str to Diagnostics
        Of the fit of ``margins`` and of ``persistence``.
    correlation : torch.Tensor
        Of innovations between sites (site, site).
    """

    model: ResidualModel
    layout: Layout
    draws: dict[str, torch.Tensor]
    diagnostics: dict[str, Diagnostics]
    correlation: torch.Tensor

    def __repr__(self) -> str:
        lines = [f"<ResidualPosterior of {len(self.layout.sites)} sites, {self.model.transform}>"]
        return "\n  ".join(lines + [f"{n}: {d.message}" for n, d in self.diagnostics.items()])

    @property
    def converged(self) -> bool:
        """Whether every part of the fit converged."""
        return all(d.converged for d in self.diagnostics.values())

    def sample(
        self,
        simulated: xr.DataArray,
        members: int = 100,
        *,
        observed: xr.DataArray | None = None,
        lead: int | None = None,
        covariates: xr.Dataset | None = None,
        seed: int = 0,
    ) -> xr.DataArray:
        """Draw an ensemble of what may be observed, given a simulation.

        Sites of a member have errors of one day in common as they had in the fit, so that members
        are right about sums and means over sites, too; see
        :mod:`hybridwater.residuals.sites`.

        Parameters
        ----------
        simulated : xarray.DataArray
            As in the fit, of any period and of some or all of its sites.
        members : int
            Number of members.
        observed : xarray.DataArray, optional
            Observations to update on.
        lead : int, optional
            With ``observed``: every record is drawn knowing observations up to ``lead`` records
            before it, which shows how good forecasts of that lead time are. Left out, the
            observations are kept where there are any and each gap, and the time after the last
            observation, is drawn given the last one before it: a forecast.
        covariates : xarray.Dataset, optional
            The covariates of the fit.
        seed : int
            The same seed gives the same members.

        Returns
        -------
        xarray.DataArray
            Dimensions (member, site, time), in the unit of the fit, not negative. With ``lead`` the
            values of a member at different times are not a trajectory.

        Raises
        ------
        DataError
            If the simulation, observations or covariates cannot be used, a site is unknown, or
            updating is asked of a model without autocorrelation.
        UnitError
            If units are missing or incompatible.
        """
        _check_request(self.model.autocorrelated, members, observed, lead)
        simulation, pairs, values = self._laid_out(simulated, observed, covariates)
        if lead is not None and lead > values.shape[1]:
            raise DataError(
                f"A lead of {lead} records is longer than the simulation, which has "
                f"{values.shape[1]} records.",
                where="lead",
                fix="Give a shorter lead, or a longer simulation",
            )
        rows, layout = self._rows(simulation), self.layout.rows(simulation.sites)
        generator = torch.Generator().manual_seed(seed)
        count = len(self.draws["coefficients"])
        picked = torch.randperm(count, generator=generator).repeat(-(-members // count))[:members]
        batch = max(1, _BATCH // values.size)
        flow = np.concatenate(
            [
                self._members(pairs, part, rows, observed is not None, lead, generator)
                for part in picked.split(batch)
            ]
        )
        flow *= layout.flow[:, np.newaxis]
        if observed is not None and lead is None:
            flow = np.where(np.isfinite(values), values, flow)
        return self._wrapped(flow, simulation, simulated)

    def systematic(
        self, simulated: xr.DataArray, *, covariates: xr.Dataset | None = None
    ) -> xr.DataArray:
        """Return the posterior of the systematic part of the error: bias and discrepancy.

        Parameters
        ----------
        simulated : xarray.DataArray
            As in the fit, of any period and of some or all of its sites.
        covariates : xarray.Dataset, optional
            The covariates of the fit.

        Returns
        -------
        xarray.DataArray
            Dimensions (draw, site, time): what is added to the simulation, both divided by the mean
            observed flow of the site and transformed; dimensionless.

        Raises
        ------
        DataError
            If the simulation or covariates cannot be used, or a site is unknown.
        UnitError
            If units are missing or incompatible.
        """
        simulation, pairs, _ = self._laid_out(simulated, None, covariates)
        own = self.draws["coefficients"][:, self._rows(simulation)]
        error = self.model.margins(pairs).parts(pairs, own)[0].numpy()
        found = self._wrapped(error, simulation, simulated, "draw")
        return found.assign_attrs(units="1", long_name="systematic error, transformed")

    def parameters(self) -> xr.Dataset:
        """Return the posterior of the coefficients of every site.

        Returns
        -------
        xarray.Dataset
            ``bias``, ``log_scale``, ``tails`` and, where there is one, ``persistence``; dimensions
            (draw, site, a dimension of terms); in transformed space, dimensionless. For what a
            discrepancy is, see :meth:`systematic`: its coefficients have no meaning one by one.
        """
        dimension = self.layout.dimension or "site"
        known = list(self.layout.covariates)
        margin = [
            ("bias", term_labels(self.model.bias, known)),
            ("log_scale", term_labels(self.model.scale, known)),
            ("tails", list(self.model.tail_terms)),
        ]
        table, first = {}, 0
        for name, labels in margin:
            values = self.draws["coefficients"][..., first : first + len(labels)]
            first += len(labels)
            table[name] = ((("draw", dimension, f"{name}_term")), values.numpy(), labels)
        if "persistence" in self.draws:
            terms = term_labels(self.model.persistence, known)
            labels = [f"{regime}_{term}" for regime in REGIMES[:-1] for term in terms]
            labels += [f"{regime}_memory" for regime in REGIMES]
            dims = ("draw", dimension, "persistence_term")
            table["persistence"] = (dims, self.draws["persistence"].numpy(), labels)
        return xr.Dataset(
            {n: (dims, values, {"units": "1"}) for n, (dims, values, _) in table.items()},
            {dimension: list(self.layout.sites)}
            | {dims[-1]: labels for dims, _, labels in table.values()},
        )

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write the posterior to a folder: JSON to read, safetensors for numbers.

        Raises
        ------
        WeightsError
            If it cannot be written; what was there is unchanged.
        """
        return storage.save(self, Path(directory))

    @staticmethod
    def load(directory: str | os.PathLike[str]) -> ResidualPosterior:
        """Read a posterior.

        Raises
        ------
        WeightsError
            If files are missing, damaged or of another version.
        """
        return storage.load(Path(directory))

    def _laid_out(
        self,
        simulated: xr.DataArray,
        observed: xr.DataArray | None,
        covariates: xr.Dataset | None,
    ) -> tuple[Records, margins.Pairs, np.ndarray]:
        """Lay out a simulation of any period, and observations, NaN where there are none."""
        simulation = read_records(simulated, "simulation", unit=self.layout.unit)
        self._rows(simulation)
        if self.layout.step != simulation.step:
            raise DataError(
                f"The simulation has a record every {simulation.step:g} s, and the fit had one "
                f"every {self.layout.step:g} s: its terms and memory are counted in records.",
                where="time",
                fix="Resample the simulation, or fit again",
            )
        layout = self.layout.rows(simulation.sites)
        extra = read_covariates(covariates, simulation, list(self.layout.covariates))
        values = np.full(simulation.values.shape, np.nan)
        if observed is not None:
            values = matched(simulation, observed)
        attributes = np.zeros((len(simulation.sites), len(layout.attributes)))
        pairs = layout.pairs(simulation, values, self.model, attributes, extra)
        return simulation, pairs, values

    def _rows(self, simulation: Records) -> list[int]:
        for site in simulation.sites:
            if site not in self.layout.sites:
                raise DataError(
                    f"The site '{site}' was not fitted: {nearest(site, self.layout.sites)}",
                    where=f"dimension '{simulation.dimension}'",
                    fix="Fit it too, or leave it out",
                )
        return [self.layout.sites.index(site) for site in simulation.sites]

    def _members(
        self,
        pairs: margins.Pairs,
        picked: torch.Tensor,
        rows: list[int],
        updated: bool,
        lead: int | None,
        generator: torch.Generator,
    ) -> np.ndarray:
        """Draw relative flow of one member for each of the draws picked, (member, site, time)."""
        coefficients = self.draws["coefficients"][picked][:, rows]
        transform = self.draws["transform"][picked]
        margin = self.model.margins(pairs)
        together = torch.linalg.cholesky(self.correlation[rows][:, rows])
        if "persistence" not in self.draws:
            shape = (len(picked), *pairs.simulated.shape)
            n = together @ torch.randn(shape, generator=generator, dtype=torch.float64)
        else:
            memory, innovation = Persistence(len(pairs.persistence)).draw_steps(
                pairs.persistence, self.draws["persistence"][picked][:, rows], together, generator
            )
            past = _past(margin, pairs, coefficients, transform) if updated else None
            start = torch.randn(memory.shape[:2], generator=generator, dtype=memory.dtype)
            n = run_chain(memory, innovation, past, lead, start @ together.T)
        return margin.flow(n, pairs, coefficients, transform).numpy()

    def _wrapped(
        self,
        values: np.ndarray,
        simulation: Records,
        simulated: xr.DataArray,
        first: str = "member",
    ) -> xr.DataArray:
        dims = [first, *([simulation.dimension] if simulation.dimension else []), "time"]
        kept = {k: c for k, c in simulated.coords.items() if set(c.dims) <= set(simulated.dims)}
        return xr.DataArray(
            values if simulation.dimension else values[:, 0],
            {first: np.arange(len(values)), **kept},
            dims,
            name=simulated.name,
            attrs={**simulated.attrs, "units": self.layout.unit},
        )


def _past(
    margin: margins.Margins,
    pairs: margins.Pairs,
    coefficients: torch.Tensor,
    transform: torch.Tensor,
) -> torch.Tensor:
    """Return normal numbers of the observations, NaN where none; a dry one is half-way down."""
    n, _ = margin.normal_numbers(pairs, coefficients, margin.changed(pairs, transform))
    below = torch.special.ndtri(torch.clamp(torch.special.ndtr(n) / 2, min=1e-300))
    n = torch.where(pairs.dry, below, n)
    return torch.where(pairs.valid, n, torch.nan)


def run_chain(
    memory: torch.Tensor,
    innovation: torch.Tensor,
    past: torch.Tensor | None,
    lead: int | None,
    start: torch.Tensor,
) -> torch.Tensor:
    """Run the chain of normal numbers.

    Parameters
    ----------
    memory, innovation : torch.Tensor
        Steps, shape (member, site, time).
    past : torch.Tensor, optional
        Normal numbers of observations, NaN where there are none; same shape.
    lead : int, optional
        Records between the latest observation that is known and the one drawn; if left out, all
        observations are known.
    start : torch.Tensor
        Before the first record, (member, site).

    Returns
    -------
    torch.Tensor
        Same shape.
    """
    if past is None or lead is None:
        return _run(memory, innovation, past, start)
    # the chain as known at each time: observed, or propagated over gaps
    known = _run(memory, innovation, past, start)
    known = torch.cat(
        [start[..., None].expand(-1, -1, lead), known[..., : memory.shape[-1] - lead]], -1
    )
    for step in range(lead - 1, -1, -1):
        m = torch.roll(memory, step, -1)
        e = torch.roll(innovation, step, -1)
        known = m * known + e
    return known


def _run(
    memory: torch.Tensor,
    innovation: torch.Tensor,
    past: torch.Tensor | None,
    start: torch.Tensor,
) -> torch.Tensor:
    n = torch.empty_like(memory)
    now = start
    for t in range(memory.shape[-1]):
        now = memory[..., t] * now + innovation[..., t]
        if past is not None:
            now = torch.where(torch.isnan(past[..., t]), now, past[..., t])
        n[..., t] = now
    return n


def _check_request(
    autocorrelated: bool, members: int, observed: xr.DataArray | None, lead: int | None
) -> None:
    if members < 1:
        raise DataError(f"{members} members were asked for.", "members", "Ask for at least one")
    if observed is not None and not autocorrelated:
        raise DataError(
            "Errors of this model are not autocorrelated, so observations tell nothing.",
            where="observed",
            fix="Fit with autocorrelated=True, or sample without observations",
        )
    if lead is not None and (observed is None or lead < 1):
        raise DataError(
            f"The lead time is {lead}" + (" without observations." if observed is None else "."),
            where="lead",
            fix="Give observations and a lead of at least one record, or neither",
        )
