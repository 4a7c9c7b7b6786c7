"""The one function that people call: from a learned term to equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from hybridwater.discovery.drafting import complexity, operations
from hybridwater.discovery.front import Front, Proposal
from hybridwater.discovery.polishing import Target
from hybridwater.discovery.problem import VARIES, Method, Problem, inputs_of
from hybridwater.discovery.progress import searching
from hybridwater.discovery.sampling import sample_term
from hybridwater.discovery.search import Effort, SparseSearch
from hybridwater.discovery.selection import LEAST_EXPLAINED, held_out, judge
from hybridwater.discovery.structures import Evaluated
from hybridwater.discovery.symbolic import Breeding, SymbolicSearch
from hybridwater.errors import DataError, nearest
from hybridwater.training import Surrogate
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Network

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("sparse", "symbolic")

#: Fewest samples that a search makes sense with.
FEWEST = 24
#: A more complex equation joins the front if its error is smaller by this factor.
_BETTER = 0.98
#: Most equations that are kept beside the front because they are as good as it.
_RIVALS = 12
#: Share of the term's variance below which errors do not count.
TOLERANCE = 0.01
#: Operations of an equation that a person still reads as one law.
MOST_OPERATIONS = 11


def discover(
    fits: Surrogate | Sequence[Surrogate],
    name: str,
    data: xr.Dataset,
    *,
    basin: str | None = None,
    samples: int = 1000,
    tolerance: float = TOLERANCE,
    max_operations: int = MOST_OPERATIONS,
    terms: int = 2,
    method: str = "sparse",
    seed: int = 0,
    show_progress: bool | None = None,
) -> Front:
    """Search for equations that say what a learned term says.

    Parameters
    ----------
    fits : Surrogate or sequence of Surrogate
        The fit in question, then others of an equal model from other seeds, whose spread says how
        far the term can be trusted.
    name : str
        A network of the model.
    data : xarray.Dataset
        Forcing; only the training and validation periods are used.
    basin : str, optional
        Which basin; the first if left out.
    samples : int
        About how many samples of the term are used.
    tolerance : float
        Share of the term's variance below which an error does not count.
    max_operations : int
        Most operations (sums, products, powers, functions) of an equation as it stands in the
        model, the gate of an empty store included.
    terms : int
        Most products in a sum, of the sparse search.
    method : {"sparse", "symbolic"}
        ``sparse`` searches sums of products of forms that are known in hydrology. ``symbolic``
        breeds expressions of any form with SymbolicRegression.jl, in a minute or so, where
        ``hybridwater julia install --discovery`` has set it up.
    seed : int
        Seed of the draw of held-out time, and of the symbolic search.
    show_progress : bool, optional
        Show for how long the search has been under way; as in the settings if left out.

    Returns
    -------
    Front
        Equations that no simpler one beats, the recommended one if there is one, and rivals, which
        the term cannot tell from them.

    Raises
    ------
    DataError, DeclarationError
        If the term was never exercised, its inputs do not vary, or there are too few samples.
    MissingDependency
        If the symbolic search is asked for and not installed.
    """
    first = fits if isinstance(fits, Surrogate) else next(iter(fits), None)
    with searching(name, show_progress):
        term = sample_term(fits, name, data, basin=basin, samples=samples)
        assert first is not None
        return search_term(
            first.ude,
            name,
            term,
            tolerance=tolerance,
            max_operations=max_operations,
            terms=terms,
            method=method,
            seed=seed,
        )


def search_term(
    ude: UDE,
    name: str,
    term: xr.Dataset,
    *,
    tolerance: float = TOLERANCE,
    max_operations: int = MOST_OPERATIONS,
    terms: int = 2,
    method: str = "sparse",
    seed: int = 0,
) -> Front:
    """Search for equations that explain samples of a term; see :func:`discover`.

    Parameters
    ----------
    ude : UDE
        The model.
    name : str
        A network of the model: its inputs, units and physics.
    term : xarray.Dataset
        Dim ``sample``, in the order of time: a coordinate per input of the network, ``learned``
        and optionally ``spread``, as :func:`sample_term` gives them.
    tolerance, max_operations, terms, method, seed
        As in :func:`discover`.
    """
    if max_operations < 1 or terms < 1:
        raise DataError(
            f"No equation has {max_operations} operations and {terms} products.",
            "max_operations and terms",
            "Give numbers of at least 1",
        )
    network = ude.network(name)
    x = np.stack([term[t].values.astype(float) for t in inputs_of(network)], axis=1)
    y = term["learned"].values.astype(float)
    _check(network, x, y)
    problem = Problem.of(ude, name, term, x, max_operations)
    if not problem.columns:
        _refuse_constant(network)
    spread = term["spread"].values if "spread" in term else np.zeros(len(y))
    target = Target.of(x, y, problem.gates(x), _weights(spread))
    searched, block = held_out(len(y), seed)
    inside, outside = target.part(searched), target.part(~searched)
    finder = _finder(problem, method, terms, seed)
    candidates, broken = finder.search(inside)
    front, rivals = _nondominated(finder, candidates, inside, problem, tolerance)
    scale = len(outside.y) * outside.weight
    both = [outside.errors(c, problem.visited) * scale for _, c in (*front, *rivals)]
    errors = both[: len(front)]
    constant = (outside.y - inside.weight @ inside.y) ** 2 / outside.variance * scale
    noise = float(target.weight @ spread**2) / target.variance
    judgement = judge(
        np.array(errors).reshape(len(front), len(outside.y)),
        np.array([size for size, _ in front]),
        constant,
        block[~searched],
        noise,
        tolerance,
    )
    found = [
        _proposal(finder, size, candidate, 1 - float(error.mean()), target, problem)
        for (size, candidate), error in zip((*front, *rivals), both, strict=True)
    ]
    notes = []
    left_out = [t for k, t in enumerate(problem.texts) if k not in problem.columns]
    if left_out:
        notes.append(f"Left out, because constant: {', '.join(left_out)}.")
    if broken:
        notes.append(f"{broken} candidates broke the physics of the term.")
    return Front(
        name,
        network.unit,
        tuple(found[: len(front)]),
        judgement.chosen,
        judgement.why,
        noise,
        term,
        tuple(notes),
        tuple(found[len(front) :]),
        problem.physics,
    )


def _proposal(
    finder: Method,
    size: int,
    candidate: Any,
    explained: float,
    target: Target,
    problem: Problem,
) -> Proposal:
    """Fit a candidate to all samples, unless that breaks what it must keep, and write it."""
    final = finder.refit(candidate, target)
    if (
        final is None
        or problem.physics.broken(final)
        or operations(finder.write(final)) > problem.max_operations
    ):
        final = candidate
    equation, values = finder.write(final), final.values(target.x, problem.visited, target.gate)
    return Proposal(equation, size, operations(equation), explained, finder.describe(final), values)


def _finder(problem: Problem, method: str, terms: int, seed: int) -> Method:
    if method == "sparse":
        return SparseSearch(problem, Effort(terms=terms))
    if method == "symbolic":
        return SymbolicSearch(problem, Breeding(), seed)
    raise DataError(f"There is no method '{method}' ({nearest(method, METHODS)}).")


def _check(network: Network, x: np.ndarray, y: np.ndarray) -> None:
    where = f"network '{network.name}'"
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("The samples of the term are not all finite.", where, "Look at the fit")
    if len(y) < FEWEST:
        raise DataError(
            f"There are {len(y)} samples of the term, and {FEWEST} are needed.",
            where,
            "Fit a longer period",
        )
    if np.abs(y).max() <= 1e-6 * network.scale:
        raise DataError(
            "The term is never exercised: it is zero all through the training period.",
            where,
            "Train on a period in which the process happens",
        )
    if not (np.ptp(x, axis=0) > VARIES * np.abs(x).max(0)).any():
        _refuse_constant(network)
    if np.std(y) <= VARIES * np.abs(y).max():
        raise DataError(
            f"The term does not vary: it is {y.mean():.4g} {network.unit} all through the "
            "training period.",
            where,
            "Replace it by a parameter",
        )


def _refuse_constant(network: Network) -> NoReturn:
    raise DataError(
        f"No input of the term varies: {', '.join(inputs_of(network))}.",
        f"network '{network.name}'",
        "Train on a period in which an input varies, or give the term other inputs",
    )


def _weights(spread: np.ndarray) -> np.ndarray:
    """Weigh samples down where the fits disagree more than usual."""
    typical = np.median(spread)
    weight = 1 / (1 + (spread / typical) ** 2) if typical > 0 else np.ones(len(spread))
    return weight


def _nondominated(
    finder: Method,
    candidates: Sequence[Evaluated],
    target: Target,
    problem: Problem,
    tolerance: float,
) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
    """Keep what no simpler equation matches, and what matches it to within the tolerance.

    Of the latter the simplest: those that are nearest to a network follow its habits, and laws that
    are known were lost among them.

    Both with their complexity, in that order. The gate of an empty store was declared and not
    found: it counts among the operations, and not as complexity.
    """
    found = [
        (
            complexity(finder.write(candidate, gated=False)),
            target.error(candidate, problem.visited),
            candidate,
        )
        for candidate in candidates
    ]
    front, rivals, best = [], [], np.inf
    for size, error, candidate in sorted(found, key=lambda item: item[:2]):
        if error >= best + tolerance:
            continue
        if operations(finder.write(candidate)) > problem.max_operations:
            continue
        if error < _BETTER * best:
            front.append((size, candidate))
            best = error
        elif error < 1 - LEAST_EXPLAINED and len(rivals) < _RIVALS:
            rivals.append((size, candidate))  # poorer ones are never offered to the data
    return front, rivals
