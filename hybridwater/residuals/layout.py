"""How sites were scaled for the numerics: kept with a fit, and used again for every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hybridwater.residuals.discrepancy import PLACE, get_discrepancy
from hybridwater.residuals.margins import Pairs
from hybridwater.residuals.pairing import Records
from hybridwater.residuals.terms import Scaling, design
from hybridwater.residuals.transforms import get_transform

if TYPE_CHECKING:
    from hybridwater.residuals.model import ResidualModel


@dataclass(frozen=True)
class Layout:
    """Scales of sites, attributes and covariates.

    Parameters
    ----------
    sites : tuple of str
        Names.
    dimension : str or None
        Name of the dimension of sites.
    unit : str
        Unit of flow.
    step : float
        Time between records [s]: terms and memory are counted in records.
    flow : numpy.ndarray, shape (site,)
        Mean observed flow.
    scaling : Scaling
        Of the transformed simulation.
    attributes, covariates : dict of str to (float, float)
        Mean and standard deviation.
    """

    sites: tuple[str, ...]
    dimension: str | None
    unit: str
    step: float
    flow: np.ndarray
    scaling: Scaling
    attributes: dict[str, tuple[float, float]]
    covariates: dict[str, tuple[float, float]]

    @staticmethod
    def of(
        simulation: Records,
        observed: np.ndarray,
        transform: str,
        attributes: tuple[np.ndarray, Sequence[str]],
        covariates: Mapping[str, np.ndarray],
    ) -> Layout:
        """Measure the scales of a pair that is about to be fitted."""
        valid = np.isfinite(observed)
        flow = np.nanmean(observed, axis=1)
        z = _transformed(simulation.values / flow[:, np.newaxis], transform)
        table, names = attributes
        return Layout(
            simulation.sites,
            simulation.dimension,
            simulation.unit,
            simulation.step,
            flow,
            Scaling.of(z, valid),
            {name: _scale(table[:, k]) for k, name in enumerate(names)},
            {name: _scale(values[valid]) for name, values in covariates.items()},
        )

    def rows(self, sites: Sequence[str]) -> Layout:
        """Return the layout of some of the sites, in the order given."""
        index = [self.sites.index(site) for site in sites]
        scaling = Scaling(self.scaling.centre[index], self.scaling.spread[index])
        return Layout(
            tuple(sites), self.dimension, self.unit, self.step, self.flow[index], scaling,
            self.attributes, self.covariates,
        )  # fmt: skip

    def pairs(
        self,
        simulation: Records,
        observed: np.ndarray,
        model: ResidualModel,
        attributes: np.ndarray,
        covariates: Mapping[str, np.ndarray],
    ) -> Pairs:
        """Lay out a simulation, and observations where there are any (else NaN).

        Parameters
        ----------
        simulation : Records
            Of the sites of this layout.
        observed : numpy.ndarray, shape (site, time)
            In the unit of the layout.
        model : ResidualModel
            Whose transform, terms and discrepancy are laid out.
        attributes : numpy.ndarray, shape (site, attribute)
        covariates : mapping of str to numpy.ndarray, shape (site, time)
        """
        relative = simulation.values / self.flow[:, np.newaxis]
        z = _transformed(relative, model.transform)
        standard = {n: (covariates[n] - m) / s for n, (m, s) in self.covariates.items()}
        bias, scale, persistence, place = (
            torch.as_tensor(design(t, z, self.scaling, simulation.times, standard))
            for t in (*model.terms, PLACE)
        )
        valid = np.isfinite(observed)
        flow = np.where(valid, observed / self.flow[:, np.newaxis], relative)
        scales = np.array(list(self.attributes.values())).reshape(-1, 2)
        return Pairs(
            torch.as_tensor(relative),
            torch.as_tensor(flow),
            torch.as_tensor(valid),
            bias,
            scale,
            persistence,
            get_discrepancy(model.discrepancy).features(place[1:]),
            torch.as_tensor((attributes - scales[:, 0]) / scales[:, 1]),
        )


def _transformed(relative: np.ndarray, name: str) -> np.ndarray:
    """Transform as the parameters of the transform start, for terms that stay fixed."""
    transform = get_transform(name)
    start = torch.tensor(transform.start, dtype=torch.float64)
    flow: Tensor = torch.as_tensor(relative)
    return transform.forward(flow, start).numpy()


def _scale(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) or 1.0
