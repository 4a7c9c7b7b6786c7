"""A tide in a harbour: a mesh graph network beside persistence, with banks that fall dry.

San Diego Bay as the model AdH simulated it (9,140 nodes, 16,869 triangles, 33 times, half an hour
apart; from the test data of uxarray and xugrid). Cells are the triangles, and a cell has the mean
depth of its nodes. The network reads the water level of cells, which AdH extends below dry ground,
and says by how much it changes. The tide at the open sea (mean level of the deepest hundredth of
the cells) is a boundary condition and given, as the lateral inflow is in mgn_rivers.py. It is
trained on the first hours and run over the later ones from their first state. Depths are compared,
zero where a cell is dry; a cell is wet above 5 cm. Beside it: persistence, and every cell going
with the tide. With ``--peer``, PhysicsNeMo's MeshGraphNet too, with our weights and seconds
(mgn_peer.py).

    HYBRIDWATER_DATA=... python benchmarks/mgn_tides.py [--directory FOLDER | --peer] [--seed 1]

The directory keeps the training: run again to go on after an interruption.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from mgn_training import read_arguments, train_and_tell

from hybridwater.meshes import Mesh
from hybridwater.mgn import Episode, IncrementDynamics, Lesson, make_graph

TRAIN = 21  # times, of 33
WET = 0.05  # m


def read(path: Path) -> tuple[Mesh, np.ndarray, np.ndarray]:
    """Return the mesh, level [m] of shape (n_times, n_cells), and elevation of the bed [m]."""
    with xr.open_dataset(path) as data:
        faces = data["face_node_connectivity"].values.astype(int)
        nodes = np.stack([data["node_x"].values, data["node_y"].values], axis=1)
        bed = data["elevation"].values[faces].mean(axis=1)
        depth = data["depth"].values[:, faces].mean(axis=2)
    return Mesh.from_faces(nodes, faces, name="bay"), depth + bed, bed


def main() -> None:
    """Train, roll out, print a table by lead time."""
    arguments = read_arguments(__doc__, peer=True)
    mesh, level, bed = read(Path(os.environ["HYBRIDWATER_DATA"]) / "meshes" / "adh_san_diego.nc")
    wet = level - bed > WET
    print(
        f"{mesh.size} cells, {len(level)} times; {int((~wet).all(axis=0).sum())} cells are always "
        f"dry, {int((wet.any(axis=0) & ~wet.all(axis=0)).sum())} dry at times"
    )
    sea = bed <= np.quantile(bed, 0.01)
    tide = level[:, sea].mean(axis=1)
    change = np.diff(tide)
    rise = np.stack([tide[:-1], change, np.diff(tide, n=2, prepend=tide[:1])[: len(change)]], -1)
    forcing = np.tile(rise[:, None], (1, mesh.size, 1))
    # what matters of the bed is near the levels of the water, and how fast waves are
    static = np.stack([np.tanh(bed / 1.5), np.log1p(np.maximum(-bed, 0.0))], axis=1)
    states = (level - tide[:, None])[..., None]
    names = ("above_tide", "tide", "change", "change_of_change", "bed", "log_depth")
    graph = make_graph({"bay": mesh}, elevations={"bay": bed})

    def episode(times: slice) -> Episode:
        steps = forcing[times.start : times.stop - 1]
        return Episode(graph, states[times], forcing=steps, static=static, names=names)

    train, test = episode(slice(0, TRAIN)), episode(slice(TRAIN - 1, len(level)))
    n = arguments.scale
    recipes = {
        "rollouts": [
            Lesson(int(160 * n), rate=2e-3, noise=0.3, batch=1),
            Lesson(int(60 * n), rollout=3, rate=1e-3, noise=0.1, batch=1),
            Lesson(int(40 * n), rollout=4, push=2, rate=5e-4, batch=1),
        ],
        "noise": [Lesson(int(400 * n), rate=1e-3, noise=0.3, batch=1)],
    }

    def make() -> IncrementDynamics:
        torch.manual_seed(arguments.seed)
        return IncrementDynamics.of([train], width=32, depth=2)

    trained = {"network": make()}
    seconds = train_and_tell(
        trained["network"],
        [train],
        recipes["rollouts"],
        arguments.directory,
        checkpoint_every=20,
        seed=arguments.seed,
    )
    if arguments.peer:
        from mgn_peer import train_peers

        trained |= train_peers(make, train, recipes, seconds, arguments.seed, other="noise")
    from_here = level[TRAIN - 1 :]
    ahead = tide[TRAIN - 1 :]
    runs = {
        **{n: x.rollout(test)[:, :, 0].numpy() + ahead[:, None] for n, x in trained.items()},
        "persistence": np.broadcast_to(from_here[0], from_here.shape),
        "with the tide": from_here[0] + (ahead - ahead[0])[:, None],
    }
    # banks: where wet and dry are decided
    bank = wet.any(axis=0) & ~wet.all(axis=0)
    truth = np.maximum(from_here - bed, 0.0)
    print(f"{'':>9}  " + "  ".join(f"{name:^29}" for name in runs))
    print(
        f"{'lead [h]':>9}  " + "  ".join(f"{'RMSE':>9}{'banks':>9}{'wet wrong':>11}" for _ in runs)
    )
    area = mesh.areas / mesh.areas.sum()
    # cells differ in size by orders: the sea would decide a mean weighted by area
    print(f"(RMSE [m] over cells, over {int(bank.sum())} cells of banks; share of those wrong)")
    rows = []
    for lead in range(1, len(truth)):
        line = []
        for run in runs.values():
            depth = np.maximum(run[lead] - bed, 0.0)
            gap = depth - truth[lead]
            wrong = (depth > WET) != (truth[lead] > WET)
            line += [np.mean(gap**2), np.mean(gap[bank] ** 2), wrong[bank].mean(), area @ gap**2]
        rows.append(line)
        shown = np.array(line).reshape(-1, 4)
        print(
            f"{lead / 2:>9.1f}  "
            + "  ".join(f"{np.sqrt(a):>9.4f}{np.sqrt(b):>9.4f}{c:>11.3f}" for a, b, c, _ in shown)
        )
    mean = np.mean(rows, axis=0).reshape(-1, 4)
    print(
        f"{'all':>9}  "
        + "  ".join(f"{np.sqrt(a):>9.4f}{np.sqrt(b):>9.4f}{c:>11.3f}" for a, b, c, _ in mean)
    )
    print(f"{'by area':>9}  " + "  ".join(f"{np.sqrt(d):>9.4f}{'':>20}" for *_, d in mean))


if __name__ == "__main__":
    main()
