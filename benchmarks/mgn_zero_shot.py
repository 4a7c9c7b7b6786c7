"""One mesh is enough: learned dynamics on meshes that they were not trained on.

Unconfined groundwater flows out of mounds (Boussinesq equation, dh/dt = div(K h grad h)) on
jittered triangles. The truth is one finite-volume solver on each mesh, with steps far below its
limit. A network with a conservative head and a hierarchy, and a flat MeshGraphNet (Pfaff et al.
2021: absolute positions, increments, no levels) of about as many weights, which gets four times
the iterations, are trained on one mesh alone, and run over unseen mounds on meshes 2x and 4x finer
and 2x coarser (in the width of a cell). "coefficient" is the explicit step with the one coefficient
that the training data give, without a network.

    python benchmarks/mgn_zero_shot.py [--directory runs/zero_shot] [--seed 1] [--alone]

The directory keeps both trainings: run again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hybridwater.meshes import Mesh
from hybridwater.mgn import (
    Decoded,
    Episode,
    FluxDynamics,
    IncrementDynamics,
    Lesson,
    make_graph,
    train_dynamics,
)

SIDE = 10_000.0
TRAINED = 14
MESHES = {"2x coarser": 7, "trained on": 14, "2x finer": 28, "4x finer": 56}
RECORDS = {"training": 64, "test": 40}
SPAN = 4  # records between two states that are compared


def triangles(count: int, seed: int = 0) -> Mesh:
    """Make a square of 2 count^2 triangles, whose inner nodes are jittered."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
    nodes = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    inner = ((nodes > 0) & (nodes < count)).all(axis=1)
    nodes[inner] += rng.uniform(-0.22, 0.22, (inner.sum(), 2))
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    lower = np.stack([corner, corner + 1, corner + count + 2], axis=1)
    upper = np.stack([corner, corner + count + 2, corner + count + 1], axis=1)
    return Mesh.from_faces(nodes * SIDE / count, np.concatenate([lower, upper]), name="aquifer")


def conductivity(points: np.ndarray) -> np.ndarray:
    """Return conductivity over storage coefficient, without unit: one on average."""
    x, y = points.T / SIDE
    return np.exp(0.8 * np.sin(2 * np.pi * (x + 0.6 * y)) * np.cos(2 * np.pi * (y - 0.3 * x)))


def mounds(points: np.ndarray, seed: int) -> np.ndarray:
    """Return the height of the water table at the beginning."""
    rng = np.random.default_rng(seed)
    height = np.full(len(points), 1.0)
    for _ in range(rng.integers(3, 7)):
        centre, width = rng.uniform(0, SIDE, 2), rng.uniform(0.12, 0.25) * SIDE
        distance = ((points - centre) ** 2).sum(axis=1)
        height += rng.uniform(0.5, 3.0) * np.exp(-0.5 * distance / width**2)
    return height


def solve(mesh: Mesh, start: np.ndarray, seconds: float, records: int) -> np.ndarray:
    """Solve on a mesh; steps are a fifth of the limit of the explicit method."""
    i, j = mesh.edges.cells.T
    distance = np.hypot(*(mesh.centroids[i] - mesh.centroids[j]).T)
    k = conductivity(mesh.centroids)
    between = mesh.edges.lengths / distance * 2 * k[i] * k[j] / (k[i] + k[j])
    count = mesh.size
    rate = (np.bincount(i, between, count) + np.bincount(j, between, count)) / mesh.areas
    steps = int(np.ceil(seconds * rate.max() * start.max() / 0.2))
    height, kept = start.copy(), [start]
    for _ in range(records):
        for _ in range(steps):
            flux = between * 0.5 * (height[i] + height[j]) * (height[i] - height[j])
            flux *= seconds / steps
            height = (
                height + (np.bincount(j, flux, count) - np.bincount(i, flux, count)) / mesh.areas
            )
        kept.append(height)
    return np.stack(kept)


@functools.cache
def truth(count: int, seed: int, step: float, records: int) -> np.ndarray:
    """Solve from mounds on a mesh, once."""
    mesh = triangles(count)
    return solve(mesh, mounds(mesh.centroids, seed), step, records)


def episodes(
    count: int, seeds: range, step: float, *, absolute: bool, kind: str = "training"
) -> list[Episode]:
    """Make episodes on a mesh; absolute: edges have positions in units of the trained mesh."""
    mesh = triangles(count)
    graph = make_graph({"aquifer": mesh}, least=8, levels=1 if absolute else None)
    if absolute:
        store = graph["aquifer", "beside", "aquifer"]
        local = torch.sqrt(graph["aquifer"].length[store.edge_index].prod(dim=0))
        store.edge_attr[:, :4] *= (local / (SIDE / TRAINED))[:, None]
    static = np.log(conductivity(mesh.centroids))[:, None]
    found = []
    for seed in seeds:
        heights = truth(count, seed, step, RECORDS[kind])
        found.append(
            Episode(graph, heights[..., None], static=static, names=("height", "log_conductivity"))
        )
    return found


def coefficient_alone(dynamics: FluxDynamics, episode: Episode) -> torch.Tensor:
    """Run the explicit step with the one coefficient that was fitted, without a network."""
    graph, measure = episode.graph, episode.graph["aquifer"].measure
    edges = graph["aquifer", "beside", "aquifer"].edge_index.shape[1]
    one = Decoded({}, {dynamics.relation: torch.full((edges, 1), float(np.log(np.e - 1.0)))})
    height, kept, times = episode.states[0, :, 0], [], dynamics.steps(graph, SPAN)
    for _ in range(SPAN, len(episode.states), SPAN):
        for _ in range(times):
            amounts = {"aquifer": height * measure}
            potentials = {"aquifer": height}
            booked = dynamics.head(graph, one, amounts, potentials=potentials, span=SPAN / times)
            height = booked.amounts["aquifer"] / measure
        kept.append(height)
    return torch.stack(kept)


def rmse(run: Callable[[Episode], torch.Tensor], tests: list[Episode]) -> float:
    """Root mean square error of rollouts, weighted by area, over all times but the first."""
    errors = []
    for episode in tests:
        said = run(episode)
        true = episode.states[SPAN::SPAN, :, 0]
        errors.append(float((episode.weights * (said - true) ** 2).mean()))
    return float(np.sqrt(np.mean(errors)))


def rollout(dynamics: FluxDynamics | IncrementDynamics, episode: Episode) -> torch.Tensor:
    """Return heights of a rollout, without the first."""
    return dynamics.rollout(episode, span=SPAN)[1:, :, 0]


def main() -> None:
    """Train on one mesh, run on four, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the training")
    parser.add_argument("--seed", type=int, default=0, help="of weights and windows")
    parser.add_argument("--alone", action="store_true", help="without the flat network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    mesh = triangles(TRAINED)
    step = 0.006 * float(mesh.areas.mean()) / 2.0
    courses = {}
    names = ("conservative, levels", "flat MeshGraphNet")
    for name in names[:1] if arguments.alone else names:
        flat = name.startswith("flat")
        data = episodes(TRAINED, range(12), step, absolute=flat)
        if flat:
            dynamics = IncrementDynamics.of(data, cycle="flat", width=32, depth=5)
        else:
            dynamics = FluxDynamics.of(data, span=SPAN, width=32, depth=2)
        spans = (SPAN,) if flat else (1, 2, SPAN)
        n = arguments.scale * (4 if flat else 1)  # it begins from nothing
        lessons = [
            Lesson(int(200 * n), noise=0.1, rate=2e-3, spans=spans),
            Lesson(int(60 * n), rollout=2, noise=0.05, rate=5e-4, spans=spans),
            Lesson(int(40 * n), rollout=2, push=1, rate=2e-4, spans=spans),
        ]
        folder = arguments.directory
        if folder is not None:
            folder = folder / f"{name.split()[0].strip(',')}-{arguments.seed}"
        begun = time.perf_counter()
        table = train_dynamics(
            dynamics, data, lessons, directory=folder, resume=True, seed=arguments.seed
        )
        print(
            f"{name}: {dynamics.network.size} weights, loss "
            f"{table.loss[:50].mean():.3g} -> {table.loss[-50:].mean():.3g}, "
            f"{table.seconds.max():.0f} s ({time.perf_counter() - begun:.0f} s now)",
            flush=True,
        )
        courses[name] = dynamics
    print(
        f"{'mesh':<12}{'cells':>7}{'steps':>6}  "
        + "  ".join(f"{n:>26}" for n in courses)
        + f"{'coefficient':>14}{'persistence':>14}"
    )
    base: dict[str, float] = {}
    rows = {}
    for label, count in sorted(MESHES.items(), key=lambda item: item[0] != "trained on"):
        line = ""
        for name, dynamics in courses.items():
            flat = name.startswith("flat")
            tests = episodes(count, range(100, 103), step, absolute=flat, kind="test")
            error = rmse(functools.partial(rollout, dynamics), tests)
            base.setdefault(name, error)
            line += f"  {error:14.5f} ({error / base[name]:6.2f}x)"
            if isinstance(dynamics, FluxDynamics):
                inner = dynamics.steps(tests[0].graph, SPAN)
                plain = rmse(functools.partial(coefficient_alone, dynamics), tests)
            still = (tests[0].states[SPAN::SPAN] - tests[0].states[0]).square().mean().sqrt()
        rows[label] = f"{label:<12}{2 * count**2:>7}{inner:>6}  {line}{plain:>14.4f}{still:>14.4f}"
    for label in MESHES:
        print(rows[label])


if __name__ == "__main__":
    main()
