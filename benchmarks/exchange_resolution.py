"""A learned exchange that is trained on one mesh or two and runs on finer and coarser ones.

Rain of 4 x 4 cells of 12 km falls on irregular triangles. Where it truly arrives is made on squares
of 375 m and brought to each mesh of the land by overlap:

- ``slopes``: within each cell of the air more falls on high land, in proportion to exp(height);
- ``drift``: wind carries everything 3 km to the east, a fixed way in metres on every mesh.

Printed are root mean square errors per area over rain that was not seen, as a share of those of the
conservative baseline on the same mesh, median and range over seeds; beside them the remap of second
order, and the nearest cell of the air. The second mesh of the training is coarser (50 triangles).
"""

from __future__ import annotations

import argparse
import functools
import time
from typing import Any

import numpy as np
import torch

from hybridwater.meshes import Mesh, Remap, conservative_remap
from hybridwater.mgn import LearnedRemap, Samples, fit_remap

SIDE = 48_000.0
AIR, FINE = 4, 128
COUNTS = (2, 4, 8, 16, 32)
TRAINED = {
    "shares, one mesh": ("shares", (8,)),
    "shares, two meshes": ("shares", (8, 5)),
    "fluxes, one mesh": ("fluxes", (8,)),
}
DRIFT = 3_000.0


def squares(count: int, name: str) -> Mesh:
    """Return squares over the ground."""
    line = np.linspace(0.0, SIDE, count + 1)
    nodes = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    faces = np.stack([corner, corner + 1, corner + count + 2, corner + count + 1], axis=1)
    return Mesh.from_faces(nodes, faces, name=name)


@functools.cache
def triangles(count: int) -> Mesh:
    """Return 2 count^2 triangles whose inner nodes are moved."""
    from scipy.spatial import Delaunay

    line = np.linspace(0.0, SIDE, count + 1)
    nodes = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    inside = ((nodes > 0) & (nodes < SIDE)).all(axis=1)
    moves = np.random.default_rng(count).uniform(-0.2, 0.2, nodes.shape) * SIDE / count
    nodes[inside] += moves[inside]
    return Mesh.from_faces(nodes, Delaunay(nodes).simplices, name="land")


def relief(points: np.ndarray) -> np.ndarray:
    """Return heights of about mean zero and spread one; valleys are 6 to 15 km wide."""
    x, y = 2.0 * np.pi * points.T / 1000.0
    return np.sin(x / 13 + np.sin(y / 31)) + 0.7 * np.sin(y / 17 - x / 29) + 0.4 * np.cos(x / 11)


AIR_MESH, FINE_MESH = squares(AIR, "air"), squares(FINE, "ground")


def rains(seed: int, samples: int = 40) -> np.ndarray:
    """Return rain on the cells of the air, amounts."""
    return np.random.default_rng(seed).exponential(1.0, (samples, AIR**2)) * AIR_MESH.areas


def truth(kind: str, rain: np.ndarray) -> np.ndarray:
    """Return where rain arrives on the fine squares."""
    base = _to_fine().amounts(rain)
    if kind == "slopes":
        more = np.exp(relief(FINE_MESH.centroids))
        return base * more / _to_fine().means(_to_fine().shares.T @ more)
    steps = round(DRIFT / (SIDE / FINE))
    rows = base.reshape(-1, FINE, FINE)
    moved = np.zeros_like(rows)
    moved[:, :, steps:] = rows[:, :, :-steps]
    moved[:, :, -1] += rows[:, :, -steps:].sum(axis=-1)  # it stays at the border
    return moved.reshape(base.shape)


@functools.cache
def _to_fine() -> Remap:
    return conservative_remap(AIR_MESH, FINE_MESH)


@functools.cache
def to_land(count: int) -> tuple[Remap, np.ndarray]:
    """Return the remap from fine squares to a mesh, and the mean height of its cells."""
    remap = conservative_remap(FINE_MESH, triangles(count))
    return remap, remap.means(relief(FINE_MESH.centroids))


def learned(count: int, weights: LearnedRemap | None = None, **choices: Any) -> LearnedRemap:
    """Return a learned remap to a mesh."""
    land = triangles(count)
    return LearnedRemap.of(
        conservative_remap(AIR_MESH, land),
        AIR_MESH,
        land,
        target_static={"height": to_land(count)[1]},
        weights=weights,
        **({} if weights else choices),
    )


def error(moved: np.ndarray, arrived: np.ndarray, count: int) -> float:
    """Root mean square error per area."""
    areas = triangles(count).areas
    return float(
        np.sqrt((((moved - arrived) / areas) ** 2 * areas).sum(axis=1).mean() / areas.sum())
    )


def nearest(count: int) -> Remap:
    """Return the remap that gives each cell the mean of the nearest cell of the air."""
    from scipy.sparse import csr_array

    land = triangles(count)
    distance = np.linalg.norm(land.centroids[:, None] - AIR_MESH.centroids, axis=-1)
    near = distance.argmin(axis=1)
    shares = csr_array((land.areas / AIR_MESH.areas[near], (np.arange(land.size), near)))
    return Remap(shares, AIR_MESH.areas, land.areas, np.ones(land.size))


def main() -> None:
    """Train, run on all meshes, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truth", choices=("slopes", "drift"), action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--finest", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    counts = [n for n in COUNTS if n <= arguments.finest]
    for kind in arguments.truth or ("slopes", "drift"):
        rain, unseen = rains(0), rains(1)
        arrived = {n: to_land(n)[0].amounts(truth(kind, rain)) for n in (8, 5)}
        wanted = {n: to_land(n)[0].amounts(truth(kind, unseen)) for n in counts}
        base = {
            n: error(conservative_remap(AIR_MESH, triangles(n)).amounts(unseen), wanted[n], n)
            for n in counts
        }
        print(f"{kind}\n{'cells':<34}" + "".join(f"{2 * n**2:>18}" for n in counts))
        print(f"{'cell / that of the training':<34}" + "".join(f"{8 / n:>18g}" for n in counts))
        print(f"{'baseline, of the mean':<34}" + "".join(f"{base[n]:>18.3f}" for n in counts))
        for label, make in (
            ("second order", lambda n: conservative_remap(AIR_MESH, triangles(n), order=2)),
            ("nearest", nearest),
        ):
            found = [error(make(n).amounts(unseen), wanted[n], n) / base[n] for n in counts]
            print(f"{label:<34}" + "".join(f"{v:>18.2f}" for v in found))
        for label, (moves, meshes) in TRAINED.items():
            rows, begun = [], time.perf_counter()
            for seed in range(arguments.seeds):
                torch.manual_seed(seed)
                first = learned(meshes[0], moves=moves, width=16)
                others = [Samples(learned(n, first), rain, arrived[n]) for n in meshes[1:]]
                fit_remap(
                    first,
                    rain,
                    arrived[meshes[0]],
                    others=others,
                    iterations=arguments.iterations,
                    seed=seed,
                    progress=False,
                )
                rows.append(
                    [
                        error(learned(n, first).amounts(unseen), wanted[n], n) / base[n]
                        for n in counts
                    ]
                )
            text = [
                f"{np.median(c):.2f} ({min(c):.2f}..{max(c):.2f})" for c in zip(*rows, strict=True)
            ]
            seconds = (time.perf_counter() - begun) / arguments.seeds
            print(
                f"{label:<34}" + "".join(f"{t:>18}" for t in text) + f"  {seconds:.0f} s each",
                flush=True,
            )


if __name__ == "__main__":
    main()
