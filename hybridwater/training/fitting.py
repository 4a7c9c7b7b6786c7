"""Fitting a model to observations: the one function that people call."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from hybridwater.engines import get_engine
from hybridwater.engines.base import FIXED_STEP
from hybridwater.engines.simulation import read_options
from hybridwater.errors import SettingsError, nearest
from hybridwater.training import rundir
from hybridwater.training.losses import make_loss, make_residuals
from hybridwater.training.objective import Objective
from hybridwater.training.problem import Beginning, Period, Problem, make_problem
from hybridwater.training.progress import progress
from hybridwater.training.ranges import Ranges
from hybridwater.training.regional import ParameterNetwork
from hybridwater.training.schedule import Stage, check_schedule, default_schedule
from hybridwater.training.sharing import Local, Regional, Shared
from hybridwater.training.starting import fingerprint, go_on_from
from hybridwater.training.surrogate import Surrogate
from hybridwater.training.trainer import Trainer
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)

#: What basins may share in a fit without attributes.
SHARING = ("nothing", "networks")


def fit(
    ude: UDE,
    data: xr.Dataset,
    *,
    observed: Mapping[str, str],
    train: Period | slice,
    validation: Period | slice | float | None = None,
    test: Period | slice | None = None,
    warmup: int = 365,
    begin: Beginning = "initial",
    start: Surrogate | None = None,
    loss: str | Mapping[str, float] = "nse",
    schedule: Sequence[Stage] | None = None,
    restarts: int = 1,
    share: Literal["nothing", "networks"] = "nothing",
    attributes: Sequence[str] | None = None,
    attribute_hidden: tuple[int, ...] = (64, 64),
    basin_offsets: bool = False,
    dropout: float = 0.2,
    assess_every: int = 5,
    patience: int = 20,
    seed: int = 0,
    engine: str | None = None,
    directory: str | Path | None = None,
    resume: bool = False,
    show_progress: bool | None = None,
    **options: Any,
) -> Surrogate:
    """Fit a model's parameters and networks to observations.

    Without ``attributes`` every basin gets parameters and networks of its own; all basins are
    trained side by side. With ``share="networks"`` basins keep parameters of their own but share
    the networks. With ``attributes`` the fit is regional: the networks are shared by all
    basins, and a further network gives each basin its parameters from its static attributes.

    Parameters
    ----------
    ude : UDE
        The model.
    data : xarray.Dataset
        Forcing and observations with units, dims (time) or (basin, time); attributes (basin).
    observed : mapping of str to str
        Flux or state of the model to variable of the data, for example ``{"q": "qobs"}``; of a
        state, observations at the end of each record. All count alike; the first is the one that
        skill is told of.
    train, validation, test : (str, str) or slice
        Periods, ends included. ``validation`` may be a fraction: that last part of ``train``. The
        best parameters are those with the lowest loss in validation, or in training if there is
        no validation. ``test`` is never looked at here; it is remembered for the report.
    warmup : int
        Records at the beginning that are simulated but do not count.
    begin : {"initial", "observed", "steady"}
        Whether training begins at the declared initial states, or, in every window, at the observed
        ones: for states that are known exactly, such as those of another model. ``"steady"``: at
        the equilibrium under the mean of the forcing, which depends on what is trained; the
        fit then simulates in this way, too.
    start : Surrogate, optional
        A fit of the same model to go on from: parameters and weights of each basin. A long period
        that is hard to fit at once can be reached from windows (``begin="observed"``), or from a
        shorter one.
    loss : str or mapping of str to float
        See :func:`hybridwater.training.make_loss`.
    schedule : sequence of Stage, optional
        See :func:`hybridwater.training.default_schedule`. The optimiser ``lm`` is refused with
        attributes, ``share="networks"`` or a loss other than ``mse``, ``nse``, ``log_nse`` and sums
        of them.
    restarts : int
        Fits per basin from different beginnings, side by side; the best is kept.
    share : {"nothing", "networks"}
        What basins share in a fit without attributes.
    attributes : sequence of str, optional
        Static attributes, for a regional fit.
    attribute_hidden : tuple of int
        Hidden layers of the network from attributes to parameters.
    basin_offsets : bool
        Whether, in a regional fit, each basin's parameters may also depart from what the network
        makes of its attributes. Better for basins with a gauge; others use the network alone, which
        is then worse for not having been trained alone.
    dropout : float
        Share of its units that are left out at random in training.
    assess_every, patience : int
        Epochs between assessments; assessments without improvement after which a stage ends.
    seed : int
        The same seed gives the same fit.
    engine : str, optional
        Name of the engine; the one in the settings if left out.
    directory : str or pathlib.Path, optional
        Run directory: configuration, environment, checkpoints, metrics, weights.
    resume : bool
        Whether to go on from the checkpoint in the run directory, if there is one. A finished run
        is loaded.
    show_progress : bool, optional
        Whether to show a progress bar; as in the settings if left out.
    **options
        Solver options (:class:`hybridwater.engines.Options`); record-wise RK4 by default.

    Returns
    -------
    Surrogate

    Raises
    ------
    DataError, UnitError, DeclarationError, SettingsError
        If the input cannot be used; nothing is written then.
    SolveFailed
        If no entry can be solved.
    """
    if share not in SHARING:
        raise SettingsError(f"share={share!r} is not known ({nearest(str(share), SHARING)}).")
    if restarts < 1 or ((attributes or share == "networks") and restarts > 1):
        raise SettingsError(
            f"restarts={restarts} is not possible here.",
            fix="Use at least 1, and 1 where basins share networks (run several with different "
            "seeds)",
        )
    if resume and directory is None:
        raise SettingsError("There is nothing to resume without a run directory.")
    for name, value in {"assess_every": assess_every, "patience": patience}.items():
        if not isinstance(value, int) or value < 1:
            raise SettingsError(f"{name}={value!r} is not a positive whole number.")
    if not 0 <= dropout < 1:
        raise SettingsError(f"dropout={dropout!r} is not between 0 and 1.")
    loss_function = make_loss(loss)
    solver_options = read_options(options)
    held = [s.name for s in ude.states if s.name in observed]
    if held and solver_options.output == "instantaneous":
        raise SettingsError(
            f"The state '{held[0]}' is observed at the end of a record, but the output is "
            "instantaneous, at its start.",
            fix="Leave output='instantaneous' out",
        )
    if solver_options.method not in FIXED_STEP:
        logger.info("Adaptive methods train more slowly than record-wise ones such as rk4.")
    stages = check_schedule(schedule or default_schedule(ude, regional=bool(attributes)), ude)
    squared = None
    if any(s.optimiser == "lm" for s in stages):
        if attributes or share == "networks":
            raise SettingsError(
                "Levenberg-Marquardt fits each basin by itself.",
                "schedule",
                "Use another optimiser where basins share networks or have attributes",
            )
        squared = make_residuals(loss)
    problem = make_problem(
        ude,
        data,
        observed,
        train=train,
        validation=validation,
        test=test,
        warmup=warmup,
        begin=begin,
        attributes=attributes,
    )
    module, basin_of = _module(
        ude, problem, share, restarts, attribute_hidden, dropout, basin_offsets, seed
    )
    if start is not None:
        go_on_from(start, module, ude, problem.records.basins, restarts)
    objective = Objective(
        problem,
        module,
        get_engine(engine, solver_options),
        solver_options,
        loss_function,
        basin_of,
        squared,
    )
    trainer = Trainer(ude, objective, stages, seed, assess_every, patience)
    configuration = {
        "model": ude.to_dict(),
        "observed": dict(observed),
        "periods": _periods(problem),
        "warmup": warmup,
        "begin": begin,
        "loss": loss if isinstance(loss, str) else dict(loss),
        "schedule": [dataclasses.asdict(s) for s in stages],
        "restarts": restarts,
        "share": share,
        "attributes": list(attributes or ()),
        "attribute_hidden": list(attribute_hidden),
        "basin_offsets": basin_offsets,
        "dropout": dropout,
        "assess_every": assess_every,
        "patience": patience,
        "seed": seed,
        "engine": objective.engine.name,
        "options": dataclasses.asdict(solver_options),
        "data": rundir.describe_data(problem),
        "start": None if start is None else fingerprint(start),
    }
    run = None if directory is None else rundir.open_run(Path(directory), configuration, resume)
    if run is not None:
        if resume and run.finished:
            logger.info("The run in %s is finished; its result is loaded.", directory)
            return dataclasses.replace(Surrogate.load(run.directory), data=data)
        if resume:
            run.restore(trainer)
        trainer.checkpoint = run.checkpoint
    with progress(stages, trainer, show_progress) as report:
        trainer.report = report
        trainer.run()
    surrogate = _surrogate(trainer, problem, restarts, observed, attribute_hidden)
    if run is not None:
        run.finish(surrogate, trainer)
    return dataclasses.replace(surrogate, data=data)


def _module(
    ude: UDE,
    problem: Problem,
    share: str,
    restarts: int,
    hidden: tuple[int, ...],
    dropout: float,
    offsets: bool,
    seed: int,
) -> tuple[Local | Shared | Regional, torch.Tensor]:
    n = problem.n_basins
    if problem.attributes is not None:
        module = Regional(ude, problem.attributes, tuple(hidden), dropout, offsets, seed)
        return module, torch.arange(n)
    if share == "networks":
        return Shared(ude, n, seed), torch.arange(n)
    seeds = [seed + r for _ in range(n) for r in range(restarts)]
    spread = np.tile(np.where(np.arange(restarts) == 0, 0.0, 1.0), n)
    return Local(ude, seeds, spread), torch.arange(n).repeat_interleave(restarts)


def _periods(problem: Problem) -> dict[str, tuple[str, str]]:
    time = problem.records.time
    return {
        name: (time[part.start].isoformat(), time[part.stop - 1].isoformat())
        for name, part in problem.scored.items()
    }


def _surrogate(
    trainer: Trainer,
    problem: Problem,
    restarts: int,
    observed: Mapping[str, str],
    hidden: tuple[int, ...],
) -> Surrogate:
    import pandas as pd

    objective, ude = trainer.objective, trainer.ude
    module = objective.module
    losses, _, states = objective.assess(ude)
    judged = losses.get("validation", losses["train"]).reshape(problem.n_basins, restarts)
    chosen = np.argmin(np.where(np.isfinite(judged), judged, np.inf), axis=1)
    unsolved = [
        basin
        for basin, values in zip(problem.records.basins, judged, strict=True)
        if not np.isfinite(values).any()
    ]
    if unsolved:
        logger.warning("No parameters were found with which %s can be solved.", ", ".join(unsolved))
    rows = torch.from_numpy(np.arange(problem.n_basins) * restarts + chosen)
    with torch.no_grad():
        values, weights = objective.values(rows)
    network = None
    if isinstance(module, Regional):
        assert problem.attribute_mean is not None
        assert problem.attribute_std is not None
        network = ParameterNetwork(
            problem.attribute_names,
            problem.attribute_units,
            problem.attribute_mean,
            problem.attribute_std,
            tuple(hidden),
            {
                k: v.detach().numpy().copy()
                for k, v in module.state_dict().items()
                if k not in module.rows
            },
        )
    nses = [f"{name}_nse" for name in ("train", "validation") if name in losses]
    columns = ["stage", "epoch", "loss", *nses, "seconds"]
    run = problem.run
    seen = {f.name: problem.forcing[:, run, k].numpy() for k, f in enumerate(ude.forcings)}
    kept = states[rows]
    names = ude.program.states
    where = zip(names, ude.program.slices(names), strict=True)
    seen |= {name: kept[:, :, s].numpy() for name, s in where}
    return Surrogate(
        ude=ude,
        basins=problem.records.basins,
        parameters=_named(ude, values.numpy()),
        weights=weights.detach().numpy().copy(),
        options=dataclasses.replace(objective.options, fluxes=None),
        ranges=Ranges.of(seen, ude.units),
        observed=dict(observed),
        periods=_periods(problem),
        skeleton={} if trainer.skeleton is None else _named(ude, trainer.skeleton[rows].numpy()),
        network=network,
        metrics=pd.DataFrame(trainer.metrics, columns=columns),
        begin="steady" if problem.begin == "steady" else "initial",
    )


def _named(ude: UDE, values: np.ndarray) -> dict[str, np.ndarray]:
    return {p.name: values[:, k].copy() for k, p in enumerate(ude.parameters)}
