import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.errors import MeshError
from hybridwater.meshes import conservative_remap, latlon_mesh


@pytest.fixture(scope="module")
def remap():
    source = latlon_mesh([0, 10, 20, 30], [0, 10, 20], name="fine")
    return conservative_remap(source, latlon_mesh([0, 15, 30], [0, 20], name="coarse"))


def test_it_says_what_it_is(remap):
    assert repr(remap) == (
        "<Remap 'fine' -> 'coarse': 6 -> 2 cells, 8 overlaps, conservative, first order, "
        "destination_area>"
    )
    assert remap.order == 1


def test_amounts_add_up_and_means_average(remap):
    np.testing.assert_allclose(remap.amounts(np.ones(6)), [3.0, 3.0])
    np.testing.assert_allclose(remap.means(np.full(6, 7.0)), [7.0, 7.0])
    np.testing.assert_allclose(remap.weights @ np.arange(6.0), remap.means(np.arange(6.0)))


@pytest.mark.parametrize("order", [1, 2])
def test_leading_dimensions_are_kept(plane_grid, order):
    remap = conservative_remap(plane_grid(5), plane_grid(3), order=order)
    values = np.random.default_rng(0).uniform(size=(2, 4, 25))
    moved = remap.means(values)
    assert moved.shape == (2, 4, 9)
    np.testing.assert_allclose(moved[1, 2], remap.means(values[1, 2]), rtol=1e-14)
    assert remap.amounts(values).shape == (2, 4, 9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), order=st.sampled_from([1, 2]), masked=st.booleans())
def test_amounts_are_conserved_whatever_the_mask(plane_grid, plane_triangles, seed, order, masked):
    rng = np.random.default_rng(seed)
    source, target = plane_triangles(60, seed=seed), plane_grid(6, width=8e4, origin=(3e4, -1e4))
    mask = rng.uniform(size=source.size) < 0.7 if masked else None
    remap = conservative_remap(source, target, order=order, source_mask=mask)
    values = rng.lognormal(0, 3, source.size)
    assert abs(remap.imbalance(values)) < 1e-13
    assert (remap.source_fraction <= 1 + 1e-12).all()
    if order == 1:
        assert (remap.amounts(values) >= 0).all()


def test_values_of_another_mesh_are_refused(remap):
    with pytest.raises(MeshError, match=r"shape \(2, 5\), but 'fine' has 6 cells"):
        remap.means(np.ones((2, 5)))
