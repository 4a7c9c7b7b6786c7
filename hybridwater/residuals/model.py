"""Residual models: what is declared, and its fit to simulation and observation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import xarray as xr

from hybridwater.errors import DataError, DeclarationError
from hybridwater.residuals import margins, persistence, sites
from hybridwater.residuals.discrepancy import get_discrepancy
from hybridwater.residuals.hierarchy import Population
from hybridwater.residuals.inference import Diagnostics, Inference, infer
from hybridwater.residuals.layout import Layout
from hybridwater.residuals.memory import independent_fraction
from hybridwater.residuals.pairing import read_attributes, read_covariates, read_pair
from hybridwater.residuals.posterior import ResidualPosterior
from hybridwater.residuals.tails import get_tails
from hybridwater.residuals.terms import check_terms
from hybridwater.residuals.transforms import get_transform

_RATE = 0.02  # learning rate: with 0.05, eight basins and 101 gages ended below their start
_CAREFUL = 0.01  # the same with a discrepancy: with 0.05, 20 sites diverged


@dataclass(frozen=True)
class ResidualModel:
    """A model of what a simulation gets wrong.

    Parameters
    ----------
    transform : str
        Under which errors are nearly alike: ``"log-sinh"`` (a logarithm at low flow, a line at
        high flow), ``"box-cox"`` (power 0.2) or ``"learned"`` (Box-Cox with learned power).
    tails : str
        ``"sinh-arcsinh"`` (skewed, heavy), ``"student-t"`` or ``"normal"``.
    bias, scale, persistence : sequence of str
        What the mean error, the logarithm of its scale, and its memory depend on besides a
        constant: names of :data:`hybridwater.residuals.TERMS`, or of covariates.
    discrepancy : str
        What is added to the bias, as a smooth function of simulated state and season of unknown
        shape: ``"none"``, ``"gaussian process"`` or ``"neural network"``.
    autocorrelated : bool
        Whether errors of successive records are related. Needed to update on observations.
    weight : float, optional
        How many independent observations one observation is worth in the fit of the marginal
        distribution, since neighbours in time repeat each other. Left out, it is found from the
        autocorrelation (:func:`hybridwater.residuals.memory.independent_fraction`); 1 where errors
        are not autocorrelated.

    Examples
    --------
    >>> ResidualModel(tails="student-t").tails
    'student-t'
    """

    transform: str = "log-sinh"
    tails: str = "sinh-arcsinh"
    bias: Sequence[str] = ("capped level", "fall", "recent", "wetness")
    scale: Sequence[str] = ("bounded level", "extremity", "rise")
    persistence: Sequence[str] = ("rise", "level", "previous", "wetness")
    discrepancy: str = "none"
    autocorrelated: bool = True
    weight: float | None = None

    def __post_init__(self) -> None:
        get_transform(self.transform)
        get_tails(self.tails)
        get_discrepancy(self.discrepancy)
        for name in ("bias", "scale", "persistence"):
            if isinstance(getattr(self, name), str):
                raise DeclarationError(
                    f"The terms of '{name}' are one text.", where=name, fix="Give a list of names"
                )
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.weight is not None and not 0 < self.weight <= 1:
            raise DeclarationError(
                f"The weight is {self.weight}, which is not above 0 and at most 1.",
                where="weight",
                fix="Leave it out, or give for example 0.1",
            )

    def fit(
        self,
        simulated: xr.DataArray,
        observed: xr.DataArray,
        *,
        attributes: xr.Dataset | None = None,
        covariates: xr.Dataset | None = None,
        inference: Inference | None = None,
    ) -> ResidualPosterior:
        """Learn the errors of a simulation.

        Leave out the records in which the simulation still forgets its initial state.

        Parameters
        ----------
        simulated : xarray.DataArray
            Flow, with units; dimension ``time`` and at most one of sites, whatever its name.
        observed : xarray.DataArray
            The same of observations; NaN where there are none. Times and sites are matched by
            their labels.
        attributes : xarray.Dataset, optional
            Static attributes with the dimension of sites: sites that are alike in them share more.
        covariates : xarray.Dataset, optional
            Further terms over time (and sites), to be named in ``bias``, ``scale`` or
            ``persistence``. They will be needed for every sample, too.
        inference : Inference, optional
            How; SVI by default.

        Returns
        -------
        ResidualPosterior

        Raises
        ------
        DataError
            If a series, attribute or covariate cannot be used (the message names the site), or the
            fit has failed.
        UnitError
            If units are missing or incompatible.
        DeclarationError
            If a term is unknown.

        Warns
        -----
        NotConverged
            If the fit has not converged, in words.
        """
        inference = Inference() if inference is None else inference
        simulation, values = read_pair(simulated, observed)
        table, names = read_attributes(attributes, simulation)
        extra = read_covariates(covariates, simulation)
        for part in ("bias", "scale", "persistence"):
            check_terms(getattr(self, part), list(extra), part)
        extra = {
            n: v for n, v in extra.items() if n in (*self.bias, *self.scale, *self.persistence)
        }
        layout = Layout.of(simulation, values, self.transform, (table, names), extra)
        pairs = layout.pairs(simulation, values, self, table, extra)
        weight = self._worth(pairs)
        rate = _RATE if self.discrepancy == "none" else _CAREFUL
        draws, diagnostics = self._margins(pairs, weight, _at_rate(inference, rate))
        found = {"margins": diagnostics}
        n, seen = self.margins(pairs).predictive_numbers(pairs, draws), pairs.valid & ~pairs.dry
        if not bool(torch.isfinite(n).all()):
            raise DataError(
                f"Errors have no distribution: {diagnostics.message}",
                where="fit of single records",
                fix="Give a smaller Inference(learning_rate=...), or a simpler model",
            )
        if self.autocorrelated:
            chain = persistence.Persistence(len(pairs.persistence))
            arguments = (n, seen, pairs.persistence, pairs.attributes)
            population = Population(chain.prior(), pairs.attributes)
            chained, found["persistence"] = infer(
                chain.model,
                arguments,
                (persistence.COEFFICIENTS,),
                _at_rate(inference, _RATE),
                population,
            )
            draws = draws | {"persistence": chained[persistence.COEFFICIENTS]}
            terms, mean = pairs.persistence[..., 1:], draws["persistence"].mean(0)
            n = chain.innovations(n[:, :-1], n[:, 1:], terms, mean)
            seen = seen[:, :-1] & seen[:, 1:]
        together = torch.as_tensor(sites.correlation(n.numpy(), seen.numpy()))
        return ResidualPosterior(self, layout, draws, found, together)

    @property
    def terms(self) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
        """Terms of bias, scale and persistence."""
        return self.bias, self.scale, self.persistence

    @property
    def tail_terms(self) -> tuple[str, ...]:
        """Names of the shape parameters of the tails."""
        return get_tails(self.tails).terms

    def margins(self, pairs: margins.Pairs) -> margins.Margins:
        """Return the numerics of the marginal distribution for what was laid out."""
        transform, tails = get_transform(self.transform), get_tails(self.tails)
        discrepancy = get_discrepancy(self.discrepancy)
        return margins.Margins(transform, tails, discrepancy, len(pairs.bias), len(pairs.scale))

    def _margins(
        self, pairs: margins.Pairs, weight: float, inference: Inference
    ) -> tuple[dict[str, torch.Tensor], Diagnostics]:
        wanted = (margins.COEFFICIENTS, margins.TRANSFORM)
        numerics = self.margins(pairs)
        population = Population(numerics.prior(), pairs.attributes)
        arguments = (pairs, weight, numerics.fixed(pairs))
        return infer(numerics.model, arguments, wanted, inference, population)

    def _worth(self, pairs: margins.Pairs) -> float:
        """Return how many independent observations an observation is worth."""
        if self.weight is not None or not self.autocorrelated:
            return 1.0 if self.weight is None else self.weight
        transform = get_transform(self.transform)
        start = torch.tensor(transform.start, dtype=torch.float64)
        error = transform.forward(pairs.observed, start) - transform.forward(pairs.simulated, start)
        systematic = torch.cat([pairs.bias, pairs.features])
        return independent_fraction(error.numpy(), systematic.numpy(), pairs.valid.numpy())


def _at_rate(inference: Inference, rate: float) -> Inference:
    """Return SVI with steps of this size where none was said."""
    if inference.learning_rate is not None or inference.method != "svi":
        return inference
    return dataclasses.replace(inference, learning_rate=rate)
