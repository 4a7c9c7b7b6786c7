"""Reaches where they are needed: flood waves on rivers that are cut anew, and on uniform ones.

Kinematic waves, dA/dt + d(a A^(5/3))/dx = 0, run down a made river tree of 60 reaches and steepen
to fronts. The truth is the upwind solver on pieces of 150 m. The same solver, and a network with a
conservative head that learned from the truth on uniform and on adapted pieces, run over unseen
waves on uniform pieces and on as many that are cut anew every few steps. Errors are those of the
water per metre on the fine pieces, moved there with bounded second order.

    python benchmarks/mgn_adaptive_rivers.py [--directory runs/adaptive_rivers] [--scale 1.0]
"""

from __future__ import annotations

import numpy as np
import torch
from mgn_training import read_arguments, train_and_tell
from torch import Tensor

from hybridwater.meshes import RiverNetwork, RiverPieces, Sizing
from hybridwater.mgn import (
    Dynamics,
    Episode,
    FluxDynamics,
    Lesson,
    adaptive_rollout,
    make_graph,
)

RECORD = 120.0  # s between two states of the truth: waves do not pass a piece in one
EVERY = 10  # steps between two sets of pieces
STEPS = 120
CELERITY = 5.0 / 3.0  # of a wave over the velocity of the water
SPEED = 0.7  # m s-1 where there is one square metre of water


def tree() -> RiverNetwork:
    """Make a river of 60 reaches that join at random."""
    random = np.random.default_rng(3)
    to = [-1] + [
        int(random.integers(0, i)) if random.random() < 0.2 else i - 1 for i in range(1, 60)
    ]
    return RiverNetwork(to, random.uniform(3000.0, 9000.0, 60), name="river")


def waves(pieces: RiverPieces, seed: int) -> np.ndarray:
    """Return the cross section of the water [m2] of some waves on a low flow."""
    random = np.random.default_rng(seed)
    way = pieces.network.distance - 0.5 * pieces.network.lengths
    water = np.full(len(way), 0.5)
    for _ in range(random.integers(2, 5)):
        at, width = random.uniform(0.1, 1.0) * way.max(), random.uniform(2e3, 6e3)
        water += random.uniform(1.0, 3.0) * np.exp(-(((way - at) / width) ** 2))
    return water


class Solver(Dynamics):
    """The explicit upwind solver of the kinematic wave, on any graph of a river."""

    component = "river"

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(
        self, graph, states: Tensor, forcing: Tensor, static: Tensor, span: float = 1.0
    ) -> Tensor:
        """Return cross sections a step later; a step of the solver is half of its limit.

        What reaches the outlets stays in their reaches, so that all water is there in the end.
        """
        (i, j), length = graph["river", "downstream", "river"].edge_index, graph["river"].measure
        water, seconds = states[:, 0], span * RECORD
        fastest = CELERITY * SPEED * float(water[i].max()) ** (2.0 / 3.0)
        times = int(np.ceil(seconds * 1.5 * fastest / float(length.min()) / 0.5))
        for _ in range(times):
            flow = SPEED * water[i] ** (5.0 / 3.0) * (seconds / times)
            change = torch.zeros_like(water).index_add(0, j, flow).index_add(0, i, -flow)
            water = water + change / length
        return water[:, None]


def run(model: Dynamics, pieces: RiverPieces, water: np.ndarray, steps: int) -> Tensor:
    """Return cross sections at all times, on pieces that stay."""
    graph, none = make_graph({"river": pieces.network}), torch.zeros(len(water), 0).double()
    states = [torch.from_numpy(water)[:, None]]
    with torch.no_grad():
        for _ in range(steps):
            states.append(model(graph, states[-1], none, none))
    return torch.stack(states)


def main() -> None:
    """Train, run on pieces of both kinds, print a table."""
    arguments = read_arguments(__doc__)
    whole, solver = RiverPieces.of(tree()), Solver()
    still = np.zeros(whole.network.size)
    fine, even, finer = (
        whole.resized(still, Sizing(size, size, change=1.0)) for size in (150.0, 1500.0, 750.0)
    )
    sizing = Sizing(400.0, 5000.0, change=1e-3, cells=even.network.size)
    episodes = []
    for seed in range(10):
        truth = run(solver, fine, waves(fine, seed), STEPS // 2)[..., 0].numpy()
        pieces = even if seed % 2 else fine.resized(truth[15 * (seed // 2 % 4)], sizing)
        moved = fine.remap_to(pieces).means(truth)
        episodes.append(Episode(make_graph({"river": pieces.network}), moved[..., None]))
    dynamics = FluxDynamics.of(episodes, form="free", width=32, depth=2)
    n = arguments.scale
    lessons = [
        Lesson(int(240 * n), noise=0.1, rate=2e-3),
        Lesson(int(80 * n), rollout=2, noise=0.05, rate=5e-4),
        Lesson(int(60 * n), rollout=3, push=2, rate=2e-4),
    ]
    choices = {"progress": False, "seed": arguments.seed}
    train_and_tell(dynamics, episodes, lessons, arguments.directory, **choices)
    rows: dict[str, list] = {}
    # the last reach of the base gathers all the water and is no river any more
    lengths = np.where(fine.network.distance > 10e3, fine.network.lengths, 0.0)
    for seed in range(100, 106):
        first = waves(fine, seed)
        truth = run(solver, fine, first, STEPS)[..., 0].numpy()

        def error(name: str, parts, states, truth=truth) -> None:
            remaps, squares = {}, []
            for pieces, state, true in zip(parts[1:], states[1:], truth[1:], strict=True):
                if id(pieces) not in remaps:
                    remaps[id(pieces)] = pieces.remap_to(fine, order=2)
                gap = remaps[id(pieces)].means(np.asarray(state).reshape(-1)) - true
                squares.append(lengths @ gap**2 / lengths.sum())
            cells = np.mean([len(p.cuts) - 1 for p in parts])
            rows.setdefault(name, []).append([np.mean(squares), cells])

        for name, model in (("network", dynamics), ("solver", solver)):
            for pieces in (even, finer):
                water = fine.remap_to(pieces).means(first)
                states = run(model, pieces, water, STEPS)
                count = pieces.network.size
                error(f"{name}, uniform {count}", [pieces] * len(states), states.numpy())
            made = adaptive_rollout(
                model,
                fine,
                first[:, None],
                steps=STEPS,
                sizing=sizing,
                every=EVERY,
            )
            lost = np.ptp(made.amounts()) / made.amounts()[0, 0]
            assert lost < 1e-12, lost
            error(f"{name}, adaptive", made.parts, [s.numpy() for s in made.states])
        error("persistence", [fine] * len(truth), [first] * len(truth))
    print(f"{'':<26}{'pieces':>8}{'RMSE [m2]':>11}")
    for name, found in rows.items():
        square, cells = np.mean(found, axis=0)
        print(f"{name:<26}{cells:>8.0f}{np.sqrt(square):>11.4f}")


if __name__ == "__main__":
    main()
