"""Messages per second of a mesh graph network, beside NVIDIA PhysicsNeMo's MeshGraphNet.

A triangulation of about 1,900 nodes and 11,000 edges, 15 steps of 128 numbers, the same number of
hidden layers, forward and backward, one thread, float32. Runs are interleaved, and the median of
seven counts; seconds are of processor time, which other work on the machine does not change much.
The peer is PhysicsNeMo (``pip install nvidia-physicsnemo``) as it comes and with
``do_concat_trick``; without it, only our own layers are timed. Before that, time and peak
memory for ever more edges, each in a process of its own.

    python benchmarks/mgn_throughput.py
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

STEPS, WIDTH, RUNS = 15, 128, 7


def triangulation(count: int) -> torch.Tensor:
    """Return the edges between random points, both directions, sorted by target."""
    from scipy.spatial import Delaunay

    points = np.random.default_rng(0).random((count, 2))
    corners = Delaunay(points).simplices
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]])[:, ::-1], axis=0)[:, ::-1]
    return torch.from_numpy(np.ascontiguousarray(both.T).astype(np.int64))


def ours(index: torch.Tensor, count: int, width: int, steps: int) -> Callable[[], None]:
    """Return one forward and backward pass of our network."""
    from torch_geometric.data import HeteroData

    from hybridwater.mgn import Architecture, MeshGraphNetwork

    graph = HeteroData()
    graph["mesh"].measure = graph["mesh"].length = torch.ones(count)
    graph["mesh", "beside", "mesh"].edge_index = index
    graph["mesh", "beside", "mesh"].edge_attr = torch.randn(index.shape[1], 6)
    names = [f"x{k}" for k in range(8)]
    network = MeshGraphNetwork(
        Architecture.of(
            graph,
            {"mesh": names},
            outputs={"mesh": ["a", "b", "c"]},
            width=width,
            depth=steps,
            cycle="flat",
            aggregation="sum",
            activation="relu",
        )
    )
    values = {"mesh": torch.randn(count, 8)}

    def run() -> None:
        network.zero_grad()
        network(graph, values).nodes["mesh"].square().mean().backward()

    run.size = network.size  # type: ignore[attr-defined]
    return run


def peer(index: torch.Tensor, count: int, *, trick: bool) -> Callable[[], None]:
    """Return the same of PhysicsNeMo."""
    from physicsnemo.models.meshgraphnet import MeshGraphNet
    from torch_geometric.data import Data

    network = MeshGraphNet(8, 6, 3, processor_size=STEPS, do_concat_trick=trick)
    graph = Data(edge_index=index, num_nodes=count)
    nodes, edges = torch.randn(count, 8), torch.randn(index.shape[1], 6)

    def run() -> None:
        network.zero_grad()
        network(nodes, edges, graph).square().mean().backward()

    run.size = sum(p.numel() for p in network.parameters())  # type: ignore[attr-defined]
    return run


def growth(edges: int) -> dict[str, float]:
    """Time one pass of a small network over a graph of many edges, in this process."""
    count = edges // 6
    index = triangulation(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    run = ours(index, count, 16, 2)
    run()
    begun = time.process_time()
    run()
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"edges": index.shape[1], "seconds": seconds, "MiB": peak - before}


def main() -> None:
    """Print both tables; the small processes first, since they inherit the peak of this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--growth", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.growth:
        print(json.dumps(growth(arguments.growth)))
        return
    print(f"{'edges':>10}{'seconds':>10}{'us/edge':>10}{'MiB':>8}{'B/edge':>8}")
    for edges in (30_000, 125_000, 500_000, 1_000_000):
        command = [sys.executable, __file__, "--growth", str(edges)]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(made.stdout.splitlines()[-1])
        print(
            f"{row['edges']:>10}{row['seconds']:>10.3f}{row['seconds'] / row['edges'] * 1e6:>10.2f}"
            f"{row['MiB']:>8.0f}{row['MiB'] / row['edges'] * 2**20:>8.0f}",
            flush=True,
        )
    index = triangulation(1900)
    runs = {"hybridwater": ours(index, 1900, WIDTH, STEPS)}
    try:
        runs["PhysicsNeMo, do_concat_trick"] = peer(index, 1900, trick=True)
        runs["PhysicsNeMo, default"] = peer(index, 1900, trick=False)
    except ImportError as error:
        print(f"PhysicsNeMo cannot be imported ({error}): only our own layers are timed.")
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(RUNS + 1):
        for name, run in runs.items():
            begun = time.process_time()
            run()
            if k:  # the first one warms up
                times[name].append(time.process_time() - begun)
    own = statistics.median(times["hybridwater"])
    print(f"1900 nodes, {index.shape[1]} edges, {STEPS} x {WIDTH}, torch {torch.__version__}")
    for name, found in times.items():
        middle = statistics.median(found)
        rate = STEPS * index.shape[1] / middle
        size = runs[name].size  # type: ignore[attr-defined]
        print(
            f"{name:<30}{size:>10} weights {middle:8.3f} s {rate:12.0f} messages/s   "
            f"ours is {middle / own:.2f}x as fast"
        )


if __name__ == "__main__":
    main()
