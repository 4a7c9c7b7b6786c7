import numpy as np
import pytest
import shapely
import xarray as xr

from hybridwater.errors import MeshError
from hybridwater.meshes import Mesh, latlon_mesh, measures, polygon_mesh, sphere

L_SHAPE = shapely.Polygon([(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3)])
WITH_HOLE = shapely.box(10, 10, 20, 20) - shapely.box(12, 12, 15, 17)
TWO_PARTS = shapely.box(30, 0, 31, 5) | shapely.box(35, 1, 39, 2)


@pytest.mark.parametrize("origin", [0.0, 5e6])
def test_areas_and_centroids_in_the_plane_as_by_geos(origin):
    shapes = shapely.transform([L_SHAPE, WITH_HOLE, TWO_PARTS], lambda p: p + origin)
    mesh = polygon_mesh(shapes)
    near = [L_SHAPE, WITH_HOLE, TWO_PARTS]
    np.testing.assert_allclose(mesh.areas, shapely.area(near), rtol=1e-14)
    centroids = shapely.get_coordinates(shapely.centroid(near))
    np.testing.assert_allclose(mesh.centroids - origin, centroids, atol=1e-9 + 1e-15 * origin)


def test_mpas_has_the_measures_that_its_file_says(mpas, mpas_file):
    with xr.open_dataset(mpas_file) as data:
        # the file's own numbers agree with one another to 5e-8 only
        radius = sphere.EARTH_RADIUS
        np.testing.assert_allclose(mpas.areas / radius**2, data["areaCell"], rtol=1e-7)
        # neighbours and the lengths of the edges between them
        cells = np.sort(data["cellsOnEdge"].values - 1, axis=1)
        order = np.lexsort(cells.T[::-1])
        ours = np.lexsort(mpas.edges.cells.T[::-1])
        np.testing.assert_array_equal(mpas.edges.cells[ours], cells[order])
        np.testing.assert_allclose(
            mpas.edges.lengths[ours] / radius, data["dvEdge"].values[order], rtol=1e-7
        )


def test_spherical_cells_fill_the_sphere(mpas):
    assert mpas.areas.sum() == pytest.approx(4 * np.pi * sphere.EARTH_RADIUS**2, rel=1e-14)


def test_moments_between_parallels_fill_the_sphere_evenly():
    mesh = latlon_mesh(np.linspace(-30, 330, 13), np.linspace(90, -90, 10))
    area, moment = measures.cell_integrals(mesh)
    np.testing.assert_allclose(moment.sum(axis=0), 0.0, atol=1e-15)
    assert area.sum() == pytest.approx(4 * np.pi, rel=1e-15)


def test_parallels_are_longer_than_they_seem_by_great_circles():
    mesh = latlon_mesh([0, 90, 180], [0, 60, 80])
    lengths = dict(zip(map(tuple, mesh.edges.cells), mesh.edges.lengths, strict=True))
    # cells 0 and 2 share the parallel of 60 degrees over 90 degrees of longitude
    expected = np.pi / 2 * np.cos(np.radians(60)) * sphere.EARTH_RADIUS
    assert lengths[(0, 2)] == pytest.approx(expected, rel=1e-14)
    assert lengths[(0, 1)] == pytest.approx(np.radians(60) * sphere.EARTH_RADIUS, rel=1e-14)


def test_a_closed_mesh_has_a_neighbour_over_the_date_line():
    mesh = latlon_mesh(np.linspace(-180, 180, 5), [0, 10])
    assert sorted(map(tuple, mesh.edges.cells.tolist())) == [(0, 1), (0, 3), (1, 2), (2, 3)]


def test_an_edge_of_three_cells_is_refused():
    nodes = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [2, 1]], dtype=float)
    mesh = Mesh.from_faces(nodes, [[0, 1, 2], [1, 2, 3], [1, 2, 4]])
    with pytest.raises(MeshError, match=r"belongs to more than two cells.*cell '2'"):
        _ = mesh.edges
