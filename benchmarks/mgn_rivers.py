"""Routing on a real river network: a mesh graph network beside persistence.

The channel graph of the National Water Model in the Lower Colorado basin (11,248 reaches, 18 hours
of streamflow that the model simulated). Dynamics are trained on the early hours and run over the
later ones from their first state, with the lateral inflow as forcing. Beside it: persistence, and
the change of the last hour going on for ever, which is much the better of the two while a flood
wave passes, and from which the network starts. With ``--peer``, PhysicsNeMo's MeshGraphNet too,
with our weights and seconds (mgn_peer.py); it starts from the last change as ours does.

    HYBRIDWATER_DATA=... python benchmarks/mgn_rivers.py [--directory FOLDER | --peer] [--seed 0]

The directory keeps the training: run again to go on after an interruption.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from mgn_training import read_arguments, train_and_tell

from hybridwater.meshes import RiverNetwork, read_routelink
from hybridwater.mgn import Episode, IncrementDynamics, Lesson, make_graph

TRAIN_HOURS = 11  # states at 0 ... 10
LEAST = 0.05  # m3 s-1, of the local scale


def read(folder: Path) -> tuple[RiverNetwork, np.ndarray, np.ndarray, np.ndarray]:
    """Return the network, discharge and lateral inflow [m3 s-1] per hour, and static features.

    Reaches without a discharge (fill) are left out; what they fed becomes a headwater.
    """
    network = read_routelink(folder / "RouteLink.nc")
    links = np.array(network.names).astype(np.int64)
    flow, lateral = [], []
    for path in sorted((folder / "channel_forcing").glob("*.nc")):
        with xr.open_dataset(path) as data:
            order = np.argsort(data["feature_id"].values)
            place = order[np.searchsorted(data["feature_id"].values[order], links)]
            flow.append(data["streamflow"].values.ravel()[place])
            lateral.append(data["q_lateral"].values.ravel()[place])
    discharge, inflow = np.array(flow), np.nan_to_num(np.array(lateral))
    keep = np.isfinite(discharge).all(axis=0) & (discharge >= 0.0).all(axis=0)
    with xr.open_dataset(folder / "RouteLink.nc") as link:
        slope, roughness, width = (link[n].values for n in ("So", "n", "BtmWdth"))
        lake = (link["NHDWaterbodyComID"].values > 0).astype(float)
    static = np.stack([np.log(slope), np.log(roughness), np.log(width), lake], axis=1)
    return network.select(keep), discharge[:, keep], inflow[:, keep], static[keep]


def scaled(
    network: RiverNetwork, discharge: np.ndarray, inflow: np.ndarray, static: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return states, forcing, static features and the local scale, that of the first hours."""
    scale = np.sqrt(discharge[:TRAIN_HOURS].mean(axis=0) ** 2 + LEAST**2)
    state = discharge / scale
    change = np.diff(state, axis=0, prepend=state[:1])
    upstream = network.connectivity @ scale
    static = np.column_stack(
        [static, np.log(scale), upstream / scale, np.log(np.maximum(network.lengths, 1.0))]
    )
    # the file of an hour holds what entered in the hour before it
    return np.stack([state, change], axis=-1), (inflow / scale)[1:, :, None], static, scale


def main() -> None:
    """Train, roll out, print a table by lead time."""
    arguments = read_arguments(__doc__, peer=True)
    folder = Path(os.environ["HYBRIDWATER_DATA"]) / "river_networks" / "nwm_lower_colorado"
    network, discharge, inflow, static = read(folder)
    states, forcing, static, scale = scaled(network, discharge, inflow, static)
    graph = make_graph({"river": network}, isolated=True)
    hour_to_hour = np.diff(discharge, axis=0)
    print(
        f"{network.size} reaches, {len(discharge)} hours; persistence over one hour: "
        f"{np.sqrt((hour_to_hour**2).mean()):.3f} m3 s-1"
    )
    names = ("discharge", "change", "lateral", "slope", "roughness", "width", "lake")
    names = (*names, "scale", "upstream", "length")

    def episode(hours: slice) -> Episode:
        steps = forcing[hours.start : hours.stop - 1]
        # from the second hour: the first has no change before it
        return Episode(
            graph, states[hours], forcing=steps, static=static, weights=scale, names=names
        )

    train, test = episode(slice(1, TRAIN_HOURS)), episode(slice(TRAIN_HOURS - 1, len(states)))
    n = arguments.scale
    recipes = {
        "rollouts": [
            Lesson(int(120 * n), rate=2e-3, noise=0.05, batch=1),
            Lesson(int(60 * n), rollout=3, rate=1e-3, batch=1),
            Lesson(int(40 * n), rollout=3, push=2, rate=5e-4, batch=1),
        ],
        "noise": [Lesson(int(360 * n), rate=1e-3, noise=0.05, batch=1)],
    }

    def make() -> IncrementDynamics:
        torch.manual_seed(arguments.seed)
        # What comes from upstream adds up. Sums were better than means, and than five steps
        # without levels, in the last three hours of the training, left out (seeds 0 and 1).
        return IncrementDynamics.of([train], inertia=True, width=32, depth=2, aggregation="sum")

    trained = {"network": make()}
    seconds = train_and_tell(
        trained["network"],
        [train],
        recipes["noise"],
        arguments.directory,
        checkpoint_every=10,
        seed=arguments.seed,
    )
    if arguments.peer:
        from mgn_peer import train_peers

        trained |= train_peers(make, train, recipes, seconds, arguments.seed, other="rollouts")
    true = discharge[TRAIN_HOURS - 1 :]
    runs = {name: x.rollout(test)[:, :, 0].numpy() * scale for name, x in trained.items()}
    runs["persistence"] = np.broadcast_to(true[0], true.shape)
    runs["last change"] = true[0] + np.arange(len(true))[:, None] * hour_to_hour[TRAIN_HOURS - 2]
    print(f"{'lead [h]':>8}" + "".join(f"{name:>13}" for name in runs))
    for lead in range(1, len(true)):
        errors = [np.sqrt(((run[lead] - true[lead]) ** 2).mean()) for run in runs.values()]
        print(f"{lead:>8}" + "".join(f"{error:>13.4f}" for error in errors))
    for name, made in trained.items():
        ahead = [
            np.sqrt(np.mean((step * scale) ** 2))
            for step in _one_hour(made, test, states[TRAIN_HOURS - 1 :])
        ]
        print(f"one hour ahead from each state: {name} {np.mean(ahead):.4f} m3 s-1")


def _one_hour(dynamics: IncrementDynamics, test: Episode, states: np.ndarray) -> np.ndarray:
    found = []
    with torch.no_grad():
        for t in range(len(states) - 1):
            after = dynamics(test.graph, test.states[t], test.forcing[t], test.static)
            found.append((after - test.states[t + 1])[:, 0].numpy())
    return np.array(found)


if __name__ == "__main__":
    main()
