import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hybridwater.meshes import conservative_remap, latlon_mesh, sphere
from hybridwater.meshes.gradient import node_neighbours, plane_axes


@pytest.mark.parametrize("kind", ["grid", "triangles"])
def test_gradients_of_linear_fields_are_exact(kind, plane_grid, plane_triangles):
    source = plane_grid(9) if kind == "grid" else plane_triangles(150)
    remap = conservative_remap(source, plane_grid(4), order=2)
    values = source.centroids @ [3e-5, -2e-5] + 7.0
    for operator, slope in zip(remap.reconstruction.gradient, (3e-5, -2e-5), strict=True):
        np.testing.assert_allclose(operator @ values, slope, rtol=1e-9)


def test_linear_fields_are_moved_exactly(plane_grid, plane_triangles):
    # inside, where every cell has neighbours on all sides, so that nothing is limited
    source, target = plane_triangles(600), plane_grid(9)
    field = np.array([3e-5, -2e-5])
    moved = conservative_remap(source, target, order=2).means(source.centroids @ field)
    inner = np.abs(target.centroids - 5e4).max(axis=1) < 3.5e4
    np.testing.assert_allclose(moved[inner], target.centroids[inner] @ field, atol=1e-9)


def test_gradients_on_the_sphere_point_along_it(mpas):
    target = latlon_mesh(np.arange(0, 361, 10.0), np.arange(-90, 91, 10.0))
    remap = conservative_remap(mpas, target, order=2)
    up = sphere.to_vectors(mpas.centroids)
    values = up[:, 2] * sphere.EARTH_RADIUS  # the height of the globe: gradient is z along it
    along = np.stack([g @ values for g in remap.reconstruction.gradient], axis=1)
    found = np.einsum("na,nax->nx", along, plane_axes(mpas))
    np.testing.assert_allclose((found * up).sum(axis=1), 0.0, atol=1e-12)
    expected = np.array([0.0, 0.0, 1.0]) - up[:, 2:] * up
    assert np.abs(found - expected).max() < 0.06  # cells of 17 degrees


def rows(matrix):
    return [row.tolist() for row in np.split(matrix.indices, matrix.indptr[1:-1])]


def test_neighbours_share_a_node(plane_grid):
    near = rows(node_neighbours(plane_grid(3), np.ones(9, dtype=bool)))
    assert near[4] == list(range(9))
    assert near[0] == [0, 1, 3, 4]
    masked = rows(node_neighbours(plane_grid(3), np.arange(9) != 4))
    assert masked[0] == [0, 1, 3]
    assert masked[4] == [4]


def test_cells_at_a_pole_are_neighbours():
    mesh = latlon_mesh(np.linspace(0, 360, 9), np.linspace(-90, 90, 5))
    near = rows(node_neighbours(mesh, np.ones(mesh.size, dtype=bool)))
    assert set(near[0]) >= set(range(8))


@settings(max_examples=60, deadline=None)
@given(values=hnp.arrays(float, 49, elements=st.floats(-1e6, 1e6)))
def test_any_values_are_conserved_and_stay_in_range(plane_grid, values):
    source, target = plane_grid(7), plane_grid(11, 10)
    moved = conservative_remap(source, target, order=2).means(values)
    scale = np.abs(values).max() + 1e-300
    assert moved.max() <= values.max() + 1e-12 * scale
    assert moved.min() >= values.min() - 1e-12 * scale
    water = (values * source.areas).sum(), (moved * target.areas).sum()
    assert abs(water[1] - water[0]) <= 1e-12 * scale * source.areas.sum()


def test_a_row_of_cells_has_no_gradient_across(plane_grid):
    source = plane_grid(8, 1)
    moved = conservative_remap(source, plane_grid(4, 1), order=2).means(np.arange(8.0))
    np.testing.assert_allclose(moved, [0.5, 2.5, 4.5, 6.5])
