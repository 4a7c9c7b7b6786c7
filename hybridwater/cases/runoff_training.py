"""Training the learned exchange from land to rivers of a coupled case on discharge.

What land gives and is like comes from a run of the case itself with an exchange that learned
nothing yet: it does not depend on what the exchange does, or the case is refused. Gradients then go
from discharge through the routing of the channel and the stores into the network; if a surrogate
stands between exchange and channel, through its equations, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.cases.gages import SEGMENT, days_of, held_out, read_gages, usable
from hybridwater.cases.training_table import Observations, Training
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.coupling import CoupledModel, Output
from hybridwater.errors import CaseError, HybridwaterError, WeightsError, nearest
from hybridwater.files import write_files

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.components.delaware_exchange import DelawarePlace
    from hybridwater.components.surrogate_flow import SurrogateFlow
    from hybridwater.mgn import RunoffCoupler, RunoffRecord

KIND = "learned-runoff"
SURROGATE = SurrogateComponent.name
CHANNELS = ("prms-channel", "prms-routing")
SKILL = "skill.csv"
DAY = 86400.0
"""Step of the exchange [s]."""

_TOLERANCE = 1e-4
"""Share of the water of a day that may still be under way when the training forgets it."""


@dataclass(frozen=True)
class Runoff:
    """An exchange from land to rivers that is to be trained.

    Parameters
    ----------
    case : CoupledCase
        In which it is `coupler`.
    training : Training
        How.
    name : str
        Of the component.
    place : DelawarePlace
        Where it is.
    coupler : RunoffCoupler
        That learned nothing yet.
    weights : pathlib.Path
        What will be written.
    """

    case: CoupledCase
    training: Training
    name: str
    place: DelawarePlace
    coupler: RunoffCoupler
    weights: Path

    @property
    def asked(self) -> Observations:
        """What it learns from."""
        assert self.training.observations is not None
        return self.training.observations


def prepare_runoff(case: CoupledCase, training: Training) -> Runoff:
    """Put an exchange that learned nothing yet in the place of the one that is to be trained.

    Parameters
    ----------
    case : CoupledCase
        With a component of the kind ``learned-runoff``.
    training : Training
        With observations.

    Raises
    ------
    CaseError
        If there is none or it is not clear which, its weights are those of the package, or what it
        gets depends on what it gives.
    SettingsError
        If a choice of the network is not possible.
    """
    import torch

    from hybridwater.components.delaware_exchange import delaware_place, untrained_coupler
    from hybridwater.mgn.configuration import CHOICES

    asked = training.observations
    assert asked is not None
    name = _find(case, asked)
    table = case.components[name]
    weights = table.analytic.options.get("weights", "of the Delaware")
    if not isinstance(weights, Path):
        raise CaseError(
            f"The weights '{weights}' come with the package and are not trained here.",
            table.table.where("weights"),
            "Name a file that ends in .safetensors",
        )
    known = [choice for choice in CHOICES if choice != "memory"]  # it has one of its own
    for choice in asked.network:
        if choice not in known:
            raise CaseError(
                f"There is no choice '{choice}' of a network ({nearest(choice, known)}).",
                asked.table.where("network"),
            )
    place = delaware_place()
    with _placed(asked), torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        coupler = untrained_coupler(place, unobserved=asked.unobserved, **asked.network)
    coupler.eval()  # or it would take the run for the data of its training
    model = dataclasses.replace(
        table.analytic, options={**table.analytic.options, "coupler": coupler}
    )
    components = {**case.components, name: dataclasses.replace(table, analytic=model)}
    case = dataclasses.replace(case, components=components)
    return Runoff(case, training, name, place, coupler, weights)


def train_runoff(
    runoff: Runoff, *, resume: bool = False, progress: bool | None = None
) -> pd.DataFrame | None:
    """Train an exchange from land to rivers, and write its weights and their card.

    Parameters
    ----------
    runoff : Runoff
        As it was prepared.
    resume : bool
        Whether to go on with a training that was interrupted.
    progress : bool, optional
        Whether to show bars; as in the settings if left out.

    Returns
    -------
    pandas.DataFrame or None
        Medians of NSE and KGE over gages, without and with the learned exchange; None if the
        training was interrupted.

    Raises
    ------
    CaseError, DataError
        If there is nothing to learn from, or days and gages do not fit the case.
    SettingsError, WeightsError
        As of :func:`hybridwater.mgn.train_on_discharge`.
    """
    from hybridwater.mgn import RunoffRecord, Schooling, train_on_discharge

    asked, coupler, routing = runoff.asked, runoff.coupler, runoff.place.routing
    with _placed(asked):
        schooling = Schooling(**asked.schooling)
    channel = _channel(runoff.case, runoff.name)
    observed = read_gages(asked, routing.network.size, runoff.training.reference, channel)
    land, through = _run(runoff, progress)
    times = land.indexes["time"]
    days = days_of(times, asked.period, asked.table.where("period"))
    test = None
    if asked.test is not None:
        test = days_of(times, asked.test, asked.table.where("test"))
        if (days & test).any():
            raise CaseError("Days of the test are learned from.", asked.table.where("test"))
    observed = usable(observed, times, asked)
    held = held_out(observed, asked)
    names = {"given": coupler.given, "signals": coupler.signals}
    last = int(np.flatnonzero(days)[-1]) + 1
    with _placed(asked):
        known = RunoffRecord.from_dataset(land.isel(time=slice(last)), observed, **names)
        losses = train_on_discharge(
            coupler,
            known,
            routing.at(observed[SEGMENT].values, tolerance=_TOLERANCE),
            schooling,
            days=days[:last],
            gages=np.flatnonzero(~held),
            through=through,
            directory=runoff.training.directory / runoff.name,
            resume=resume,
            seed=asked.seed,
            progress=progress,
        )
    if len(losses) < schooling.iterations:
        return None
    record = RunoffRecord.from_dataset(land, observed, **names)
    flows = _simulate(runoff, through, record, observed, times)
    skill = _skill(flows, observed, {"learned from": days, "test": test}, held)
    _release(runoff, known.digest(), observed["gage"].values[held], skill)
    text = skill.to_csv(index=False).encode()
    write_files({runoff.training.directory / SKILL: text}, error=WeightsError)
    return skill


def _find(case: CoupledCase, asked: Observations) -> str:
    """Return the name of the component that is trained."""
    found = [n for n, table in case.components.items() if table.analytic.kind == KIND]
    if asked.component is None and len(found) != 1:
        raise CaseError(
            f"There are {len(found)} components of the kind '{KIND}'.",
            asked.table.where(),
            "Name one of them: component = '...'" if found else "Put one between land and rivers",
        )
    name = asked.component or found[0]
    if name not in found:
        raise CaseError(
            f"'{name}' is no '{KIND}' ({nearest(name, found)}).", asked.table.where("component")
        )
    back = sorted(_reached(case, name) & {a for a, b in _edges(case) if b == name})
    if back:
        raise CaseError(
            f"What '{back[0]}' gives to '{name}' depends on what '{name}' does, and the training "
            "does not know how.",
            case.components[name].table.where(),
            "Train in a case without the exchanges that go back",
        )
    return name


@contextlib.contextmanager
def _placed(asked: Observations) -> Iterator[None]:
    """Say of what is refused in which table it stands."""
    try:
        yield
    except HybridwaterError as error:
        place = "; ".join(filter(None, (asked.table.where(), error.where)))
        raise type(error)(error.what, place, error.fix) from error


def _edges(case: CoupledCase) -> set[tuple[str, str]]:
    """Return which component depends on which: (giver, taker)."""
    ends = [(e.source, e.target) for e in case.exchanges]
    for demand in case.demands:
        ends += [(demand.demand, demand.supply), (demand.supply, demand.demand)]
    return {(a.partition(".")[0], b.partition(".")[0]) for a, b in ends}


def _reached(case: CoupledCase, name: str) -> set[str]:
    """Return all that depends on a component, over any number of exchanges."""
    found: set[str] = set()
    new = {name}
    while new:
        found |= new
        new = {b for a, b in _edges(case) if a in new} - found
    return found


def _channel(case: CoupledCase, name: str) -> str:
    """Return the component that takes what an exchange gives, or what a surrogate makes of it.

    Raises
    ------
    CaseError
        If gradients cannot go through what takes it.
    """
    channel, edges = "channel", sorted(_edges(case))
    ahead = [b for a, b in edges if a == name]
    for taker in ahead:
        kind = case.components[taker].model.kind
        if kind != SURROGATE and kind not in CHANNELS:
            raise CaseError(
                f"'{taker}' takes what '{name}' gives, and gradients cannot go through a component "
                f"of the kind '{kind}'.",
                case.components[taker].table.where(),
                f"Put a {' or '.join(CHANNELS)} there, or a surrogate of it",
            )
        behind = [b for a, b in edges if a == taker] if kind == SURROGATE else [taker]
        channel = (*behind, channel)[0]
    return channel


def _run(runoff: Runoff, progress: bool | None) -> tuple[xr.Dataset, SurrogateFlow | None]:
    """Return what the exchange gets, step by step, and the surrogate that is behind it, if any."""
    name, coupler, case = runoff.name, runoff.coupler, runoff.case
    wanted = {name: Output(tuple({**coupler.given, **coupler.signals}))}
    between = None
    if any(table.model.kind == SURROGATE for table in case.components.values()):
        with contextlib.closing(dataclasses.replace(case, outputs={}).build()) as model:
            between = _between(model, name, _reached(case, name))
    if between is not None and between.others:
        wanted[between.name] = Output(between.others)
    with contextlib.closing(dataclasses.replace(case, outputs=wanted).build()) as model:
        begin = None if between is None else model.component(between.name).get_state()
        model.run(case.end_of(model), progress=progress)
        land = model.output(name).drop_vars("time_bounds", errors="ignore").load()
        if between is None or begin is None:
            return land, None
        surrogate = model.component(between.name)
        assert isinstance(surrogate, SurrogateComponent)
        surrogate.set_state(begin)
        got = {v: model.output(between.name)[v].values for v in between.others}
        return land, surrogate.flow(between.taken, between.given, inputs=got)


@dataclass(frozen=True)
class _Between:
    """A surrogate between an exchange and a channel.

    Its name, the input that takes what the exchange gives, its output that goes on, and its other
    inputs that something gives.
    """

    name: str
    taken: str
    given: str
    others: tuple[str, ...]


def _between(model: CoupledModel, name: str, reached: set[str]) -> _Between | None:
    """Return the surrogate that takes what an exchange gives, or None.

    ``reached`` is all that depends on the exchange.
    """
    ahead = [link for link in model.links if link.source.name == name]
    found = [k.target for k in ahead if isinstance(k.target.component, SurrogateComponent)]
    if not found:
        return None
    between = found[0]
    onward = [link for link in model.links if link.source is between]
    others = [k for k in model.links if k.target is between and k not in ahead]
    given = {link.given.name for link in onward}
    again = [k for k in onward if isinstance(k.target.component, SurrogateComponent)]
    along = all(k.route.passes and not k.lag for k in (*ahead, *onward))
    circle = {k.source.name for k in others} & reached
    if len(ahead) > 1 or len(given) != 1 or again or not along or circle or between.step != DAY:
        raise CaseError(
            f"'{between.name}' stands between '{name}' and the channel, and gradients cannot go "
            "through it.",
            f"component '{between.name}'",
            f"Let all that '{name}' gives go to one surrogate on the same cells, in the same unit "
            "and without a lag; let it step by days, get nothing else that depends on this, and "
            "one output of it go on to the channel",
        )
    inputs = dict.fromkeys(link.taken.name for link in others)
    return _Between(between.name, ahead[0].taken.name, given.pop(), tuple(inputs))


def _simulate(
    runoff: Runoff,
    through: SurrogateFlow | None,
    record: RunoffRecord,
    observed: xr.DataArray,
    times: pd.DatetimeIndex,
) -> dict[str, xr.DataArray]:
    """Return discharge at the gages without and with the learned exchange."""
    import torch
    import xarray as xr

    coupler, routing = runoff.coupler, runoff.place.routing
    with torch.no_grad():
        leaving = {"without": record.given.sum(-1)}
        leaving["with"] = coupler(record.given, record.signals)[0].leaving
        found = {}
        for name, left in leaving.items():
            onward = left if through is None else through(left)[0]
            flow = routing.route(coupler.arriving(onward)).discharge.numpy()
            found[name] = xr.DataArray(
                flow[:, observed[SEGMENT].values],
                {"time": times, "gage": observed["gage"].values},
                ("time", "gage"),
                attrs={"units": "m3 s-1"},
            )
    return found


def _skill(
    flows: dict[str, xr.DataArray],
    observed: xr.DataArray,
    parts: dict[str, np.ndarray | None],
    held: np.ndarray,
) -> pd.DataFrame:
    import pandas as pd

    from hybridwater import scores

    truth = observed.reset_coords(drop=True).reindex(time=flows["with"]["time"])
    rows = []
    for part, days in parts.items():
        for gages, which in (("learned from", ~held), ("held out", held)):
            if days is None or not which.any():
                continue
            row: dict[str, Any] = {"days": part, "gages": gages, "count": int(which.sum())}
            for score in (scores.nse, scores.kge):
                for name, flow in flows.items():
                    found = score(flow[days][:, which], truth[days][:, which])
                    row[f"{score.__name__.upper()} {name}"] = float(found.median())
            rows.append(row)
    return pd.DataFrame(rows)


def _release(runoff: Runoff, record: str, held: np.ndarray, skill: pd.DataFrame) -> None:
    """Write weights and their card."""
    from hybridwater.mgn.cards import write_card

    asked = runoff.asked
    runoff.coupler.save(runoff.weights)
    data = {
        "discharge": getattr(asked.discharge, "name", asked.discharge) or "",
        "segments_of_reference": list(asked.segments),
        "period": list(asked.period),
        "held_out": [str(name) for name in held],
        "record": record,
        "seed": asked.seed,
        "schooling": {k: dict(v) if k == "loss" else v for k, v in asked.schooling.items()},
    }
    text = (
        "Weights of a learned exchange from land to the rivers of the Delaware. Medians over gages "
        "of NSE and KGE of daily discharge, without and with it; those of the test and of held-out "
        "gages are the ones that count. Offsets of cells belong to this land."
    )
    write_card(runoff.weights, title=runoff.weights.stem, text=text, data=data, errors=skill)
