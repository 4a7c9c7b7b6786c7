import importlib.util

import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import column_mesh, conservative_remap, latlon_mesh


def test_columns_have_areas_and_no_neighbours():
    mesh = column_mesh([1e6, 2e6], [[-75, 40], [-75, 41]], names=["a", "b"])
    assert mesh.areas.tolist() == [1e6, 2e6]
    assert mesh.measured_areas is mesh.areas
    assert mesh.adjacency.nnz == 0
    assert mesh.cell_name(1) == "b"


def test_columns_have_no_overlaps():
    mesh = column_mesh([1e6], [[5, 5]], name="hrus")
    with pytest.raises(MeshError, match=r"no outlines.*mesh 'hrus'.*Use basin_map"):
        conservative_remap(mesh, latlon_mesh([0, 10], [0, 10]))


def test_the_delaware_case_fits():
    if importlib.util.find_spec("pywatershed") is None:
        pytest.skip("the Delaware data come with pywatershed")
    from hybridwater.data import read_delaware

    forcing = read_delaware().forcing
    mesh = column_mesh(
        forcing["area"].values * 1e6,
        np.stack([forcing["longitude"].values, forcing["latitude"].values], axis=1),
        names=forcing["basin"].values,
    )
    assert mesh.size == 765
    assert mesh.areas.sum() == pytest.approx(33_285e6, rel=1e-3)
