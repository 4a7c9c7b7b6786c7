"""Training a learned exchange on observed discharge, through a differentiable routing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hybridwater.data.times import check_time
from hybridwater.errors import DataError, SettingsError, nearest
from hybridwater.mgn import parallel
from hybridwater.mgn.course import Course
from hybridwater.mgn.routing import GageRouting
from hybridwater.mgn.runoff import RunoffCoupler
from hybridwater.training.losses import Reference, make_loss

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, eq=False)
class RunoffRecord:
    """What land gave, what it was like, and what was observed, day by day.

    Parameters
    ----------
    given : torch.Tensor
        Shape (n_days, n_cells, n_given), in kg m-2 d-1.
    signals : torch.Tensor
        Shape (n_days, n_cells, n_signals).
    observed : torch.Tensor
        Shape (n_days, n_gages), in m3 s-1; NaN where missing.

    Raises
    ------
    DataError
        If shapes do not fit, or what land gave is not finite.
    """

    given: Tensor
    signals: Tensor
    observed: Tensor

    def __post_init__(self) -> None:
        days = {len(x) for x in (self.given, self.signals, self.observed)}
        if len(days) != 1 or self.given.shape[1] != self.signals.shape[1]:
            raise DataError(
                f"What land gave, signals and observations have the shapes "
                f"{tuple(self.given.shape)}, {tuple(self.signals.shape)} and "
                f"{tuple(self.observed.shape)}.",
                fix="Give the same days, and the same cells of the land",
            )
        bad = ~torch.isfinite(self.given)
        if bool(bad.any()):
            day, cell, flux = torch.nonzero(bad)[0].tolist()
            raise DataError(
                f"{int(bad.sum())} values of what land gave are not finite.",
                f"day {day}, cell {cell}, flux {flux}",
                "Fill gaps before",
            )

    @classmethod
    def from_dataset(
        cls,
        land: xr.Dataset,
        observed: xr.DataArray,
        *,
        given: Iterable[str],
        signals: Mapping[str, str],
    ) -> RunoffRecord:
        """Make a record of the outputs of a coupled run.

        Parameters
        ----------
        land : xarray.Dataset
            Variables over ``time``, day by day, and one dimension of cells; fluxes in units of
            kg m-2 d-1.
        observed : xarray.DataArray
            Discharge over ``time`` and one dimension of gages, in units of m3 s-1. Times without
            are missing.
        given : iterable of str
            Names of fluxes, such as ``coupler.given``.
        signals : mapping of str to str
            Names of variables and the units in which they are read, such as ``coupler.signals``.

        Raises
        ------
        DataError
            If a variable is missing, times of the land are not days in their order without a gap,
            or a time of the observations is there twice.
        UnitError
            If units do not fit.
        """
        from hybridwater import units

        for name in (*given, *signals):
            if name not in land:
                raise DataError(f"'{name}' is missing: {nearest(name, map(str, land.data_vars))}")
        step = check_time(land)
        if step.total_seconds() != 86400.0:
            raise DataError(f"The steps are {step} long, not a day.", fix="Give means of days")
        times = observed.indexes.get("time")
        if times is None or not times.is_unique:
            raise DataError(
                "The observations have no times, or one of them twice.",
                fix='Keep one of the two: observed.drop_duplicates("time")',
            )
        fluxes = [units.to_units(land[n], "kg m-2 d-1") for n in given]
        flow = units.to_units(observed, "m3 s-1").transpose("time", ...)
        flow = flow.reindex(time=land["time"])

        def stacked(parts: Sequence[xr.DataArray]) -> Tensor:
            arrays = [part.transpose("time", ...).values.astype(float) for part in parts]
            return torch.from_numpy(np.stack(arrays, axis=-1))

        return cls(
            stacked(fluxes),
            stacked([units.to_units(land[n], unit) for n, unit in signals.items()]),
            torch.from_numpy(flow.values.astype(float)),
        )

    def to(self, device: torch.device | str) -> RunoffRecord:
        """Return it on another device."""
        return RunoffRecord(*(x.to(device) for x in (self.given, self.signals, self.observed)))

    def digest(self) -> str:
        """Return a digest of the numbers."""
        found = hashlib.sha256()
        for tensor in (self.given, self.signals, self.observed):
            found.update(tensor.cpu().numpy().tobytes())
        return found.hexdigest()


class Behind(Protocol):
    """What takes the water of an exchange and gives it on, so that torch can differentiate it.

    Attributes
    ----------
    initial : torch.Tensor
        State before the first day, shape (n_cells, n_states).
    """

    initial: Tensor

    def __call__(
        self, inflow: Tensor, state: Tensor | None = None, first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return what goes on, shape (n_days, n_cells), and the states after each day.

        Parameters
        ----------
        inflow : torch.Tensor
            Shape (n_days, n_cells).
        state : torch.Tensor, optional
            Before the first of these days.
        first : int
            Which day of the record that is.
        """
        ...

    def digest(self) -> str:
        """Return a digest of all that the result depends on."""
        ...


@dataclass(frozen=True)
class Schooling:
    """How a learned exchange is trained.

    Parameters
    ----------
    iterations : int
        Steps of the optimiser (AdamW).
    silent : int
        The first of these steps, in which the network says nothing: offsets of cells are learned
        alone, on all days at once.
    window : int
        Days in the loss of each later step, drawn at random: by each process its own.
    warm : int
        Days before them that are routed, so that rivers are full.
    rate, place_rate : float
        Learning rates of weights and of offsets at the beginning; they fall to a tenth.
    decay : float
        Weight decay.
    prior : float
        Weight of the prior of what the network says.
    smooth, small : float
        Weights of the priors of offsets: that neighbours are alike, and of their size.
    loss : tuple of (str, float)
        Losses of `hybridwater.training.losses` and their weights.
    refresh : int
        Steps after which the contents of the stores, where windows begin, are computed anew.

    Raises
    ------
    SettingsError
        If a number is not possible.
    """

    iterations: int = 90
    silent: int = 50
    window: int = 90
    warm: int = 20
    rate: float = 1e-2
    place_rate: float = 5e-2
    decay: float = 1e-2
    prior: float = 0.3
    smooth: float = 0.3
    small: float = 0.01
    loss: tuple[tuple[str, float], ...] = (("nse", 1.0), ("kge", 0.3))
    refresh: int = 25

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", tuple((str(n), float(w)) for n, w in self.loss))
        make_loss(dict(self.loss))
        for name in ("iterations", "window", "refresh"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}={getattr(self, name)} is less than 1.", "schooling")
        weights = (self.silent, self.warm, self.decay, self.prior, self.smooth, self.small)
        if min(weights) < 0 or not min(self.rate, self.place_rate) > 0.0:
            raise SettingsError("A weight of the loss is negative, or a rate not positive.")


def train_on_discharge(
    coupler: RunoffCoupler,
    record: RunoffRecord,
    routing: GageRouting,
    schooling: Schooling | None = None,
    *,
    days: np.ndarray | None = None,
    gages: np.ndarray | Sequence[int] | None = None,
    through: Behind | None = None,
    directory: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: bool | None = None,
    checkpoint_every: int = 25,
) -> pd.DataFrame:
    """Train an exchange so that discharge at gages is as observed; Ctrl-C ends it.

    Gradients go from the observations through the routing, a surrogate if one is between, and the
    stores into the network. The loss of each gage is damped by ``log(1 + loss)``: a gage below a
    reservoir, which no weights can mend, does not decide the training.

    Parameters
    ----------
    coupler : RunoffCoupler
        Trained in place; in evaluation mode afterwards.
    record : RunoffRecord
        From the first day on which the stores are empty.
    routing : GageRouting
        To the gages of the record.
    schooling : Schooling, optional
        How.
    days : array_like of bool, optional
        Shape (n_days,): days whose observations count; all of them by default.
    gages : array_like of int, optional
        Gages whose observations count; all of them by default.
    through : Behind, optional
        A surrogate on the cells of the land, which takes what leaves the exchange and gives what
        goes on to the rivers, both in kg m-2 d-1; from `SurrogateComponent.flow`. Its steps are
        days, and its first one is that of the record.
    directory : path-like, optional
        Run directory, as of `train_dynamics`; in the end ``coupler.safetensors`` and
        ``losses.csv``.
    resume : bool
        Whether to go on with a run in that directory. It ends as if it had not been interrupted.
    seed : int
        Of the windows.
    progress : bool, optional
        Whether to show a bar; as in the settings if left out.
    checkpoint_every : int
        Iterations between checkpoints.

    Returns
    -------
    pandas.DataFrame
        ``iteration``, ``loss``, ``seconds``.

    Raises
    ------
    DataError
        If shapes do not fit, or there are no observations to learn from.
    ComponentError, ComponentFailed
        If the surrogate has other cells, or cannot be solved.
    SettingsError
        If the window is longer than the record, or there is another run in the directory.
    WeightsError
        If the training diverges, a checkpoint is damaged, or nothing can be written.
    """
    plan = schooling or Schooling()
    school = _School(coupler, record, routing, plan, days, gages, seed, through)
    return school.conduct(directory, resume, checkpoint_every, progress)


class _School(Course):
    title, weights = "learned exchange", "coupler.safetensors"

    def __init__(
        self,
        coupler: RunoffCoupler,
        record: RunoffRecord,
        routing: GageRouting,
        schooling: Schooling,
        days: np.ndarray | None,
        gages: np.ndarray | Sequence[int] | None,
        seed: int,
        through: Behind | None,
    ) -> None:
        device = coupler.offsets.device
        self.coupler, self.record = coupler, record.to(device)
        self.routing = GageRouting(routing.response.to(device))
        self.schooling, self.seed, self.through = schooling, seed, through
        count = record.observed.shape[1]
        if routing.response.shape[1] != count:
            raise DataError(
                f"The routing goes to {routing.response.shape[1]} gages, the record has {count}."
            )
        columns = np.arange(count)[_all(gages, count)]
        rows = np.zeros(len(record.observed), dtype=bool)
        rows[_all(days, len(rows))] = True
        self.gages, counted = (torch.from_numpy(x).to(device) for x in (columns, rows))
        self.observed = self.record.observed[:, self.gages].clone()
        self.observed[~counted] = torch.nan
        if not bool(torch.isfinite(self.observed).any(dim=0).all()):
            raise DataError("A gage has no observations on the days that count.")
        self.starts = self._starts(rows)
        self.reference = Reference.of(self.observed.T)
        self.loss = make_loss(dict(schooling.loss))
        self.features = coupler.remember(self.record.signals)[0]
        coupler.acquaint(self.record.given[counted], self.features[counted])
        optimiser = torch.optim.AdamW(
            [
                {"params": coupler.network.parameters(), "weight_decay": schooling.decay},
                {"params": [coupler.offsets], "weight_decay": 0.0},
            ]
        )
        super().__init__(coupler, optimiser, schooling.iterations, seed)
        shape = (len(counted), record.given.shape[1], 2)
        self.stores = torch.zeros(shape, dtype=torch.float64, device=device)
        self.states = None if through is None else through.initial.expand(len(counted), -1, -1)

    def _starts(self, counted: np.ndarray) -> np.ndarray:
        """Return the days on which a window can begin: most of its days count."""
        window = self.schooling.window
        if len(counted) < window:
            raise SettingsError(
                f"The window has {window} days, the record {len(counted)}.",
                fix="Shorten the window, or give a longer record",
            )
        share = np.convolve(counted, np.ones(window), mode="valid") / window
        return np.flatnonzero(share >= min(0.75, share.max()))

    def configuration(self) -> dict[str, Any]:
        """Return what makes this run this run."""
        digest = hashlib.sha256(self.routing.response.cpu().numpy().tobytes())
        digest.update(self.observed.cpu().numpy().tobytes())
        behind = {} if self.through is None else {"through": self.through.digest()}
        return behind | {
            "architecture": self.coupler.network.architecture.to_dict(),
            "coupler": self.coupler.about(),
            "schooling": dataclasses.asdict(self.schooling) | {"loss": dict(self.schooling.loss)},
            "record": self.record.digest(),
            "targets": digest.hexdigest(),
            "seed": self.seed,
            "windows": parallel.processes(),
        }

    def _rates(self) -> list[float]:
        fallen = 0.1 ** (len(self.losses) / self.iterations)
        return [rate * fallen for rate in (self.schooling.rate, self.schooling.place_rate)]

    def _loss(self) -> Tensor:
        plan, done = self.schooling, len(self.losses)
        silent = done < plan.silent
        if not silent and (done - plan.silent) % plan.refresh == 0:
            self._refresh()
        start, window = 0, len(self.observed)
        if not silent:
            drawn = self.random.choice(self.starts, size=parallel.processes())
            start, window = int(parallel.part(torch.from_numpy(drawn))), plan.window
        first = max(start - plan.warm, 0)
        rows = slice(first, start + window)
        before = self.stores[first - 1] if first else None
        found = self.coupler.exchange(
            self.record.given[rows], self.features[rows], before, silent=silent
        )
        leaving = self._behind(found.leaving, first)[0]
        flow = self.routing(self.coupler.arriving(leaving))[start - first :, self.gages].T
        observed = self.observed[start : start + window].T
        seen = torch.isfinite(observed).any(dim=1)
        misfit = self.loss(flow[seen], observed[seen], self.reference.select(seen))
        rough, size = self.coupler.roughness
        loss = torch.log1p(misfit).mean() + plan.prior * found.surprise
        return loss + plan.smooth * rough + plan.small * size

    def _behind(self, leaving: Tensor, first: int = 0) -> tuple[Tensor, Tensor | None]:
        """Return what a surrogate makes of what leaves from a day on, and its states."""
        if self.through is None:
            return leaving, None
        before = self.states[first - 1] if first and self.states is not None else None
        return self.through(leaving, before, first)

    def _refresh(self) -> None:
        self.coupler.eval()
        with torch.no_grad():
            whole = self.coupler.exchange(self.record.given, self.features)
            self.stores, self.states = whole.stores, self._behind(whole.leaving)[1]
        self.coupler.train()

    def _own(self) -> dict[str, Any]:
        return {"stores": self.stores, "states": self.states}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        super().restore(state)
        self.stores = state["stores"].to(self.device)
        self.states = None if self.through is None else state["states"].to(self.device)

    def _save(self, path: Path) -> None:
        self.coupler.save(path)


def _all(chosen: Any, count: int) -> np.ndarray:
    return np.arange(count) if chosen is None else np.asarray(chosen)
