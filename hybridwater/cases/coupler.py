"""Training the learned exchanges of a coupled case: on a reference run, and on discharge."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.cases.runoff_training import prepare_runoff, train_runoff
from hybridwater.components.base import Variable
from hybridwater.coupling import Learned
from hybridwater.coupling.clock import Participant
from hybridwater.coupling.learned import is_learned, make_learned, scaling
from hybridwater.coupling.link import Link, cells_of
from hybridwater.coupling.route import Cells
from hybridwater.errors import CaseError, DataError, WeightsError, nearest
from hybridwater.files import open_netcdf, write_files
from hybridwater.units import linear

if TYPE_CHECKING:
    import pandas as pd

    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.cases.training_table import Training
    from hybridwater.mgn import LearnedRemap, Samples

ERRORS = "errors.csv"

_UNBALANCED = 1e-3
"""Share by which what arrived may differ from what was given, over all times."""


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Parameters
    ----------
    errors : pandas.DataFrame
        Per exchange and part of the times: errors of the baseline and of the learned exchange.
    weights : list of pathlib.Path
        What was written.
    interrupted : bool
        Whether it can go on.
    skill : pandas.DataFrame, optional
        Of what was trained on discharge, as of `train_runoff`.
    """

    errors: pd.DataFrame
    weights: list[Path]
    interrupted: bool
    skill: pd.DataFrame | None = None


def train_coupler(
    case: CoupledCase, *, resume: bool = False, progress: bool | None = None
) -> Trained:
    """Train the learned exchanges of a case, one after another, and write weights and cards.

    Parameters
    ----------
    case : CoupledCase
        With ``[train]``: a reference, from which exchanges with ``remap = "learned"`` learn;
        observations, from which a component of the kind ``learned-runoff`` learns; or both.
    resume : bool
        Whether to go on with a training that was interrupted.
    progress : bool, optional
        Whether to show a bar; as in the settings if left out.

    Raises
    ------
    CaseError, DataError
        If there is nothing to train or to train on, or the reference does not fit the case.
    SettingsError, WeightsError
        As of :func:`hybridwater.mgn.fit_remap` and :func:`hybridwater.mgn.train_on_discharge`.
    """
    import pandas as pd

    training = case.training
    if training is None:
        raise CaseError("There is no table [train].", str(case.path), "Add reference = '...'")
    if training.observations is None:
        return _train_exchanges(case, training, resume, progress)
    runoff = prepare_runoff(case, training)
    found = Trained(pd.DataFrame(), [], interrupted=False)
    if training.reference is not None and any(map(is_learned, case.exchanges)):
        found = _train_exchanges(runoff.case, training, resume, progress)
    if found.interrupted:
        return found
    skill = train_runoff(runoff, resume=resume, progress=progress)
    if skill is None:
        return dataclasses.replace(found, interrupted=True)
    return dataclasses.replace(found, weights=[*found.weights, runoff.weights], skill=skill)


def _train_exchanges(
    case: CoupledCase, training: Training, resume: bool, progress: bool | None
) -> Trained:
    """Train the exchanges whose remap is learned on the reference."""
    import pandas as pd

    assert training.reference is not None
    rows: list[dict[str, Any]] = []
    written: list[Path] = []
    # Closed at once where a training fails or is interrupted, and with it the model.
    with contextlib.closing(_untrained(case, training)) as every:
        for link, remap, weights in every:
            series = _Reference(training.reference, link, remap)
            samples = series.samples()
            split = round(len(samples[0]) * (1.0 - training.held_out))
            warmup = training.choices.get("warmup", 0)
            if len(samples[0]) - split <= warmup:
                raise DataError(
                    f"{len(samples[0]) - split} times are held out, and {warmup} of them do not "
                    "count, so that nothing is left to test on.",
                    f"exchange '{link.label}', [train]",
                    "Raise held_out, shorten warmup, or give a longer reference",
                )
            first = series.part(samples, slice(None, split))
            rest = series.part(samples, slice(split, None))
            if not _fit(remap, first, training, link.label, resume, progress):
                return Trained(pd.DataFrame(rows), written, interrupted=True)
            found = [
                {"exchange": link.label, "part": name, **_assess(remap, part, warmup)}
                for name, part in (("train", first), ("held out", rest))
            ]
            rows += found
            _release(remap, weights, link, training, series, pd.DataFrame(found))
            written.append(weights)
    if not rows:
        raise CaseError(
            "No exchange is learned.", str(case.path), 'Write remap = "learned" in one of them'
        )
    errors = pd.DataFrame(rows)
    text = errors.to_csv(index=False).encode()
    write_files({training.directory / ERRORS: text}, error=WeightsError)
    return Trained(errors, written, interrupted=False)


def _untrained(case: CoupledCase, training: Training) -> Generator[tuple[Link, LearnedRemap, Path]]:
    """Yield each learned exchange as it is connected, its remap before training, and its file."""
    import torch

    exchanges = case.exchanges_read()
    # None is read of weights that are yet to be made: the model is connected by baselines.
    plain = tuple(
        dataclasses.replace(e, remap=e.learned.baseline) if isinstance(e.learned, Learned) else e
        for e in exchanges
    )
    with contextlib.closing(dataclasses.replace(case, exchanges=plain).build()) as model:
        links = {link.label: link for link in model.links}
        for exchange in exchanges:
            own = exchange.learned
            if not (is_learned(exchange) and isinstance(own, Learned)):
                continue
            where, weights = f"exchange '{exchange.label}'", Path(own.weights)
            if weights.suffix != ".safetensors":
                raise CaseError(
                    f"The weights '{weights}' come with the package and are not trained here.",
                    where,
                    "Name a file that ends in .safetensors",
                )
            link = links[exchange.label]
            ends = {
                "source": (link.source, cells_of(link.source, link.given)),
                "target": (link.target, cells_of(link.target, link.taken)),
            }
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(training.choices.get("seed", 0))
                value = 1.0 / _per_cell(ends["target"][1], link.label)
                remap = make_learned(exchange, ends, where, value, step=link.source.step)
                yield link, remap, weights


Arrays = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


class _Reference:
    """What a reference run says of one exchange.

    Parameters
    ----------
    path : pathlib.Path
        A run directory, or one file.
    link : Link
        The exchange.
    remap : LearnedRemap
        What is trained.
    """

    def __init__(self, path: Path, link: Link, remap: LearnedRemap) -> None:
        self.path, self.link, self.remap = path, link, remap
        self.times: np.ndarray | None = None

    def samples(self) -> Arrays:
        """Return what was given, what arrived, and the states when it was given.

        Records are steps, and states those at their ends: the target's are those of the step
        before, so that the first record is not used.
        """
        link = self.link
        here, there = cells_of(link.source, link.given), cells_of(link.target, link.taken)
        given = self._values(link.source, link.given, here) * _per_cell(here, link.label)
        given = given * link.exchange.share
        arrived = self._values(link.target, link.taken, there) * _per_cell(there, link.label)
        total, came = float((given @ self.remap.source_fraction).sum()), float(arrived.sum())
        closed = not self.remap.correction.unobserved
        if closed and abs(came - total) > _UNBALANCED * max(abs(total), abs(came)):
            raise DataError(
                f"{came:.6g} arrived of {total:.6g} that was given, in all.",
                f"exchange '{link.label}', reference '{self.path}'",
                "Give a reference in which nothing else goes into that variable, without a lag, or "
                "let the exchange have an unobserved flux",
            )
        states = {}
        for end, participant, cells, rows in (
            ("source", link.source, here, slice(1, None)),
            ("target", link.target, there, slice(None, -1)),
        ):
            names = self.remap.states[end]
            if names:
                found = [self._state(participant, cells, n, unit) for n, unit in names.items()]
                states[end] = np.stack(found, axis=-1)[rows]
        return given[1:], arrived[1:], states

    def part(self, samples: Arrays, rows: slice) -> Samples:
        """Return some of the samples."""
        from hybridwater.mgn import Samples

        given, arrived, states = samples
        return Samples(
            self.remap, given[rows], arrived[rows], {n: v[rows] for n, v in states.items()}
        )

    def _state(self, participant: Participant, cells: Cells, name: str, unit: str) -> np.ndarray:
        variable = participant.component.variable(name)
        factor, offset = scaling(cells, variable.units, unit)
        return self._values(participant, variable, cells) * factor + offset

    def _values(self, participant: Participant, variable: Variable, cells: Cells) -> np.ndarray:
        """Return values of shape (time, cell) in the unit of the variable."""
        file, name = self.path, f"{participant.name}.{variable.name}"
        if self.path.is_dir():
            file, name = self.path / f"{participant.name}.nc", variable.name
        place = f"reference '{file}', variable '{name}'"
        with open_netcdf(file, DataError, lazy=True) as data:
            if name not in data:
                raise DataError(
                    f"There is no variable '{name}' ({nearest(name, map(str, data.data_vars))}).",
                    place,
                    "Keep it in the reference run: [output] variables; inputs can be kept as well",
                )
            found = data[name].load()
        if found.ndim != 2 or found.dims[0] != "time" or found.shape[1] != cells.count:
            raise DataError(
                f"Its dimensions are {dict(found.sizes)}, not time and {cells.count} cells.", place
            )
        times = found["time"].values
        if self.times is None:
            self.times = times
        if len(times) < 4 or not np.array_equal(times, self.times):
            raise DataError(
                "Its times are not those of the other variables of the exchange, or less than 4.",
                place,
                "Keep the steps of source and target at the same times",
            )
        slope, offset, _ = linear(found.attrs.get("units", variable.units), variable.units)
        return found.values.astype(float) * slope + offset


def _per_cell(cells: Cells, label: str) -> np.ndarray | float:
    """Return what makes amounts of values: kilograms, or value times area for what is no water."""
    if cells.measure.form != "other" or cells.areas is None:
        return cells.kilograms(f"exchange '{label}'")
    return cells.areas


def _fit(
    remap: LearnedRemap,
    samples: Samples,
    training: Training,
    label: str,
    resume: bool,
    progress: bool | None,
) -> bool:
    """Train; return whether it was not interrupted."""
    from hybridwater.mgn import Study, fit_remap

    folder = training.directory / re.sub(r"[^\w.]+", "-", label)
    losses = fit_remap(
        remap,
        samples.given.numpy(),
        samples.arrived.numpy(),
        states={name: values.numpy() for name, values in samples.states.items()},
        directory=folder,
        resume=resume,
        progress=progress,
        **training.choices,
    )
    return len(losses) >= Study(**training.choices).iterations


def _assess(remap: LearnedRemap, samples: Samples, warmup: int) -> dict[str, Any]:
    from hybridwater.mgn import assess_remap

    return {"samples": len(samples), **assess_remap(remap, samples, warmup)}


def _release(
    remap: LearnedRemap,
    weights: Path,
    link: Link,
    training: Training,
    series: _Reference,
    errors: pd.DataFrame,
) -> None:
    """Write weights and their card."""
    from hybridwater.mgn.cards import write_card

    assert series.times is not None
    data = {
        "reference": series.path.name,
        "exchange": link.label,
        "begin": str(series.times[0]),
        "end": str(series.times[-1]),
        "held_out": training.held_out,
        "training": dict(training.choices),
    }
    remap.save(weights, {"exchange": link.label})
    reads = [
        f"{name} ({unit}) of the {end}"
        for end, of in remap.states.items()
        for name, unit in of.items()
    ]
    features = {
        end: names[1 + len(remap.states[end]) :]
        for end, names in remap.correction.network.architecture.inputs.items()
    }
    static = [f"{name} of the {end}" for end, names in features.items() for name in names]
    text = (
        f"Weights of the learned exchange `{link.label}`. Beside what is given and what arrives, "
        f"they read {', '.join(reads) or 'no states'}, and {', '.join(static) or 'no features'}. "
        "Errors are mean squares per area, relative to the mean that arrives; those of held-out "
        "times are the ones that count. Do not use them where many steps are out of their range: "
        "a run says so."
    )
    write_card(weights, title=weights.stem, text=text, data=data, errors=errors)
