"""The result of a fit: a surrogate that simulates, explains itself, saves and loads."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.engines import Options, simulate
from hybridwater.engines.balance import water_balance
from hybridwater.errors import DataError, DeclarationError, nearest
from hybridwater.training import storage
from hybridwater.training.ranges import Ranges
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.training.regional import ParameterNetwork


class OutsideTrainingRange(UserWarning):
    """Forcing or states left the range that the networks were trained on."""


@dataclass(frozen=True, eq=False, repr=False)
class Surrogate:
    """A fitted model.

    Parameters
    ----------
    ude : UDE
        The model.
    basins : tuple of str
        Basins it was fitted to.
    parameters : dict of str to numpy.ndarray
        Each of shape (basin,), physical units.
    weights : numpy.ndarray
        Shape (n_weights,), shared, or (basin, n_weights).
    options : Options
        Solver that it was fitted with.
    ranges : Ranges
        Ranges of forcing and states over the training period.
    observed : dict of str to str
        Flux to the variable of the data that it was fitted to.
    periods : dict of str to (str, str)
        Training, validation and test periods.
    skeleton : dict of str to numpy.ndarray
        Parameters of the calibrated conceptual model, if it was calibrated.
    network : ParameterNetwork, optional
        From attributes to parameters, for a regional fit.
    metrics : pandas.DataFrame, optional
        Training history.
    """

    ude: UDE
    basins: tuple[str, ...]
    parameters: dict[str, np.ndarray]
    weights: np.ndarray
    options: Options
    ranges: Ranges
    observed: dict[str, str]
    periods: dict[str, tuple[str, str]]
    skeleton: dict[str, np.ndarray] = field(default_factory=dict)
    network: ParameterNetwork | None = None
    metrics: pd.DataFrame | None = None

    def __repr__(self) -> str:
        kind = "regional" if self.network is not None else "local"
        return f"<Surrogate of '{self.ude.name}': {kind}, {len(self.basins)} basins>"

    def simulate(
        self,
        forcing: xr.Dataset,
        *,
        engine: str | None = None,
        conceptual: bool = False,
        **options: Any,
    ) -> xr.Dataset:
        """Simulate new forcing.

        Parameters
        ----------
        forcing : xarray.Dataset
            Dims (time) or (basin, time). Basins are matched by name; basins that are not in the
            fit need a regional fit and its static attributes in the dataset.
        engine : str, optional
            Name of the engine.
        conceptual : bool
            Whether to run the calibrated conceptual skeleton instead.
        **options
            Solver options other than those of the fit.

        Returns
        -------
        xarray.Dataset
            States and fluxes, dims (basin, time).

        Warns
        -----
        OutsideTrainingRange
            If forcing or states leave the range of training by more than a tenth of it.
        """
        ude, values, weights = self._for(forcing, conceptual)
        merged = {**dataclasses.asdict(self.options), "fluxes": None, **options}
        result = simulate(ude, forcing, values, weights, engine=engine, **merged)
        if not conceptual and ude.networks:
            self._warn_outside(forcing, result)
        return result

    def _for(
        self, forcing: xr.Dataset, conceptual: bool
    ) -> tuple[UDE, dict[str, np.ndarray], np.ndarray]:
        wanted = _basins(forcing)
        known = {b: k for k, b in enumerate(self.basins)}
        if wanted is None and len(self.basins) == 1:
            rows = np.array([0])
        elif wanted is None:
            raise DataError(
                "The forcing does not say which basin it belongs to.",
                fix=f"Give it a basin coordinate, one of {', '.join(self.basins[:5])}, ...",
            )
        elif all(b in known for b in wanted):
            rows = np.array([known[b] for b in wanted])
        elif self.network is not None and not conceptual:
            values = self.network.predict(self.ude, forcing)
            return self.ude, values, self.weights
        else:
            missing = next(b for b in wanted if b not in known)
            raise DataError(
                f"The basin '{missing}' is not among those of the fit.",
                fix="Fit it too, or use a regional fit with static attributes",
            )
        if conceptual:
            if not self.skeleton:
                raise DeclarationError(
                    "No conceptual skeleton was calibrated in this fit.",
                    fix="Fit with a schedule that has a 'skeleton' stage",
                )
            chosen = {n: v[rows] for n, v in self.skeleton.items()}
            return self.ude.conceptual(), chosen, np.zeros(0)
        values = {n: v[rows] for n, v in self.parameters.items()}
        return self.ude, values, self.weights[rows] if self.weights.ndim == 2 else self.weights

    def _warn_outside(self, forcing: xr.Dataset, simulation: xr.Dataset) -> None:
        outside = self.ranges.outside(forcing.assign(simulation[[s.name for s in self.ude.states]]))
        if outside:
            listed = ", ".join(f"{n} ({share:.1%} of records)" for n, share in outside.items())
            simulation.attrs["outside_training_range"] = listed
            warnings.warn(
                f"Outside the range of training: {listed}. The networks extrapolate there.",
                OutsideTrainingRange,
                stacklevel=3,
            )

    def water_balance(self, simulation: xr.Dataset) -> xr.Dataset:
        """Return the cumulative water balance of a simulation; see :func:`water_balance`."""
        return water_balance(self.ude, simulation)

    def term(
        self, name: str, forcing: xr.Dataset, *, basin: str | None = None, samples: int = 2000
    ) -> xr.Dataset:
        """Sample a learned term over the inputs that it meets.

        Parameters
        ----------
        name : str
            A network of the model.
        forcing : xarray.Dataset
            Forcing to run through.
        basin : str, optional
            Which basin; the first if left out.
        samples : int
            How many records, evenly spread.

        Returns
        -------
        xarray.Dataset
            Dim ``sample``: a coordinate per input, ``learned``, and ``conceptual`` where the term
            has a conceptual counterpart.
        """
        from hybridwater.training.terms import sample_term

        there = _basins(forcing) or (None,)
        basin = there[0] if basin is None else basin
        if basin not in there:
            raise DataError(
                f"The data have no basin '{basin}' ({nearest(str(basin), filter(None, there))})."
            )
        if "basin" in forcing.dims:
            forcing = forcing.sel(basin=[basin])
        ude, values, weights = self._for(forcing, conceptual=False)
        return sample_term(
            ude, name, forcing, values, weights, self.options, samples, self.skeleton_of(forcing)
        )

    def skeleton_of(self, forcing: xr.Dataset) -> dict[str, np.ndarray] | None:
        """Return the calibrated conceptual parameters of the basins of a dataset, if there are."""
        known = all(b in self.basins for b in _basins(forcing) or ())
        return self._for(forcing, conceptual=True)[1] if self.skeleton and known else None

    def parameters_of(self, forcing: xr.Dataset) -> dict[str, np.ndarray]:
        """Return the parameters of the basins of a dataset, each of shape (basin,)."""
        return self._for(forcing, conceptual=False)[1]

    def parameter_table(self) -> xr.Dataset:
        """Return the parameters with units, bounds and descriptions, dim (basin)."""
        import xarray as xr

        result = xr.Dataset(coords={"basin": list(self.basins)})
        for name, values in self.parameters.items():
            if name in self.ude.used_parameters:
                p = self.ude.parameter(name)
                attrs = {"units": p.unit, "long_name": p.description or name}
                attrs |= {"valid_min": p.bounds[0], "valid_max": p.bounds[1]}
                result[name] = ("basin", values, attrs)
        return result

    def report(
        self,
        path: str | Path,
        data: xr.Dataset,
        *,
        basin: str | None = None,
        title: str | None = None,
    ) -> Path:
        """Write the self-contained HTML report of one basin.

        Parameters
        ----------
        path : str or pathlib.Path
            File to write.
        data : xarray.Dataset
            Forcing and observations.
        basin : str, optional
            Which basin; the first if left out.
        title : str, optional
            Title of the page.

        Returns
        -------
        pathlib.Path
            The file.
        """
        from hybridwater.report.fitted import fitted_report

        return fitted_report(self, path, data, basin=basin, title=title)

    def save(self, directory: str | Path) -> Path:
        """Save to a directory: ``surrogate.json``, ``surrogate.safetensors``, ``metrics.csv``."""
        return storage.save(self, Path(directory))

    @classmethod
    def load(cls, directory: str | Path) -> Surrogate:
        """Load what :meth:`save` wrote.

        Raises
        ------
        WeightsError
            If files are missing, damaged, or do not belong together.
        """
        return storage.load(cls, Path(directory))


def _basins(forcing: xr.Dataset) -> tuple[str, ...] | None:
    if "basin" not in forcing.coords:
        return None
    return tuple(map(str, np.atleast_1d(forcing["basin"].values)))
