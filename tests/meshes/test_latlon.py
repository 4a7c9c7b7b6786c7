import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import bounds_of_centres, latlon_mesh, sphere


def test_areas_are_those_of_zones():
    mesh = latlon_mesh(np.linspace(0, 360, 37), np.linspace(-90, 90, 19))
    zone = np.diff(np.sin(np.radians(np.linspace(-90, 90, 19)))) * 2 * np.pi
    expected = zone * sphere.EARTH_RADIUS**2
    np.testing.assert_allclose(mesh.areas.reshape(mesh.shape).sum(axis=1), expected, rtol=1e-13)


def test_latitudes_may_decrease():
    up = latlon_mesh([0, 10, 20], [0, 10, 30])
    down = latlon_mesh([0, 10, 20], [30, 10, 0])
    np.testing.assert_array_equal(up.areas.reshape(2, 2)[::-1], down.areas.reshape(2, 2))
    assert up.centroids[0, 1] < up.centroids[2, 1]
    assert down.centroids[0, 1] > down.centroids[2, 1]
    np.testing.assert_allclose(up.centroids[:2, 0], [5, 15])


def test_a_rectilinear_mesh_has_cells_of_many_sizes():
    mesh = latlon_mesh([0, 1, 3, 7], [10, 11, 15])
    assert mesh.shape == (2, 3)
    assert mesh.areas[1] == pytest.approx(2 * mesh.areas[0], rel=1e-12)


@pytest.mark.parametrize(
    ("lon", "lat", "message"),
    [
        ([0, 10, 5], [0, 10], "longitudes do not increase strictly"),
        ([0], [0, 10], "longitudes do not increase"),
        ([0, 10], [0, 10, 10], "latitudes are not monotonic"),
        ([0, 200, 360], [0, 10], "cells of up to 200"),
        ([0, 100, 200, 300, 400], [0, 10], "span 400 degrees"),
        ([0, 10], [0, 100], "these are no degrees"),
        ([0, 10], [-90, 90], "from pole to pole"),
    ],
)
def test_bad_bounds_are_refused(lon, lat, message):
    with pytest.raises(MeshError, match=message):
        latlon_mesh(lon, lat)


def test_bounds_of_centres():
    np.testing.assert_allclose(bounds_of_centres([0.5, 1.5, 2.5]), [0, 1, 2, 3])
    np.testing.assert_allclose(bounds_of_centres([-89.9, -60, 0], latitude=True)[0], -90)
    with pytest.raises(MeshError, match="not monotonic"):
        bounds_of_centres([1.0])
