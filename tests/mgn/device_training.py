"""What the test of devices runs in a process of its own: all trainings, there and on the CPU."""

import json

import second_device
import torch
from runoff_case import behind, coupler, place, record
from shared_training import make, school

from hybridwater.meshes import column_mesh
from hybridwater.mgn import (
    Episode,
    FluxDynamics,
    IncrementDynamics,
    Lesson,
    fit_remap,
    make_graph,
    train_dynamics,
)

LESSONS = [
    Lesson(3, noise=0.1, batch=2, spans=(1, 2)),
    Lesson(3, rollout=2, push=1, batch=2),
]


def episode():
    """Return depths of a few cells that differ."""
    mesh = column_mesh([1e6] * 6, [[0.01 * k, 45.0] for k in range(6)], name="land")
    depth = 1.0 + torch.rand(8, 6, 1, generator=torch.Generator().manual_seed(1))
    return Episode(make_graph({"land": mesh}, least=2), depth.numpy(), names=["depth"])


def dynamics(kind, device):
    """Return losses of a training, and where a run of it ends."""
    torch.manual_seed(0)
    given = episode()
    made = kind.of([given], width=8, depth=1).to(device)
    table = train_dynamics(made, [given], LESSONS, seed=3, progress=False)
    run = made.rollout(given)
    assert run.device.type == device
    assert given.states.device.type == "cpu"  # what was given stays as it was
    return [*table.loss, *run[-1, :, 0].tolist()]


def exchange(device):
    """Return losses of a training, offsets, and discharge of the last day at all reaches."""
    made = coupler().to(device)
    table = school(made)
    routed = place()[2].route(made.arriving(record().given.sum(-1).to(device))).discharge
    assert routed.device.type == device
    return [*table.loss, *made.offsets.detach().cpu().flatten().tolist(), *routed[-1].tolist()]


def through(device):
    """Return losses of a training through a surrogate, which an engine solves on the CPU."""
    made = coupler().to(device)
    return school(made, through=behind()).loss.tolist()


def remap(device):
    """Return losses of a training, and what arrives."""
    made, rain, truth = make()
    made.correction.to(device)
    table = fit_remap(made, rain, truth, iterations=4, batch=4, progress=False)
    return [*table.loss, *(made.amounts(rain[:1])[0] / truth.max()).tolist()]


if __name__ == "__main__":
    found = {}
    for device in ("cpu", second_device.NAME):
        found[device] = {
            "fluxes": dynamics(FluxDynamics, device),
            "increments": dynamics(IncrementDynamics, device),
            "exchange": exchange(device),
            "through": through(device),
            "remap": remap(device),
        }
    x = torch.ones(3)
    try:
        torch.linalg.vecdot(x.to(second_device.NAME), x)
    except RuntimeError as error:
        found["mixed"] = str(error)
    print(json.dumps(found))
