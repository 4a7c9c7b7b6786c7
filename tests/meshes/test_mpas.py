import numpy as np
import pytest
import xarray as xr

from hybridwater.errors import MeshError
from hybridwater.meshes import read_mpas, sphere


def test_cells_are_where_the_file_says(mpas, mpas_file):
    with xr.open_dataset(mpas_file) as data:
        centres = np.degrees(np.stack([data["lonCell"].values, data["latCell"].values], axis=1))
        assert mpas.size == data.sizes["nCells"]
    # generators and centroids of a quasi-uniform mesh are close, not equal
    away = sphere.angle(sphere.to_vectors(centres), sphere.to_vectors(mpas.centroids))
    assert away.max() < 0.01


def test_a_file_without_vertices_is_refused(mpas_file):
    with xr.open_dataset(mpas_file) as data:
        with pytest.raises(MeshError, match=r"'verticesOnCell' is missing.*did you mean"):
            read_mpas(data.drop_vars("verticesOnCell"))
        with pytest.raises(MeshError, match="planar periodic"):
            read_mpas(data.assign_attrs(on_a_sphere="NO", is_periodic="YES"))


def test_a_planar_mesh():
    square = xr.Dataset(
        {
            "xVertex": ("nVertices", [0.0, 10.0, 10.0, 0.0]),
            "yVertex": ("nVertices", [0.0, 0.0, 10.0, 10.0]),
            "verticesOnCell": (("nCells", "maxEdges"), [[1, 2, 3, 4, 0]]),
            "nEdgesOnCell": ("nCells", [4]),
        },
        attrs={"on_a_sphere": "NO"},
    )
    mesh = read_mpas(square)
    assert (mesh.geometry, mesh.areas.tolist()) == ("planar", [100.0])
