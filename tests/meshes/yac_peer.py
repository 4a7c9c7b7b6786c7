"""Compute remap weights with YAC, in a process of its own that knows nothing of hybridwater.

    python yac_peer.py problem.npz weights.nc

A mesh is ``{prefix}_lon`` and ``{prefix}_lat`` (bounds of a lat-lon mesh, degrees) or
``{prefix}_counts``, ``{prefix}_x``, ``{prefix}_y``, ``{prefix}_corners`` (polygons), and optionally
``{prefix}_mask``. The processor time of the weights alone is printed in seconds.
"""

import sys
import time

import numpy as np
from yac import core


def grid(problem, prefix):
    """Make a YAC grid; return it with the field that sits on its cells."""
    if f"{prefix}_lon" in problem:
        lon, lat = problem[f"{prefix}_lon"], problem[f"{prefix}_lat"]
        closed = bool(np.isclose(lon[-1] - lon[0], 360.0))
        lon = lon[:-1] if closed else lon
        made = core.BasicGrid.reg_2d_new(prefix, np.radians(lon), np.radians(lat), [closed, False])
    else:
        made = core.BasicGrid.unstruct_new(
            prefix,
            problem[f"{prefix}_counts"].astype(np.int32),
            np.radians(problem[f"{prefix}_x"]),
            np.radians(problem[f"{prefix}_y"]),
            problem[f"{prefix}_corners"].astype(np.int32),
        )
    cell = core.yac_location.YAC_LOC_CELL
    count = made.get_data_size(cell)
    # Without numbers of ours YAC gives numbers of its own.
    made.set_global_index(cell, np.arange(count))
    if f"{prefix}_mask" in problem:
        made.set_core_mask(cell, problem[f"{prefix}_mask"].astype(np.int32))
    points = made.add_coordinates(cell, np.zeros(count), np.zeros(count))
    return core.InterpField(points), count


def main(problem_file, weights_file):
    """Read a problem, compute its weights, write them in YAC's own format."""
    problem = np.load(problem_file)
    source, n_source = grid(problem, "source")
    target, n_target = grid(problem, "target")
    kinds = core.yac_interp_method_conserv_normalisation
    norm = {
        "destination_area": kinds.YAC_INTERP_CONSERV_DESTAREA,
        "fraction_area": kinds.YAC_INTERP_CONSERV_FRACAREA,
    }[str(problem["normalisation"])]
    stack = core.InterpolationStack()
    # order, enforced conservation, partial coverage, normalisation
    stack.add_conservative(int(problem["order"]), False, True, norm)
    begin = time.process_time()
    weights = core.compute_weights(stack, source, target)
    print(time.process_time() - begin, flush=True)
    if weights_file:
        weights.write_to_file(weights_file, "source", "target", n_source, n_target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
