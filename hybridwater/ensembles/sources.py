"""Sources of uncertainty: what is not known well, and how.

Every source is a distribution that is declared, has draws that depend on its name and the seed
alone, and can be switched off without a change to the draws of the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.ensembles.coupler_weights import CouplerWeights
from hybridwater.ensembles.design import Draw
from hybridwater.ensembles.distributions import Distribution, distribution
from hybridwater.ensembles.fields import cholesky, correlated, places, quantity
from hybridwater.ensembles.fingerprints import of_arrays
from hybridwater.ensembles.posterior import ParameterPosterior
from hybridwater.errors import EnsembleError, nearest

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.residuals import ResidualPosterior
    from hybridwater.training import Surrogate
    from hybridwater.ude import UDE


@dataclass(frozen=True)
class Numbers:
    """Numbers that are uncertain: new values, or factors of those that they have.

    Parameters
    ----------
    values : mapping of str to Distribution
        Name to distribution of the value; tables such as ``{"uniform": [0, 1]}`` do as well.
    factors : mapping of str to Distribution
        Name to distribution of a factor.

    Raises
    ------
    EnsembleError
        If there is nothing, or something has a value and a factor.
    """

    values: Mapping[str, Distribution] = field(default_factory=dict)
    factors: Mapping[str, Distribution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        both = set(self.values) & set(self.factors)
        if both or not (self.values or self.factors):
            what = f"'{min(both)}' has a value and a factor" if both else "Nothing is uncertain"
            raise EnsembleError(f"{what}.", fix="Name values or factors, each once")
        for part in ("values", "factors"):
            read = {n: distribution(d) for n, d in getattr(self, part).items()}
            object.__setattr__(self, part, read)

    @property
    def names(self) -> tuple[str, ...]:
        """What is uncertain."""
        return (*self.values, *self.factors)

    @property
    def columns(self) -> int:
        """How many numbers a draw has."""
        return len(self.names)

    def drawn(self, draw: Draw) -> dict[str, tuple[float, bool]]:
        """Return the number of each name, and whether it is a factor."""
        every = [*self.values.values(), *self.factors.values()]
        return {
            name: (float(d.quantile(u)), name in self.factors)
            for name, d, u in zip(self.names, every, draw.uniforms, strict=True)
        }

    def __str__(self) -> str:
        said = [f"{n} = {d}" for n, d in self.values.items()]
        return ", ".join([*said, *(f"{n} * {d}" for n, d in self.factors.items())])


class Parameters(Numbers):
    """Parameters that are uncertain; see `Numbers`."""

    @classmethod
    def within_bounds(cls, ude: UDE, names: Sequence[str] | None = None) -> Parameters:
        """Return parameters of a model that may be anything between their bounds.

        Parameters
        ----------
        ude : UDE
            The model.
        names : sequence of str, optional
            Which; all that its equations use if left out. Those declared so vary on a logarithmic
            scale.

        Raises
        ------
        EnsembleError
            If the model has no such parameter.
        """
        known = list(ude.used_parameters)
        found = {}
        check_names(names or (), known, "parameter")
        for name in known if names is None else names:
            p = ude.parameter(name)
            found[name] = Distribution("loguniform" if p.log else "uniform", p.bounds)
        return cls(found)


class InitialState(Numbers):
    """Initial states that are uncertain; see `Numbers`. A factor acts on all cells alike."""


@dataclass(frozen=True)
class Forcing:
    """Records that are uncertain by a factor or an offset, alike or as noise in time and space.

    Noise is a Gaussian copula: standard normal numbers, autoregressive in time with the correlation
    ``exp(-step / time)`` and correlated in space by ``exp(-distance / length)``, turned into the
    distribution. Multiplicative log-normal rain: McMillan et al. 2011,
    doi:10.1016/j.jhydrol.2011.01.026.

    Parameters
    ----------
    variable : str
        Which; in a coupled case ``"weather.prcp"``.
    factor, offset : Distribution, optional
        One of the two; tables such as ``{"lognormal": 0.3}`` do as well.
    units : str, optional
        Units of an offset.
    time : str, optional
        Time after which errors are correlated by 1/e, such as ``"3 d"``; ``"0 d"`` for errors
        without memory. Without, an error is the same at all times.
    length : str, optional
        The same distance, such as ``"50 km"``; without, an error is the same everywhere.
    """

    variable: str
    factor: Distribution | None = None
    offset: Distribution | None = None
    units: str | None = None
    time: str | None = None
    length: str | None = None

    def __post_init__(self) -> None:
        if (self.factor is None) == (self.offset is None):
            raise EnsembleError(
                f"The error of '{self.variable}' must be a factor or an offset, one of the two."
            )
        if (self.offset is None) != (self.units is None):
            raise EnsembleError(
                f"The error of '{self.variable}' needs units if it is an offset, and only then.",
                fix="Give units, such as 'K'",
            )
        for part in ("factor", "offset"):
            if getattr(self, part) is not None:
                object.__setattr__(self, part, distribution(getattr(self, part)))
        for text, unit, what in ((self.time, "s", "a time"), (self.length, "km", "a length")):
            if text is not None and quantity(text, unit, what) < 0:
                raise EnsembleError(f"'{text}' is below zero.")

    @property
    def columns(self) -> int:
        """How many numbers a draw has: noise has none, it has a seed."""
        return 1 if self.time is None and self.length is None else 0

    def apply(self, records: xr.Dataset, draw: Draw, name: str | None = None) -> xr.DataArray:
        """Return the records of the variable with their error.

        Parameters
        ----------
        records : xarray.Dataset
            The variable over ``time`` and at most one more dimension; with latitude and longitude
            of the latter where there is a correlation length.
        draw : Draw
            Which error.
        name : str, optional
            Name of the variable in the dataset, if another one.

        Raises
        ------
        EnsembleError
            If there is no such variable, or no place of its cells.
        """
        name = self.variable if name is None else name
        if name not in records:
            raise EnsembleError(
                f"The records have no '{name}' ({nearest(name, map(str, records.data_vars))})."
            )
        data = records[name].astype(float, copy=False)
        error = self._error(records, data, draw)
        if self.factor is not None:
            changed = data * error
        else:
            unit = units.require(data)
            size = [float(units.convert(k, str(self.units), unit)) for k in (1.0, 0.0)]
            changed = data + (size[0] - size[1]) * error
        return changed.transpose(*data.dims).assign_attrs(data.attrs).rename(name)

    def _error(self, records: xr.Dataset, data: xr.DataArray, draw: Draw) -> Any:
        import xarray as xr

        law = self.factor or self.offset
        assert law is not None
        if self.columns:
            return float(law.quantile(draw.uniforms[0]))
        others = [str(d) for d in data.dims if d != "time"]
        lower = None
        if self.length is not None and others:
            length = quantity(self.length, "km", "a length")
            lower = cholesky(places(records, others[0]), max(length, 1e-9))
        memory = None
        if self.time is not None:
            step = np.diff(data["time"].values[:2]).sum() / np.timedelta64(
                1, "s"
            )  # 0 of one record
            memory = float(np.exp(-step / max(quantity(self.time, "s", "a time"), 1e-9)))
        noise = correlated(draw.generator(), data.sizes["time"], memory, lower)
        values = law.of_normal(noise)
        dims = [d for d, known in (("time", memory), (others[:1], lower)) if known is not None]
        names = [d if isinstance(d, str) else d[0] for d in dims]
        return xr.Variable(names, values.reshape([data.sizes[d] for d in names]))

    def __str__(self) -> str:
        change = f"* {self.factor}" if self.factor else f"+ {self.offset} {self.units}"
        return f"{self.variable} {change}, time {self.time}, length {self.length}"


@dataclass(frozen=True)
class Fits:
    """Fits of one model, of which each member takes one, parameters and weights together.

    Parameters
    ----------
    fits : sequence of Surrogate
        For example from several seeds.

    Raises
    ------
    EnsembleError
        If there are none, or they are of different models, begin or are solved otherwise.
    """

    fits: Sequence[Surrogate]

    def __post_init__(self) -> None:
        if len({f.ude.fingerprint for f in self.fits}) != 1:
            raise EnsembleError("The fits are none, or of different models.", fix="Fit one model")
        if len({(f.begin, dataclasses.replace(f.options, fluxes=None)) for f in self.fits}) != 1:
            raise EnsembleError(
                "The fits begin, or are solved, in different ways, and members only in one.",
                fix="Fit all with the same 'begin' and solver options",
            )

    @property
    def columns(self) -> int:
        """How many numbers a draw has."""
        return 1

    def drawn(self, draw: Draw) -> Surrogate:
        """Return the fit of a draw."""
        return self.fits[min(int(draw.uniforms[0] * len(self.fits)), len(self.fits) - 1)]

    def __str__(self) -> str:
        every = [of_arrays(np.asarray(f.weights), *f.parameters.values()) for f in self.fits]
        return f"fits {', '.join(every)}"


@dataclass(frozen=True)
class Residual:
    """What a simulation gets wrong, by a residual model that was fitted to it.

    Added after the run: the output stays as it is, and a variable ``<output>_observable`` has what
    may be observed. Or, in a coupled case, injected: a member runs once without, its error is
    drawn, and it runs again with the error as water that goes into an input, or is taken from it,
    booked in the ledger as unobserved. What is injected upstream arrives downstream, too.

    Parameters
    ----------
    output : str
        Variable of the ensemble; in a coupled case ``"channel.discharge"``.
    posterior : ResidualPosterior, str or pathlib.Path
        As fitted, or the folder that it was saved in.
    inject : str, optional
        The input that it goes into, ``"channel.lateral_water_volume_transport"``, on the cells of
        the output and in a unit that its own can be converted to; added afterwards if left out.
        At sites of which one is upstream of another errors count twice: that of the lower one has
        been learned with what arrives from the upper one in it.
    """

    output: str
    posterior: ResidualPosterior | str | Path
    inject: str | None = None

    @property
    def columns(self) -> int:
        """How many numbers a draw has."""
        return 0

    def apply(self, simulated: xr.DataArray, draw: Draw) -> xr.DataArray:
        """Return one draw of what may be observed, in the dimensions and unit of the simulation.

        Raises
        ------
        DataError, UnitError
            As :meth:`hybridwater.residuals.ResidualPosterior.sample`.
        """
        seed = int(draw.generator().integers(2**31))
        drawn = self._loaded().sample(simulated, 1, seed=seed).isel(member=0, drop=True)
        return units.to_units(drawn, units.require(simulated))

    def _loaded(self) -> ResidualPosterior:
        if isinstance(self.posterior, str | Path):
            from hybridwater.residuals import ResidualPosterior

            object.__setattr__(self, "posterior", ResidualPosterior.load(self.posterior))
        assert not isinstance(self.posterior, str | Path)
        return self.posterior

    def __str__(self) -> str:
        where = f" into {self.inject}" if self.inject else ""
        drawn = of_arrays(*(values.numpy() for values in self._loaded().draws.values()))
        return f"residual of {self.output}{where}, posterior {drawn}"


Source = Parameters | InitialState | Forcing | Fits | ParameterPosterior | Residual | CouplerWeights


def decided(source: Source) -> set[str]:
    """Return what a source decides alone; forcing and injected errors act one by one."""
    if isinstance(source, Parameters | ParameterPosterior):
        return {f"parameter '{name}'" for name in source.names}
    if isinstance(source, InitialState):
        return {f"initial state '{name}'" for name in source.names}
    if isinstance(source, CouplerWeights):
        return {f"weights of '{source.of}'"}
    if isinstance(source, Residual) and source.inject is None:
        return {f"error of '{source.output}'"}
    return {"fit of the model"} if isinstance(source, Fits) else set()


def check_names(names: Sequence[str], known: Sequence[str], what: str) -> None:
    """Refuse names that there are not.

    Raises
    ------
    EnsembleError
        If one is not known.
    """
    for name in names:
        if name not in known:
            raise EnsembleError(f"There is no {what} '{name}' ({nearest(name, known)}).")
