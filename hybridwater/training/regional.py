"""From static attributes to parameters: what a regional fit knows about basins it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from hybridwater.data.checks import check_attributes
from hybridwater.training.sharing import Regional
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class ParameterNetwork:
    """A trained network from attributes to parameters.

    Parameters
    ----------
    attributes : tuple of str
        Names of the attributes.
    units : tuple of str
        Their units.
    mean, std : numpy.ndarray
        Standardisation, shape (n_attributes,).
    hidden : tuple of int
        Widths of the hidden layers.
    state : dict of str to numpy.ndarray
        Tensors of :class:`hybridwater.training.sharing.Regional` but its offsets.
    """

    attributes: tuple[str, ...]
    units: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    hidden: tuple[int, ...]
    state: dict[str, np.ndarray]

    def predict(self, ude: UDE, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Return the parameters of basins from their attributes, each of shape (basin,).

        Raises
        ------
        DataError, UnitError
            If an attribute is missing, not finite or has another unit.
        """
        table = check_attributes(data, dict(zip(self.attributes, self.units, strict=True)))
        raw = np.stack([np.atleast_1d(table[a].values) for a in self.attributes], axis=1)
        standard = torch.from_numpy((raw - self.mean) / self.std)
        module = Regional(ude, standard, self.hidden)
        module.load_state_dict({k: torch.tensor(v) for k, v in self.state.items()})
        module.eval()
        with torch.no_grad():
            values, _ = module(torch.arange(len(standard)))
            values = values.numpy()
        return {p.name: values[:, k] for k, p in enumerate(ude.parameters)}
