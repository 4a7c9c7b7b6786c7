"""The result of a fit: a surrogate that simulates, explains itself, saves and loads."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hybridwater import scores
from hybridwater.engines import Options, simulate
from hybridwater.engines.balance import water_balance
from hybridwater.errors import DataError, DeclarationError, nearest
from hybridwater.training import storage
from hybridwater.training.ranges import OutsideTrainingRange, Ranges, warn_outside
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.training.regional import ParameterNetwork
    from hybridwater.ude.replacing import Replacement

__all__ = ["OutsideTrainingRange", "Surrogate", "observations"]

#: Score by the name that tables give it.
_SCORES = {"NSE": scores.nse, "KGE": scores.kge, "log-NSE": scores.log_nse, "bias": scores.bias}


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
    data : xarray.Dataset, optional
        Forcing and observations that it was fitted to, for showing itself in a notebook. Not saved.
    begin : {"initial", "steady"}
        Where simulations begin: at declared initial states, or in equilibrium with mean forcing.
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
    begin: Literal["initial", "steady"] = "initial"
    data: xr.Dataset | None = None

    def __repr__(self) -> str:
        kind = "regional" if self.network is not None else "local"
        return f"<Surrogate of '{self.ude.name}': {kind}, {len(self.basins)} basins>"

    def _repr_html_(self) -> str:
        from hybridwater.report.notebook import fit_as_html

        return fit_as_html(self)

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
            If forcing or states that reach an input of a network, directly or through fluxes,
            leave the range of training by more than a tenth of it. The attribute
            ``outside_training_range`` of the result then says which. A model without networks
            never warns.
        """
        result = self._simulate(forcing, engine, conceptual, options)
        warn_outside(result)
        return result

    def _simulate(
        self,
        forcing: xr.Dataset,
        engine: str | None = None,
        conceptual: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Simulate, and note in the attributes what leaves the range of training."""
        ude, values, weights = self.model_for(forcing, conceptual)
        begin = "steady" if self.begin == "steady" else None
        own = {**dataclasses.asdict(self.options), "fluxes": None, "initial_state": begin}
        merged = {**own, **(options or {})}
        result = simulate(ude, forcing, values, weights, engine=engine, **merged)
        self.ranges.note_outside(ude, forcing, result)
        return result

    def compare(self, data: xr.Dataset) -> dict[str, xr.Dataset]:
        """Simulate with the fitted model and, if calibrated in these basins, with its skeleton.

        Returns
        -------
        dict of str to xarray.Dataset
            ``hybrid`` (``model`` if there are no networks) and ``conceptual``. What leaves the
            range of training is only told in the attribute ``outside_training_range``.
        """
        runs = {"hybrid" if self.ude.networks else "model": self._simulate(data)}
        if self.skeleton_of(data) is not None:
            runs["conceptual"] = self._simulate(data, conceptual=True)
        return runs

    def with_basins(self, data: xr.Dataset) -> xr.Dataset:
        """Return a dataset with the dimension ``basin`` and names as in the fit.

        Raises
        ------
        DataError
            If the dataset does not say which of several basins it belongs to.
        """
        if "basin" not in data.dims:
            if "basin" not in data.coords:
                if len(self.basins) != 1:
                    raise DataError(
                        "The forcing does not say which basin it belongs to.",
                        fix=f"Give it a basin coordinate, one of {', '.join(self.basins[:5])}, ...",
                    )
                data = data.assign_coords(basin=self.basins[0])
            data = data.expand_dims("basin")
        return data.assign_coords(basin=list(_basins(data)))  # names may be numbers in the data

    def model_for(
        self, forcing: xr.Dataset, conceptual: bool = False
    ) -> tuple[UDE, dict[str, np.ndarray], np.ndarray]:
        """Return model, parameters and weights for the basins of a dataset.

        Parameters
        ----------
        forcing : xarray.Dataset
            Names the basins; new ones need their attributes.
        conceptual : bool
            Whether of the calibrated conceptual skeleton.

        Returns
        -------
        UDE, dict of str to numpy.ndarray, numpy.ndarray
            Parameters of shape (basin,), and weights, shared or (basin, n_weights).

        Raises
        ------
        DataError, DeclarationError
            If a basin is not in the fit and cannot be regionalised, or there is no skeleton.
        """
        wanted = _basins(self.with_basins(forcing))
        known = {b: k for k, b in enumerate(self.basins)}
        if all(b in known for b in wanted):
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

    def scores(
        self,
        data: xr.Dataset,
        period: str | None = None,
        *,
        flux: str | None = None,
        simulations: Mapping[str, xr.Dataset] | None = None,
    ) -> pd.DataFrame:
        """Score the fit, and its conceptual skeleton, against observations.

        Parameters
        ----------
        data : xarray.Dataset
            Forcing and observations, dims (time) or (basin, time).
        period : str, optional
            ``"train"``, ``"validation"`` or ``"test"``; all that the data have records of if left
            out.
        flux : str, optional
            Which of the observed fluxes; the first if left out.
        simulations : mapping of str to xarray.Dataset, optional
            What to score, dims (basin, time); what :meth:`compare` returns if left out.

        Returns
        -------
        pandas.DataFrame
            Index ``basin``, ``period``, ``model``; columns ``NSE``, ``KGE``, ``log-NSE`` and
            ``bias`` (0.1 is a tenth too much), all dimensionless; see :mod:`hybridwater.scores`.
            NaN where a score is not defined, for example without observations.

        Raises
        ------
        DataError
            If there are no observations of that flux, no such period, or no records of it.

        Warns
        -----
        OutsideTrainingRange
            As :meth:`simulate`.
        """
        import pandas as pd

        data = self.with_basins(data)
        flux = next(iter(self.observed)) if flux is None else flux
        if flux not in self.observed:
            raise DataError(
                f"The model was not fitted to '{flux}' ({nearest(flux, self.observed)})."
            )
        observed = observations(data, self.observed[flux])
        parts = self._periods_in(data, period)
        if simulations is None:
            simulations = self.compare(data)
            for run in simulations.values():
                warn_outside(run)
        levels = {"basin": _basins(data), "period": list(parts), "model": list(simulations)}
        pairs = [
            (run[flux].sel(time=part), observed.sel(time=part))
            for part, run in itertools.product(parts.values(), simulations.values())
        ]
        values = [[score(*pair).values for score in _SCORES.values()] for pair in pairs]
        rows = np.moveaxis(np.array(values), -1, 0).reshape(-1, len(_SCORES))
        index = pd.MultiIndex.from_product(levels.values(), names=list(levels))
        return pd.DataFrame(rows, index, list(_SCORES))

    def _periods_in(self, data: xr.Dataset, period: str | None) -> dict[str, slice]:
        """Return the periods, or the one asked for, that a dataset has records of."""
        if period is not None and period not in self.periods:
            raise DataError(f"The fit has no period '{period}' ({nearest(period, self.periods)}).")
        parts = {n: slice(*self.periods[n]) for n in self.periods if period in (None, n)}
        found = {n: part for n, part in parts.items() if data["time"].sel(time=part).size > 1}
        if not found:
            spans = ", ".join(f"{n} {p.start[:10]} to {p.stop[:10]}" for n, p in parts.items())
            raise DataError(
                "The data have no records of the periods of the fit.",
                spans,
                "Give data that reach into one of them",
            )
        return found

    def water_balance(self, simulation: xr.Dataset) -> xr.Dataset:
        """Return the cumulative water balance of a simulation; see :func:`water_balance`."""
        return water_balance(self.ude, simulation)

    def term(
        self, name: str, forcing: xr.Dataset, *, basin: str | None = None, samples: int = 2000
    ) -> xr.Dataset:
        """Sample a learned term over the inputs that it meets, beside what it replaces.

        The conceptual counterpart is evaluated at the same states and forcing and with the
        parameters of the fit, as the term and its inputs are. Only parameters that no other
        equation uses were not trained together with the networks; these are those of the
        calibrated skeleton, if there is one for the basin.

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
            has a conceptual counterpart; its attribute ``comment`` names the parameters that are
            those of the skeleton.
        """
        from hybridwater.training.terms import sample_term

        forcing = self.with_basins(forcing)
        there = _basins(forcing)
        basin = there[0] if basin is None else basin
        if basin not in there:
            raise DataError(f"The data have no basin '{basin}' ({nearest(basin, there)}).")
        forcing = forcing.isel(basin=[there.index(basin)])
        ude, values, weights = self.model_for(forcing, conceptual=False)
        return sample_term(
            ude,
            name,
            forcing,
            values,
            weights,
            self.options,
            samples,
            self.skeleton_of(forcing),
            self.begin,
        )

    def skeleton_of(self, forcing: xr.Dataset) -> dict[str, np.ndarray] | None:
        """Return the calibrated conceptual parameters of the basins of a dataset, if there are."""
        known = set(_basins(self.with_basins(forcing))) <= set(self.basins)
        return self.model_for(forcing, conceptual=True)[1] if self.skeleton and known else None

    def parameters_of(self, forcing: xr.Dataset) -> dict[str, np.ndarray]:
        """Return the parameters of the basins of a dataset, each of shape (basin,)."""
        return self.model_for(forcing, conceptual=False)[1]

    def replace(self, name: str, new: Replacement, *, basin: str | None = None) -> UDE:
        """Put something else in the place of a term, to be fitted again from where this fit ended.

        Parameters
        ----------
        name : str
            A flux or network of the model.
        new : str, sympy.Expr, Equation, Network or callable
            What comes there; see :meth:`UDE.replace`.
        basin : str, optional
            Whose fitted parameters are the defaults of the new model; the first if left out.

        Returns
        -------
        UDE
            A model that is not fitted.
        """
        basin = self.basins[0] if basin is None else basin
        if basin not in self.basins:
            raise DataError(f"The fit has no basin '{basin}' ({nearest(basin, self.basins)}).")
        row = self.basins.index(basin)
        fitted = {n: float(v[row]) for n, v in self.parameters.items()}
        return self.ude.with_defaults(fitted).replace(name, new)

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


def observations(data: xr.Dataset, variable: str) -> xr.DataArray:
    """Return observations, or raise DataError if the dataset does not have them."""
    if variable not in data:
        raise DataError(
            f"The data have no observations '{variable}' to compare with "
            f"({nearest(variable, map(str, data))}).",
            fix="Give the data that the model was fitted to, or data like them",
        )
    return data[variable]


def _basins(data: xr.Dataset) -> tuple[str, ...]:
    return tuple(map(str, data["basin"].values))
