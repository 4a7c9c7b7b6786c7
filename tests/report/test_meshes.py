"""Maps of meshes and remaps."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from hybridwater.errors import DataError, UnitError
from hybridwater.meshes import Mesh, column_mesh, conservative_remap, latlon_mesh, polygon_mesh
from hybridwater.report import mesh_map, remap_map, save_figures


@pytest.fixture
def ring():
    with_hole = shapely.box(0, 0, 3e3, 3e3) - shapely.box(1e3, 1e3, 2e3, 2e3)
    return polygon_mesh([with_hole, shapely.box(3e3, 0, 6e3, 3e3)], name="ring")


def test_cells_are_coloured_by_values(ring, tmp_path):
    figure = mesh_map(ring, np.array([2.0, 7.0]), quantity="recharge", unit="mm d-1")
    (drawn,) = figure.axes[0].collections
    assert drawn.get_array().tolist() == [2.0, 7.0]
    assert figure.axes[1].get_ylabel() == "recharge (mm d⁻¹)"
    assert "2 cells of the mesh 'ring'" in figure.caption
    assert "from 2 to 7 mm d⁻¹" in figure.alt
    outline, hole = drawn.get_paths()[0].to_polygons()
    assert shapely.Polygon(outline, [hole]).area == 8e6
    assert save_figures(tmp_path, {"map": figure})


def test_areas_are_the_default(ring):
    figure = mesh_map(ring)
    assert figure.axes[0].collections[0].get_array().tolist() == [8.0, 9.0]
    assert figure.axes[1].get_ylabel() == "area (km²)"
    assert figure.axes[0].get_xlabel() == "x (m)"


def test_columns_are_points():
    mesh = column_mesh([1e6, 2e6], [[-75, 40], [-74, 41]])
    (drawn,) = mesh_map(mesh).axes[0].collections
    np.testing.assert_array_equal(drawn.get_offsets(), mesh.centroids)


@pytest.mark.parametrize("west", [-180.0, 0.0, -175.0])
def test_a_globe_is_drawn_once(west):
    mesh = latlon_mesh(west + np.linspace(0, 360, 13), np.linspace(-90, 90, 7))
    paths = mesh_map(mesh).axes[0].collections[0].get_paths()
    middles = np.array([path.vertices[:-1].mean(axis=0) for path in paths])
    assert len(np.unique(middles.round(6), axis=0)) == mesh.size
    assert np.abs(middles[:, 0]).max() <= 180.0
    widths = [np.ptp(path.vertices[:, 0]) for path in paths]
    np.testing.assert_allclose(widths, 30.0)


def test_a_cell_that_holds_a_pole_is_told_not_drawn():
    nodes = np.array([[0, 60], [90, 60], [180, 60], [270, 60], [0, 40], [90, 40]], dtype=float)
    mesh = Mesh.from_faces(nodes, [[0, 1, 2, 3], [4, 5, 1, 0]], geometry="spherical")
    figure = mesh_map(mesh)
    assert "Cells that hold a pole are left out: 1." in figure.caption
    assert len(figure.axes[0].collections[0].get_paths()) == 1


def test_a_remap_shows_what_is_covered(ring):
    target = polygon_mesh([shapely.box(1.5e3, 0, 4.5e3, 6e3)], name="box")
    remap = conservative_remap(ring, target)
    figure = remap_map(remap, ring, target)
    assert "from 'ring' (2 cells) to 'box' (1 cells), 2 overlaps" in figure.caption
    assert "% of the source is given" in figure.caption
    left, right = (figure.axes[k].collections[0].get_array() for k in (0, 1))
    np.testing.assert_allclose(left, remap.source_fraction)
    np.testing.assert_allclose(right, remap.target_fraction)


def test_values_of_another_mesh_are_refused(ring):
    with pytest.raises(DataError, match=r"shape \(3,\), but the mesh has 2 cells"):
        mesh_map(ring, np.ones(3))
    with pytest.raises(UnitError):
        mesh_map(ring, np.ones(2), unit="splashes")
    target = polygon_mesh([shapely.box(0, 0, 1e3, 1e3)])
    with pytest.raises(DataError, match="from 2 to 1 cells, the meshes have 1 and 2"):
        remap_map(conservative_remap(ring, target), target, ring)
