import dataclasses

import numpy as np
import pytest
import shapely

from hybridwater.errors import MeshError
from hybridwater.meshes import (
    latlon_mesh,
    polygon_mesh,
    read_ugrid,
    to_ugrid,
    write_ugrid,
)


def assert_same(one, two):
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        else:
            assert a == b, field.name


@pytest.mark.parametrize("kind", ["triangles", "parallels", "voronoi", "named"])
def test_round_trip_to_the_last_bit(kind, tmp_path, request, plane_triangles):
    if kind == "triangles":
        mesh = plane_triangles(200)
    elif kind == "parallels":
        mesh = latlon_mesh(np.linspace(-180, 180, 13), np.linspace(90, -90, 7))
    elif kind == "voronoi":
        mesh = request.getfixturevalue("mpas")
    else:
        boxes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]
        mesh = polygon_mesh(boxes, names=["a", "b"], areas=np.array([1.1, 0.9]), crs="EPSG:3035")
    path = write_ugrid(mesh, tmp_path / "mesh.nc")
    assert_same(read_ugrid(path), mesh)
    assert_same(read_ugrid(to_ugrid(mesh)), mesh)


def test_xugrid_reads_what_we_write(tmp_path, plane_triangles):
    xugrid = pytest.importorskip("xugrid", reason="xugrid reads UGRID files independently")
    mesh = plane_triangles(300)
    grid = xugrid.open_dataset(write_ugrid(mesh, tmp_path / "mesh.nc")).ugrid.grid
    np.testing.assert_allclose(grid.area, mesh.areas, rtol=1e-12)
    np.testing.assert_allclose(grid.centroids, mesh.centroids, rtol=1e-9)
    pairs = np.sort(grid.edge_face_connectivity, axis=1)
    pairs = pairs[pairs[:, 0] >= 0]
    ours = np.unique(mesh.edges.cells, axis=0)
    np.testing.assert_array_equal(np.unique(pairs, axis=0), ours)


@pytest.mark.filterwarnings(
    "ignore:No standard_name", "ignore:No CRS"
)  # what xugrid says about its own files
def test_files_of_others(shared_data):
    xugrid = pytest.importorskip("xugrid", reason="xugrid reads UGRID files independently")
    for name, cells in (("elevation_nl.nc", 5248), ("adh_san_diego.nc", 16869)):
        path = shared_data / "meshes" / name
        mesh = read_ugrid(path, name="theirs")
        grid = xugrid.open_dataset(path).ugrid.grid
        assert (mesh.size, mesh.name, mesh.geometry) == (cells, "theirs", "planar")
        np.testing.assert_allclose(mesh.areas, grid.area, rtol=1e-9)


def test_one_based_indices(plane_triangles):
    mesh = plane_triangles(50)
    data = to_ugrid(mesh)
    faces = data["mesh2d_face_nodes"]
    data["mesh2d_face_nodes"] = (faces + 1).assign_attrs(
        cf_role="face_node_connectivity", start_index=1
    )
    assert_same(read_ugrid(data), mesh)


def test_cells_that_ugrid_cannot_describe():
    ring = shapely.box(0, 0, 3, 3) - shapely.box(1, 1, 2, 2)
    with pytest.raises(MeshError, match=r"several parts, holes.*cell 'ring'"):
        to_ugrid(polygon_mesh([ring], names=["ring"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("mesh2d"), "There are 0 two-dimensional mesh topologies"),
        (lambda d: d.drop_vars("mesh2d_node_x"), "The variable 'mesh2d_node_x' of the mesh is"),
        (lambda d: d.drop_vars("mesh2d_face_nodes"), "did you mean 'mesh2d_face_"),
        (lambda d: d.mesh2d.attrs.pop("node_coordinates") and d, "no attribute 'node_coord"),
    ],
)
def test_incomplete_files_are_refused(change, message, plane_triangles):
    with pytest.raises(MeshError, match=message):
        read_ugrid(change(to_ugrid(plane_triangles(20))))


def test_a_topology_is_chosen_by_name(plane_triangles):
    data = to_ugrid(plane_triangles(20))
    assert read_ugrid(data, topology="mesh2d").size == read_ugrid(data).size
    with pytest.raises(MeshError, match="no mesh topology 'mesh2': did you mean 'mesh2d'"):
        read_ugrid(data, topology="mesh2")
