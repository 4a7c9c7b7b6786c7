import numpy as np
import pytest
import shapely

from hybridwater.errors import MeshError
from hybridwater.meshes import Mesh, latlon_mesh, polygon_mesh, sphere
from hybridwater.meshes.pieces import convex_pieces

COMB = shapely.Polygon(
    [(0, 0), (9, 0), (9, 5), (8, 5), (8, 1), (5, 1), (5, 5), (4, 5), (4, 1), (1, 1), (1, 5), (0, 5)]
)
FRAME = shapely.box(20, 0, 30, 10) - shapely.box(22, 2, 25, 7)


def test_cells_that_are_not_convex_become_triangles_of_the_same_area():
    pieces = convex_pieces(polygon_mesh([COMB, shapely.box(10, 0, 12, 3), FRAME]))
    flat = pieces.corners[..., :2]
    areas = np.array(
        [shapely.Polygon(p[:n]).area for p, n in zip(flat, pieces.counts, strict=True)]
    )
    total = np.bincount(pieces.cells, areas)
    np.testing.assert_allclose(total, [COMB.area, 6.0, FRAME.area], rtol=1e-14)
    assert (pieces.counts[pieces.cells == 1] == 4).all()
    assert (pieces.counts[pieces.cells != 1] == 3).all()


def test_the_same_on_the_sphere():
    mesh = polygon_mesh([COMB, FRAME], geometry="spherical")
    pieces = convex_pieces(mesh)
    areas = sphere.polygon_area(pieces.corners) * sphere.EARTH_RADIUS**2
    np.testing.assert_allclose(np.bincount(pieces.cells, areas), mesh.areas, rtol=1e-12)


def test_boxes_enclose_arcs_and_poles():
    north = [(0, 80), (120, 80), (240, 80)]
    wide = [(-40, 50), (40, 50), (40, 60), (-40, 60)]
    dateline = [(170, 0), (190, 0), (190, 10), (170, 10)]
    nodes = np.array(north + wide + dateline, dtype=float)
    faces = [[0, 1, 2], [3, 4, 5, 6], [7, 8, 9, 10]]
    boxes = convex_pieces(Mesh.from_faces(nodes, faces, geometry="spherical")).boxes
    np.testing.assert_allclose(boxes[0, [0, 2, 3]], [-180, 180, 90])
    assert boxes[1, 3] == pytest.approx(
        np.degrees(np.arctan(np.tan(np.radians(60)) / np.cos(np.radians(40))))
    )
    np.testing.assert_allclose(boxes[2, [0, 2]], [170, 190])


def test_cells_between_parallels_are_enclosed():
    mesh = latlon_mesh(np.linspace(0, 360, 5), np.linspace(-90, 90, 7))
    pieces = convex_pieces(mesh)
    assert pieces.bands is not None
    area, _ = sphere.band_integrals(pieces.corners, *pieces.bands.T, moments=False)
    np.testing.assert_allclose(area * sphere.EARTH_RADIUS**2, mesh.areas, rtol=1e-12)


def test_polygons_that_cross_themselves_are_refused_by_name():
    bow = np.array([[0, 0], [4, 0], [1, 3], [3, 3.5]], dtype=float)
    mesh = Mesh.from_faces(bow, [[0, 1, 2, 3]], names=["bow"], name="m")
    with pytest.raises(MeshError, match=r"no proper polygon: Self-inter.*mesh 'm', cell 'bow'"):
        convex_pieces(mesh)


def test_a_pentagram_is_not_taken_for_convex():
    angle = np.arange(5) * 4 * np.pi / 5
    star = Mesh.from_faces(np.stack([np.cos(angle), np.sin(angle)], axis=1), [[0, 1, 2, 3, 4]])
    with pytest.raises(MeshError, match="Self-intersection"):
        convex_pieces(star)
