"""What each of two processes does in the test of trainings that share their work."""

import sys
from pathlib import Path

import numpy as np
import torch
from runoff_case import coupler, place, record
from torch import distributed

from hybridwater.meshes import conservative_remap, latlon_mesh
from hybridwater.mgn import LearnedRemap, Schooling, fit_remap, train_on_discharge

PLAN = Schooling(iterations=4, silent=1, window=20, warm=5, refresh=3)


def make(seed=0, **options):
    """Return a remap, and what was given and arrived."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    air, land = (latlon_mesh(np.arange(0, 5, d), np.arange(40, 45, d)) for d in (2.0, 1.0))
    baseline = conservative_remap(air, land)
    rain = np.random.default_rng(0).exponential(1.0, (30, air.size)) * air.areas
    height = np.arange(land.size) % 2.0
    options = {"target_static": {"height": height}, "width": 4, **options}
    remap = LearnedRemap.of(baseline, air, land, **options)
    return remap, rain, baseline.amounts(rain) * (0.5 + height)


def school(exchange, **options):
    """Train an exchange on discharge."""
    gages = place()[2].at([2, 3])
    return train_on_discharge(exchange, record(), gages, PLAN, progress=False, **options)


def train(rank, folder):
    """Train in one of two processes, and keep the weights."""
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    remap, rain, truth = make(rank)  # each begins with other weights
    fit_remap(remap, rain, truth, directory=folder / "run", iterations=6, batch=4, progress=False)
    remap.save(folder / f"{rank}.safetensors")
    exchange = coupler(rank)
    school(exchange, directory=folder / "school")
    exchange.save(folder / f"discharge-{rank}.safetensors")
    distributed.destroy_process_group()


if __name__ == "__main__":
    train(int(sys.argv[1]), Path(sys.argv[2]))
