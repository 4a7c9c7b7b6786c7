"""What each of two processes does in the test of trainings that share their work."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from hybridwater.meshes import conservative_remap, latlon_mesh
from hybridwater.mgn import LearnedRemap, fit_remap


def make():
    """Return a remap, and what was given and arrived."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    air, land = (latlon_mesh(np.arange(0, 5, d), np.arange(40, 45, d)) for d in (2.0, 1.0))
    baseline = conservative_remap(air, land)
    rain = np.random.default_rng(0).exponential(1.0, (30, air.size)) * air.areas
    height = np.arange(land.size) % 2.0
    remap = LearnedRemap.of(baseline, air, land, target_static={"height": height}, width=4)
    return remap, rain, baseline.amounts(rain) * (0.5 + height)


def train(rank, folder):
    """Train in one of two processes, and keep the weights."""
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    remap, rain, truth = make()
    fit_remap(remap, rain, truth, directory=folder / "run", iterations=6, batch=4, progress=False)
    remap.save(folder / f"{rank}.safetensors")
    distributed.destroy_process_group()


if __name__ == "__main__":
    train(int(sys.argv[1]), Path(sys.argv[2]))
