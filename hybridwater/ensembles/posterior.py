"""What observations say about the parameters of a model: a posterior, and members drawn from it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import hybridwater
from hybridwater.ensembles.design import Draw
from hybridwater.ensembles.distributions import Distribution
from hybridwater.ensembles.fingerprints import of_arrays
from hybridwater.ensembles.priors import log_prior
from hybridwater.errors import DataError, EnsembleError, nearest
from hybridwater.files import open_netcdf, write_netcdf

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from hybridwater.residuals import Diagnostics, Inference
    from hybridwater.training import Surrogate
    from hybridwater.ude import UDE

TRANSFORMS = ("none", "sqrt", "log")
_SPREAD = 1.5  # prior standard deviation of the logarithm of the error's standard deviation
_MOST = 0.999  # memory of errors
_SCHEMA = 1
_DOCUMENT = "parameter_posterior"  # attribute of the file with all but the draws


@dataclass(frozen=True, eq=False)
class ParameterPosterior:
    """Draws of the parameters of a model; a source of uncertainty of an ensemble.

    Parameters
    ----------
    draws : xarray.Dataset
        Dimension ``draw``: the parameters with their units, ``error_sd`` (of transformed flow) and
        ``error_memory`` (correlation of successive errors).
    names : tuple of str
        The parameters.
    diagnostics : Diagnostics
        Whether the inference worked.
    basin : str
        Whose observations they come from: of no other are these the parameters.
    """

    draws: xr.Dataset
    names: tuple[str, ...]
    diagnostics: Diagnostics
    basin: str

    @property
    def columns(self) -> int:
        """How many numbers a draw of an ensemble has."""
        return 1

    def drawn(self, draw: Draw) -> dict[str, tuple[float, bool]]:
        """Return the parameters of a draw of an ensemble; none is a factor."""
        count = self.draws.sizes["draw"]
        row = min(int(draw.uniforms[0] * count), count - 1)
        return {n: (float(self.draws[n].values[row]), False) for n in self.names}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the posterior into a NetCDF file.

        Raises
        ------
        EnsembleError
            If it cannot be written; what was there is unchanged.
        """
        told = {
            "schema": _SCHEMA,
            "hybridwater": hybridwater.__version__,
            "names": self.names,
            "diagnostics": dataclasses.asdict(self.diagnostics),
            "basin": self.basin,
        }
        draws = self.draws.assign_attrs({_DOCUMENT: json.dumps(told)})
        return write_netcdf(draws, path, EnsembleError)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ParameterPosterior:
        """Read a posterior.

        Raises
        ------
        EnsembleError
            If the file is missing, damaged, not a posterior or of another version.
        """
        from hybridwater.residuals import Diagnostics

        with open_netcdf(path, EnsembleError) as opened:
            draws = opened.load()
        try:
            told = json.loads(draws.attrs.pop(_DOCUMENT))
            if told["schema"] != _SCHEMA:
                raise ValueError(f"schema {told['schema']}")
            elbo = tuple(told["diagnostics"].pop("elbo"))
            diagnostics = Diagnostics(**told["diagnostics"], elbo=elbo)
            return ParameterPosterior(draws, tuple(told["names"]), diagnostics, told["basin"])
        except (KeyError, ValueError, TypeError) as error:
            raise EnsembleError(
                f"This is no posterior of parameters that can be read ({error}).",
                str(path),
                "Name a file that ParameterPosterior.save of this version wrote",
            ) from error

    def __str__(self) -> str:
        ends = {n: self.draws[n].quantile([0.05, 0.95]).values for n in self.names}
        told = ", ".join(f"{n} {a:.4g} to {b:.4g}" for n, (a, b) in ends.items())
        return f"posterior {of_arrays(*(self.draws[n].values for n in self.names))}, {told}"


def parameter_posterior(
    model: UDE | Surrogate,
    data: xr.Dataset,
    observed: Mapping[str, str],
    *,
    train: tuple[str, str],
    names: Sequence[str] | None = None,
    priors: Mapping[str, Distribution] | None = None,
    basin: str | None = None,
    warmup: int = 365,
    transform: Literal["none", "sqrt", "log"] = "sqrt",
    sd: float | None = None,
    autocorrelated: bool = True,
    inference: Inference | None = None,
    batch: int | None = None,
    engine: str | None = None,
    **options: Any,
) -> ParameterPosterior:
    """Infer the parameters of a model in one basin from observations of one flux.

    Before the observations, a parameter is anything between its bounds, with the same probability
    (of its logarithm where it is declared so), or as likely as its prior says. Errors of the
    transformed flux are normal, with a standard deviation and a memory that are inferred too:
    ``e_t = r e_(t-1) + sqrt(1 - r^2) s n_t`` (Sorooshian and Dracup 1980,
    doi:10.1029/WR016i002p00430). Networks are held as they are.

    Parameters
    ----------
    model : UDE or Surrogate
        A fit is the point to begin at, and gives the weights and all other parameters.
    data : xarray.Dataset
        Forcing and observations, as for :func:`hybridwater.fit`.
    observed : mapping of str to str
        One flux of the model to the variable of the data.
    train : (str, str)
        First and last day.
    names : sequence of str, optional
        Parameters to infer; all that the equations use if left out.
    priors : mapping of str to Distribution, optional
        What is known of parameters besides their bounds, as from a publication: ``normal(0.03,
        0.01)`` of the value in its unit, or ``lognormal(0.3)`` of the value as a factor of the
        default.
    basin : str, optional
        Which basin; the first if left out.
    warmup : int
        Records that are simulated but do not count.
    transform : {"sqrt", "log", "none"}
        Of the flux, so that errors are as large at low as at high flow.
    sd : float, optional
        Standard deviation of the error in transformed flux, if it is known.
    autocorrelated : bool
        Whether errors remember one another.
    inference : Inference, optional
        SVI, the default, ``Inference(method="nuts")`` or ``"sgld"``.
    batch : int, optional
        Records of which a gradient of SGLD is made: a part of the record, another one at each step,
        simulated with its own ``warmup`` before it. All records if left out.
    engine : str, optional
        Name of the engine.
    **options
        Solver options, other than those of the fit.

    Returns
    -------
    ParameterPosterior

    Raises
    ------
    EnsembleError
        If there is no such parameter, transform or basin, not one observed flux, or a batch or a
        prior that cannot be.
    DataError, UnitError
        If data cannot be used.

    Warns
    -----
    NotConverged
        If the inference has not come to its end.
    """
    import xarray as xr

    from hybridwater.residuals import Inference
    from hybridwater.residuals.inference import infer

    if transform not in TRANSFORMS:
        hint = nearest(transform, TRANSFORMS)
        raise EnsembleError(f"There is no transform '{transform}' ({hint}).")
    if len(observed) != 1:
        raise EnsembleError(
            f"{len(observed)} fluxes are observed.", fix="Name one flux and its variable"
        )
    run = _Run.of(model, _one_basin(data, basin), observed, train, warmup, engine, options)
    used = [p.name for p in run.ude.parameters if p.name in run.ude.used_parameters]
    for name in names or ():
        if name not in used:
            raise EnsembleError(f"There is no parameter '{name}' ({nearest(name, used)}).")
    chosen = tuple(names or used)
    inference = inference or Inference()
    part = _part(batch, len(run.observed), warmup, inference)
    known = log_prior([run.ude.parameter(n) for n in chosen], priors or {})
    likelihood = _likelihood(run, chosen, known, transform, sd, autocorrelated)
    wanted = ("values", "sd", "memory")
    whole, parts = (functools.partial(likelihood, size) for size in (len(run.observed), part))
    draws, diagnostics = infer(whole, (), wanted, inference, part=parts)
    found = {}
    for i, name in enumerate(chosen):
        p = run.ude.parameter(name)
        attributes = {"units": p.unit, "long_name": p.description or name}
        if prior := (priors or {}).get(name):
            attributes["prior"] = str(prior)
        found[name] = ("draw", draws["values"][:, i].numpy(), attributes)
    told = {"sd": "standard deviation of errors", "memory": "correlation of successive errors"}
    for part, meaning in told.items():
        attributes = {"units": "1", "long_name": meaning, "transform": transform}
        found[f"error_{part}"] = ("draw", draws[part].reshape(-1).numpy(), attributes)
    return ParameterPosterior(xr.Dataset(found), chosen, diagnostics, run.basin)


def _part(batch: int | None, records: int, warmup: int, inference: Inference) -> int:
    """Return how many records a gradient of SGLD is made of."""
    if batch is None:
        return records
    if inference.method != "sgld":
        raise EnsembleError(
            f"Records in batches are for SGLD, and the method is '{inference.method}'.",
            fix="Leave out batch, or give Inference(method='sgld')",
        )
    if not 0 < batch <= records or not warmup:
        raise EnsembleError(
            f"A batch of {batch} of {records} records with a warmup of {warmup} cannot be.",
            fix="Give a warmup after which the state at the start is forgotten, and fewer records",
        )
    return batch


def _one_basin(data: xr.Dataset, basin: str | None) -> xr.Dataset:
    if "basin" not in data.dims:
        return data
    there = [str(b) for b in data["basin"].values]
    if basin is not None and basin not in there:
        raise DataError(f"The data have no basin '{basin}' ({nearest(basin, there)}).")
    return data.isel(basin=[0 if basin is None else there.index(basin)])


@dataclass(frozen=True)
class _Run:
    """A model over its forcing, differentiable by torch.

    Attributes
    ----------
    simulate : callable
        From the parameters, shape (n_parameters,), and the first and last of records that are
        observed, to the flux at these, (time,).
    observed : torch.Tensor
        Shape (time,), NaN where missing.
    start : torch.Tensor
        Parameters to begin at.
    basin : str
        Its name.
    """

    ude: UDE
    simulate: Callable[[Tensor, int, int], Tensor]
    observed: Tensor
    start: Tensor
    basin: str

    @classmethod
    def of(
        cls,
        model: UDE | Surrogate,
        data: xr.Dataset,
        observed: Mapping[str, str],
        train: tuple[str, str],
        warmup: int,
        engine: str | None,
        options: Mapping[str, Any],
    ) -> _Run:
        import torch

        from hybridwater.engines import get_engine
        from hybridwater.engines.simulation import read_options
        from hybridwater.training import Surrogate, bridge
        from hybridwater.training.problem import make_problem
        from hybridwater.training.sharing import columns, initial_state
        from hybridwater.ude.program import initial_weights

        if isinstance(model, Surrogate):
            ude, own, weights = model.model_for(model.with_basins(data))
            values = [float(own[p.name][0]) for p in ude.parameters]
            weights = weights[0] if weights.ndim == 2 else weights
            begin = model.begin
            options = {**dataclasses.asdict(model.options), **options}
        else:
            ude, weights, begin = model, initial_weights(model.program, 0), "initial"
            values = [p.default for p in ude.parameters]
        problem = make_problem(ude, data, observed, train=train, warmup=warmup)
        flux = next(iter(observed))
        solved = read_options({**options, "fluxes": (flux,)})
        solver = get_engine(engine, solved).compile(ude, solved)
        scored = problem.scored["train"]
        lead = scored.start - problem.run.start
        fixed = torch.as_tensor(weights, dtype=torch.float64)

        def simulate(parameters: Tensor, first: int, end: int) -> Tensor:
            rows, state = columns(ude, parameters[None]), initial_state(ude, parameters[None])
            if begin == "steady":
                state = bridge.equilibrium(solver, rows, fixed, problem.forcing.mean(1), state)
            used = slice(scored.start + first - lead, scored.start + end)
            forcing = problem.forcing[:, used]
            fluxes, _, _ = bridge.solve(solver, rows, fixed, forcing, state, problem.records.step)
            return fluxes[0, lead:, 0]

        start = torch.tensor(values, dtype=torch.float64)
        observations = problem.observed[flux][0, scored]
        return cls(ude, simulate, observations, start, *problem.records.basins)


def _likelihood(
    run: _Run,
    names: tuple[str, ...],
    known: Callable[[Tensor], Tensor],
    transform: str,
    sd: float | None,
    autocorrelated: bool,
) -> Callable[[int], None]:
    """Return the Pyro model: standard normal numbers, moved so that they begin at the fit.

    It has the number of records of a part; of several parts it takes one at random, which counts as
    if it were all.
    """
    import pyro
    import pyro.distributions as dist
    import torch

    from hybridwater.residuals.hierarchy import SITE
    from hybridwater.training.bijection import Bounded

    every = [p.name for p in run.ude.parameters]
    where = [every.index(n) for n in names]
    bounded = Bounded([run.ude.parameter(n) for n in names])
    at_fit = torch.special.ndtri(torch.sigmoid(bounded.free(run.start[where])))
    at_fit = torch.cat([at_fit, torch.zeros(2, dtype=torch.float64)])
    flows = {
        "none": lambda q: q,
        "sqrt": lambda q: torch.sqrt(torch.clamp(q, min=1e-12)),
        "log": lambda q: torch.log(torch.clamp(q, min=1e-6)),
    }
    change = flows[transform]
    valid = torch.isfinite(run.observed)
    truth = change(torch.where(valid, run.observed, 1.0))
    follows = torch.cat([torch.zeros(1, dtype=torch.bool), valid[1:] & valid[:-1]])
    scale = float(truth[valid].std())
    standard = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)

    def model(size: int) -> None:
        shape = torch.zeros(1, len(at_fit), dtype=torch.float64)
        moved = pyro.sample(SITE, dist.Normal(shape, 1.0).to_event(2))
        z = moved.reshape(-1) + at_fit
        pyro.factor("moved", (standard.log_prob(z) - standard.log_prob(moved.reshape(-1))).sum())
        part, last = z[:-2], z[-2:]
        free = torch.special.log_ndtr(part) - torch.special.log_ndtr(-part)
        values = pyro.deterministic("values", bounded.constrain(free))
        pyro.factor("priors", known(values))
        own = scale * torch.exp(_SPREAD * last[0] - 1.0)
        spread = pyro.deterministic("sd", own if sd is None else torch.full_like(own, sd))
        uniform = _MOST * torch.special.ndtr(last[1])
        memory = uniform if autocorrelated else torch.zeros_like(uniform)
        memory = pyro.deterministic("memory", memory)
        parameters = run.start.clone()
        parameters[where] = values
        parts = -(-len(truth) // size)
        begin = size * int(torch.randint(parts, ())) if parts > 1 else 0
        before = min(begin, 1)  # one record more, which the error of the first remembers
        here = slice(begin - before, min(begin + size, len(truth)))
        error = truth[here] - change(run.simulate(parameters, here.start, here.stop))
        last_error = torch.cat([error.new_zeros(1), error[:-1]])
        linked = follows[here]
        fresh = torch.where(linked, error - memory * last_error, error)
        width = torch.where(linked, spread * torch.sqrt(1 - memory**2), spread)
        logs = torch.distributions.Normal(torch.zeros_like(fresh), width).log_prob(fresh)
        pyro.factor("errors", parts * torch.where(valid[here], logs, 0.0)[before:].sum())

    return model
