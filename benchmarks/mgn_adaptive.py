"""Cells where they are needed: a front on meshes that follow it, and on uniform ones.

Unconfined groundwater spreads from steep mounds over a thin aquifer (Boussinesq equation, as in
mgn_zero_shot.py): a front, since the thicker water moves the faster. The truth is the finite-volume
solver on a fine mesh. A network with a conservative head is trained on that truth, averaged over
cells of a uniform mesh and of meshes adapted to other fronts. Then it runs over unseen mounds on a
uniform mesh, and on a mesh of as many cells that is made anew every few steps. "solver" is the
explicit solver on the same meshes. The first states are the same truth, moved conservatively.
Errors are those of heights on the fine mesh, moved there with bounded second order.

    python benchmarks/mgn_adaptive.py [--directory runs/adaptive] [--scale 1.0]
"""

from __future__ import annotations

import time

import numpy as np
import torch
from mgn_training import read_arguments, train_and_tell
from mgn_zero_shot import SIDE, conductivity, solve, triangles
from torch import Tensor

from hybridwater.meshes import Mesh, Sizing, conservative_remap, quality, remesh
from hybridwater.mgn import (
    Dynamics,
    Episode,
    FluxDynamics,
    Lesson,
    adaptive_rollout,
    make_graph,
)

FINE, UNIFORM = 48, 14
SPAN = 2  # records in a step of the rollouts
EVERY = 3  # steps between two meshes
STEPS = 24
SIZING = Sizing(250.0, 2500.0, change=1e-3, cells=2 * UNIFORM**2, growth=1.3)
RECORD = 0.003 * (SIDE / UNIFORM) ** 2 / 2.0  # between two states of the truth


def mounds(points: np.ndarray, seed: int) -> np.ndarray:
    """Return steep mounds on a thin aquifer."""
    random = np.random.default_rng(seed)
    height = np.full(len(points), 0.1)
    for _ in range(random.integers(1, 4)):
        centre, radius = random.uniform(0.2, 0.8, 2) * SIDE, random.uniform(0.1, 0.2) * SIDE
        away = np.hypot(*(points - centre).T) / radius
        height += random.uniform(1.0, 3.0) * 0.5 * (1.0 - np.tanh(6.0 * (away - 1.0)))
    return height


def static(mesh: Mesh) -> np.ndarray:
    """Return the logarithm of the conductivity of cells."""
    return np.log(conductivity(mesh.centroids))[:, None]


def graph(mesh: Mesh):
    """Return the graph of a mesh."""
    return make_graph({"aquifer": mesh}, least=8)


class Solver(Dynamics):
    """The explicit solver of mgn_zero_shot.py, on any graph."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    component = "aquifer"

    def forward(
        self, graph, states: Tensor, forcing: Tensor, static: Tensor, span: float = 1.0
    ) -> Tensor:
        """Return heights a step later; steps are a fifth of the limit."""
        edges = graph["aquifer", "beside", "aquifer"]
        (i, j), area = edges.edge_index, graph["aquifer"].measure
        k = static[:, 0].exp()
        between = edges.width / edges.distance * 2 * k[i] * k[j] / (k[i] + k[j])
        rate = torch.zeros_like(area).index_add(0, j, between) / area
        height, seconds = states[:, 0], span * RECORD
        times = int(torch.ceil(seconds * rate.max() * height.max() / 0.2))
        for _ in range(times):
            flux = between * 0.5 * (height[i] + height[j]) * (height[i] - height[j])
            height = height + seconds / times * torch.zeros_like(area).index_add(0, j, flux) / area
        return height[:, None]


def main() -> None:
    """Train, run on meshes of both kinds, print a table."""
    arguments = read_arguments(__doc__)
    fine, even = triangles(FINE), triangles(UNIFORM)
    episodes = []
    for seed in range(10):
        truth = solve(fine, mounds(fine.centroids, seed), RECORD, 32)
        # half of the meshes are uniform, the others adapted to this front at some time
        mesh = even if seed % 2 else remesh(fine, truth[8 * (seed // 2 % 4)], SIZING)
        heights = conservative_remap(fine, mesh).means(truth)
        names = ("height", "log_conductivity")
        episodes.append(Episode(graph(mesh), heights[..., None], static=static(mesh), names=names))
    dynamics = FluxDynamics.of(episodes, span=SPAN, width=32, depth=2)
    n = arguments.scale
    lessons = [
        Lesson(int(240 * n), noise=0.1, rate=2e-3, spans=(1, SPAN)),
        Lesson(int(80 * n), rollout=2, noise=0.05, rate=5e-4, spans=(1, SPAN)),
        Lesson(int(60 * n), rollout=3, push=2, rate=2e-4, spans=(SPAN,)),
    ]
    choices = {"progress": False, "seed": arguments.seed}
    train_and_tell(dynamics, episodes, lessons, arguments.directory, **choices)
    rows: dict[str, list] = {}
    for seed in range(100, 104):
        truth = solve(fine, mounds(fine.centroids, seed), RECORD, STEPS * SPAN)[::SPAN]

        def error(meshes, heights, truth=truth) -> list[float]:
            """Root mean squares over the first third and over all times, on the fine mesh."""
            squares, remaps = [], {}
            for mesh, height, true in zip(meshes[1:], heights[1:], truth[1:], strict=True):
                if id(mesh) not in remaps:
                    remaps[id(mesh)] = conservative_remap(mesh, fine, order=2)
                gap = remaps[id(mesh)].means(np.asarray(height)) - true
                squares.append(fine.areas @ gap**2 / fine.areas.sum())
            return [np.mean(squares[: STEPS // 3]), np.mean(squares)]

        for name, model in (("network", dynamics), ("solver", Solver())):
            for count in (UNIFORM, 2 * UNIFORM):
                mesh = triangles(count)
                moved = conservative_remap(fine, mesh).means(truth[0])[:, None]
                states = [torch.from_numpy(moved)]
                nodes, fixed = graph(mesh), torch.from_numpy(static(mesh))
                begun = time.perf_counter()
                with torch.no_grad():
                    for _ in range(STEPS):
                        none = torch.zeros(mesh.size, 0, dtype=torch.float64)
                        states.append(model(nodes, states[-1], none, fixed, float(SPAN)))
                seconds = time.perf_counter() - begun
                heights = [s[:, 0].numpy() for s in states]
                found = error([mesh] * len(states), heights)
                rows.setdefault(f"{name}, uniform {mesh.size}", []).append(
                    [*found, mesh.size, quality(mesh).min(), seconds]
                )
            begun = time.perf_counter()
            made = adaptive_rollout(
                model,
                fine,
                truth[0][:, None],
                steps=STEPS,
                sizing=SIZING,
                every=EVERY,
                static=static,
                span=float(SPAN),
                graph=graph,
            )
            seconds = time.perf_counter() - begun
            lost = np.ptp(made.amounts()) / made.amounts()[0, 0]
            assert lost < 1e-12, lost
            worst = min(quality(part).min() for part in made.parts)
            found = error(made.parts, [s[:, 0].numpy() for s in made.states])
            rows.setdefault(f"{name}, adaptive", []).append(
                [*found, made.sizes.mean(), worst, seconds]
            )
        rows.setdefault("persistence", []).append(
            [*error([fine] * len(truth), [truth[0]] * len(truth)), fine.size, 1.0, 0.0]
        )
    print(f"{'':<24}{'cells':>7}{'RMSE, first third':>19}{'all':>9}{'quality':>9}{'s':>7}")
    for name, found in rows.items():
        one, whole, cells, _, seconds = np.mean(found, axis=0)
        worst = min(row[3] for row in found)
        print(
            f"{name:<24}{cells:>7.0f}{np.sqrt(one):>19.4f}{np.sqrt(whole):>9.4f}"
            f"{worst:>9.2f}{seconds:>7.2f}"
        )


if __name__ == "__main__":
    main()
