import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import conservative_remap, raster_mesh, read_ugrid, to_ugrid


def test_rectangles_in_the_order_of_an_array():
    mesh = raster_mesh([0, 10, 30], [100, 90, 60], name="dem", crs="EPSG:3035")
    assert mesh.shape == (2, 2)
    assert mesh.areas.tolist() == [100.0, 200.0, 300.0, 600.0]
    assert mesh.centroids.tolist() == [[5, 95], [20, 95], [5, 75], [20, 75]]
    assert mesh.adjacency.toarray()[0].tolist() == [0, 10, 10, 0]


def test_averages_of_an_image():
    fine = raster_mesh(np.arange(0, 61, 10.0), np.arange(40, -1, -10.0))
    coarse = raster_mesh(np.arange(0, 61, 30.0), np.arange(40, -1, -20.0))
    image = np.random.default_rng(0).uniform(size=fine.shape)
    blocks = image.reshape(2, 2, 2, 3).mean(axis=(1, 3))
    moved = conservative_remap(fine, coarse).means(image.reshape(-1))
    np.testing.assert_allclose(moved.reshape(coarse.shape), blocks, rtol=1e-14)


def test_the_shape_survives_a_file():
    mesh = raster_mesh([0, 1, 2, 3], [0, 1, 2])
    assert read_ugrid(to_ugrid(mesh)).shape == (2, 3)


def test_bounds_that_turn_back_are_refused():
    with pytest.raises(MeshError, match=r"x bounds do not increase strictly.*mesh 'raster'"):
        raster_mesh([0, 2, 1], [0, 1])
