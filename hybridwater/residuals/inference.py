"""Fitting a Pyro model by SVI, NUTS or Langevin dynamics, and knowing whether it worked.

The guide of SVI is that of `guide`: what is correlated in the posterior is correlated in the guide.
Langevin dynamics begin at draws of that guide as it starts, a nested Laplace approximation.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import init_to_mean
from pyro.infer.util import zero_grads
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from pyro.optim.optim import PyroOptim
from pyro.util import get_rng_state, set_rng_state
from rich.progress import Progress
from torch import Tensor

from hybridwater import settings
from hybridwater.errors import DataError, DeclarationError, nearest
from hybridwater.residuals.guide import HierarchicalNormal, nodes
from hybridwater.residuals.hierarchy import Population
from hybridwater.residuals.importance import UNRELIABLE, pareto_shape
from hybridwater.residuals.langevin import langevin

METHODS = ("svi", "nuts", "sgld")
_RATE, _STEP = 0.05, 0.3  # of SVI, and of SGLD
_AT_START = 50  # draws for the ELBO of the guide as it starts
_DRAWN = 400  # of the guide, for the covariance of SGLD, or four for each variable
_ROUND = 100
_AVERAGED = 4  # rounds after the ELBO has settled, over which parameters are averaged
_FEWEST_FINITE = 0.95  # share of a round; the others are draws from far out, and are left out
_WILDEST = 20.0  # spread of the ELBO of draws, which has about the square root of the variables
_LARGEST_RHAT = 1.05
_FEWEST_EFFECTIVE = 100.0


class NotConverged(UserWarning):
    """A fit ended before its result was settled."""


@dataclass(frozen=True)
class Inference:
    """How to fit.

    Parameters
    ----------
    method : str
        ``"svi"`` (seconds), ``"nuts"`` (minutes to hours; for few sites), or ``"sgld"``, stochastic
        gradient Langevin dynamics, whose steps cost one gradient, of a part of the observations
        where the model allows that.
    draws : int
        Posterior draws that are kept (per chain, for NUTS and SGLD).
    seed : int
        Seed of everything random.
    steps : int
        Most gradient steps of SVI, which stops earlier where the ELBO has settled; all steps of a
        chain of SGLD after its warmup.
    learning_rate : float, optional
        Of SVI; if left out, 0.05, but for errors of a simulation 0.02, or 0.01 with a
        discrepancy. First step of SGLD in units of the posterior's covariance, 0.3 if left out;
        smaller where draws are spread too wide.
    warmup, chains : int
        Of NUTS and SGLD.
    """

    method: str = "svi"
    draws: int = 200
    seed: int = 0
    steps: int = 1500
    learning_rate: float | None = None
    warmup: int = 300
    chains: int = 2

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise DeclarationError(
                f"There is no method '{self.method}': {nearest(self.method, METHODS)}",
                where="method of inference",
                fix=f"Choose one of {', '.join(METHODS)}",
            )
        if min(self.draws, self.steps, self.chains) < 1 or min(self.seed, self.warmup) < 0:
            raise DeclarationError(
                f"{self} cannot be: draws, steps and chains are 1 or more, seed and warmup 0 or "
                "more.",
                where="inference",
            )
        if self.learning_rate is not None and not 0 < self.learning_rate <= 1:
            raise DeclarationError(
                f"The learning rate is {self.learning_rate}, not above 0 and at most 1.",
                where="learning rate of inference",
                fix="Leave it out",  # from a step of 4 on, Langevin dynamics diverge
            )


@dataclass(frozen=True)
class Diagnostics:
    """Whether a fit worked.

    Parameters
    ----------
    method : str
        As in :class:`Inference`.
    converged : bool
        Whether its result can be used as it is.
    message : str
        The same in words.
    elbo : tuple of float
        Evidence lower bound, mean of every round of steps (SVI).
    r_hat, effective : float
        Largest potential scale reduction and smallest effective sample size (NUTS, SGLD).
    pareto_shape : float
        Of the importance weights of the guide's draws (SVI): below 0.5 they are good, above 0.7 the
        guide is not the posterior in its tails. It is told, and is no reason not to use a fit: with
        hundreds of coefficients, small misfits of each add up.
    """

    method: str
    converged: bool
    message: str
    elbo: tuple[float, ...] = ()
    r_hat: float | None = None
    effective: float | None = None
    pareto_shape: float | None = None


Model = Callable[..., None]


def infer(
    model: Model,
    arguments: tuple[object, ...],
    wanted: tuple[str, ...],
    inference: Inference,
    population: Population | None = None,
    part: Model | None = None,
) -> tuple[dict[str, Tensor], Diagnostics]:
    """Fit a model and draw from its posterior.

    Parameters
    ----------
    model : callable
        Pyro model with the site coefficients of ``hierarchy`` and, optionally, shared variables.
    arguments : tuple
        Its arguments.
    wanted : tuple of str
        Names of the deterministic values to keep.
    inference : Inference
        How.
    population : Population, optional
        What is known of the coefficients of sites before their observations; standard normal if
        left out.
    part : callable, optional
        The model with a part of the observations, drawn anew at each call, which count more; for
        the gradients of SGLD.

    Returns
    -------
    dict of str to torch.Tensor
        Draws, shape (draw, ...).
    Diagnostics
        Whether it worked.

    Raises
    ------
    DataError
        If the steps of SVI led to where nothing can be computed.

    Warns
    -----
    NotConverged
        If it did not, in words.
    """
    with _isolated(inference.seed):
        if inference.method == "svi":
            try:
                draws, diagnostics = _svi(model, arguments, inference, population)
            except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]
                raise DataError(
                    "The fit has failed: its steps led to where nothing can be computed.",
                    "variational inference",
                    "Give a smaller Inference(learning_rate=...), or a simpler model",
                ) from error
        elif inference.method == "nuts":
            draws, diagnostics = _nuts(model, arguments, inference)
        else:
            guide = HierarchicalNormal(model, arguments, population)
            draws, diagnostics = _sgld(part or model, arguments, inference, guide)
        kept = Predictive(model, draws, return_sites=wanted)(*arguments)
        shapes = {n: s["value"].shape for n, s in nodes(model, arguments).items() if n in wanted}
    if not diagnostics.converged:
        warnings.warn(diagnostics.message, NotConverged, stacklevel=4)
    return {n: kept[n].reshape(-1, *shape) for n, shape in shapes.items()}, diagnostics


@contextmanager
def _isolated(seed: int) -> Iterator[None]:
    """Keep Pyro's global parameters and random numbers of the caller as they are."""
    state = get_rng_state()
    try:
        with pyro.get_param_store().scope(), pyro.validation_enabled(False), _unwarned():
            pyro.set_rng_seed(seed)
            yield
    finally:
        set_rng_state(state)


@contextmanager
def _unwarned() -> Iterator[None]:
    """Leave out what Pyro says of each loss that is not finite; the diagnostics tell."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Encountered")
        yield


def _svi(
    model: Model,
    arguments: tuple[object, ...],
    inference: Inference,
    population: Population | None,
) -> tuple[dict[str, Tensor], Diagnostics]:
    guide = HierarchicalNormal(model, arguments, population)
    rate = inference.learning_rate or _RATE
    optimizer = PyroOptim(torch.optim.Adam, {"lr": rate, "betas": (0.9, 0.99)})
    svi = SVI(model, guide, optimizer, Trace_ELBO())
    rounds: list[np.ndarray] = []
    state = get_rng_state()
    start = _log_weights(model, arguments, _traces(guide, arguments, _AT_START))
    set_rng_state(state)  # a fit does not depend on what it is compared with

    def step() -> float:
        """Take a step, but where a draw from far out has a gradient that is not finite."""
        with poutine.trace(param_only=True) as capture:
            loss = svi.loss_and_grads(svi.model, svi.guide, *arguments)
        sites = cast(Iterable[Any], capture.trace.nodes.values())
        params = [site["value"].unconstrained() for site in sites]
        if all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in params):
            optimizer(params)
        zero_grads(params)
        return cast(float, loss)

    def take(mean: _Mean | None = None) -> None:
        losses = []
        for _ in range(_ROUND):
            losses.append(step())
            if mean is not None:
                mean.add()
        finite = [loss for loss in losses if math.isfinite(loss)]
        rounds.append(-np.array(finite if len(finite) >= _FEWEST_FINITE * _ROUND else losses))

    with Progress(transient=True, disable=not settings.shows_progress()) as progress:
        task = progress.add_task("variational inference", total=inference.steps)
        while len(rounds) * _ROUND < inference.steps and not _settled(rounds):
            take()
            progress.advance(task, _ROUND)
        settled, mean = _settled(rounds), _Mean()
        for _ in range(_AVERAGED):
            take(mean)
        mean.use()
    traces = _traces(guide, arguments, inference.draws)
    draws = _values(traces)
    variables = sum(values[0].numel() for values in draws.values())
    end = _log_weights(model, arguments, traces)
    converged, message = _verdict(rounds, settled, variables, inference.steps, start, end)
    shape = pareto_shape(end)
    if shape > UNRELIABLE:
        message += (
            f" Its draws are not those of the posterior in the tails (Pareto's k is {shape:.1f}, "
            f"above {UNRELIABLE})."
        )
    elbo = tuple(float(np.mean(r)) for r in rounds)
    return draws, Diagnostics("svi", converged, message, elbo, pareto_shape=shape)


def _verdict(
    rounds: list[np.ndarray], settled: bool, variables: int, most: int, start: Tensor, end: Tensor
) -> tuple[bool, str]:
    """Return whether a fit converged, and what to say.

    It is judged by the ELBO of single draws: in rounds of steps, and of the guide at start and end.
    """
    last = rounds[-1]
    if not all(np.isfinite(r).all() for r in rounds):
        return False, "The ELBO is not finite: the fit has failed. Lower the learning rate."
    if last.std() > _WILDEST * math.sqrt(variables):
        return False, (
            f"The ELBO of single draws is spread by {last.std():.0f}: some lie far out, and the fit"
            " has failed. Lower the learning rate, or give fewer sites or terms."
        )
    first, now = (x[torch.isfinite(x)].numpy() for x in (start, end))
    if _below(now, first):
        return False, (
            f"The ELBO fell from {first.mean():.1f} to {now.mean():.1f}: the fit is worse than its "
            "start. Lower the learning rate."
        )
    if not settled:
        return False, (
            f"The ELBO was still rising after {most} steps: the fit has not converged."
            " Give more steps, for example Inference(steps=5000)."
        )
    return True, f"The ELBO settled at {last.mean():.1f} after {len(rounds) * _ROUND} steps."


def _traces(
    guide: HierarchicalNormal, arguments: tuple[object, ...], count: int
) -> list[poutine.Trace]:
    with torch.no_grad():
        return [poutine.trace(guide).get_trace(*arguments) for _ in range(count)]


def _values(traces: list[poutine.Trace]) -> dict[str, Tensor]:
    every = [cast(dict[str, Any], trace.nodes) for trace in traces]
    names = [n for n, s in every[0].items() if s["type"] == "sample" and not n.startswith("_")]
    return {n: torch.stack([sites[n]["value"] for sites in every]) for n in names}


def _log_weights(
    model: Model, arguments: tuple[object, ...], traces: list[poutine.Trace]
) -> Tensor:
    """Return the log density of the model less that of the guide, at draws of the guide.

    These are the logarithms of importance weights, and their mean is the ELBO.
    """
    found = []
    with torch.no_grad():
        for trace in traces:
            there = poutine.trace(poutine.replay(model, trace)).get_trace(*arguments)
            posterior, drawn = (torch.as_tensor(t.log_prob_sum()) for t in (there, trace))
            found.append(posterior - drawn)
    return torch.stack(found)


def _below(values: np.ndarray, others: np.ndarray) -> bool:
    """Return whether a mean is lower than another by more than noise and a ten-thousandth."""
    if not values.size or not others.size:
        return False
    noise = math.sqrt((values.var() + others.var()) / 2 * (1 / values.size + 1 / others.size))
    return bool(others.mean() - values.mean() > max(3 * noise, 1e-4 * abs(others.mean())))


class _Mean:
    """The mean of the guide's parameters over steps, which has less noise than the last of them.

    Source: Polyak and Juditsky (1992), doi:10.1137/0330046.
    """

    def __init__(self) -> None:
        self._sum: dict[str, Tensor] = {}
        self._count = 0

    def add(self) -> None:
        """Take up the parameters as they are."""
        self._count += 1
        for name, value in pyro.get_param_store().items():
            known = self._sum.get(name)
            self._sum[name] = value.detach().clone() if known is None else known + value.detach()

    def use(self) -> None:
        """Put the mean in the place of the parameters."""
        store = pyro.get_param_store()
        for name, value in self._sum.items():
            store[name] = value / self._count


def _settled(rounds: list[np.ndarray]) -> bool:
    """Return whether the last round gained no more than noise, or than a ten-thousandth."""
    if len(rounds) < 3:
        return False
    before, now = rounds[-2:]
    noise = 2 * math.sqrt((before.var() + now.var()) / _ROUND)
    return bool(now.mean() - before.mean() < max(noise, 1e-4 * abs(now.mean())))


def _nuts(
    model: Model, arguments: tuple[object, ...], inference: Inference
) -> tuple[dict[str, Tensor], Diagnostics]:
    chains = []
    for chain in range(inference.chains):
        pyro.set_rng_seed(inference.seed + chain)
        quiet = not settings.shows_progress()
        kernel = NUTS(model, init_strategy=init_to_mean)
        run = MCMC(kernel, inference.draws, inference.warmup, disable_progbar=quiet)
        run.run(*arguments)
        chains.append(run.get_samples())
    stacked = {n: torch.stack([c[n] for c in chains]) for n in chains[0]}
    return _judged("nuts", stacked, "more warmup and draws")


def _sgld(
    model: Model, arguments: tuple[object, ...], inference: Inference, guide: HierarchicalNormal
) -> tuple[dict[str, Tensor], Diagnostics]:
    one = _values(_traces(guide, arguments, 1))
    count = max(_DRAWN, 4 * sum(values.numel() for values in one.values()))
    stacked = langevin(
        model,
        arguments,
        _values(_traces(guide, arguments, count)),
        step=inference.learning_rate or _STEP,
        warmup=inference.warmup,
        steps=inference.steps,
        draws=inference.draws,
        chains=inference.chains,
    )
    return _judged("sgld", stacked, "more steps, a smaller learning rate")


def _judged(
    method: str, stacked: dict[str, Tensor], advice: str
) -> tuple[dict[str, Tensor], Diagnostics]:
    """Return the draws of all chains, shape (draw, ...), and whether the chains agree."""
    r_hat = max(float(split_gelman_rubin(v).max()) for v in stacked.values())
    effective = min(float(effective_sample_size(v).min()) for v in stacked.values())
    converged = r_hat <= _LARGEST_RHAT and effective >= _FEWEST_EFFECTIVE
    found = f"r-hat is at most {r_hat:.3f}, effective sample size at least {effective:.0f}"
    message = f"The chains agree: {found}."
    if not converged:
        message = (
            f"The chains do not agree: {found} (wanted: {_LARGEST_RHAT} and"
            f" {_FEWEST_EFFECTIVE:.0f}). Give {advice}, or a simpler model."
        )
    draws = {n: v.flatten(0, 1) for n, v in stacked.items()}
    return draws, Diagnostics(method, converged, message, (), r_hat, effective)
