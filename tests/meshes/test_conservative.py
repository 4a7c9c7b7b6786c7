import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import conservative_remap, latlon_mesh, measures, sphere

TEN = (np.arange(0, 361, 10.0), np.arange(-90, 91, 10.0))


@pytest.fixture(scope="module")
def latlon():
    return latlon_mesh(*TEN)


def smooth(mesh):
    """A field of spherical harmonics of second degree."""
    x, y, z = sphere.to_vectors(mesh.centroids).T
    return 2.0 + x**2 - y * z


@pytest.mark.parametrize("normalisation", ["destination_area", "fraction_area"])
@pytest.mark.parametrize("back", [False, True])
def test_first_order_is_that_of_yac(latlon, mpas, yac_weights, back, normalisation):
    source, target = (mpas, latlon) if back else (latlon, mpas)
    ours = conservative_remap(source, target, normalisation=normalisation).weights
    theirs = yac_weights(source, target, normalisation=normalisation)
    assert ours.nnz == theirs.nnz
    assert abs(ours - theirs).max() < 1e-11


@pytest.mark.parametrize("normalisation", ["destination_area", "fraction_area"])
@pytest.mark.parametrize("back", [False, True])
def test_masks_are_those_of_yac(latlon, mpas, yac_weights, back, normalisation):
    source, target = (mpas, latlon) if back else (latlon, mpas)
    gives = source.centroids[:, 1] > -35.0
    takes = np.abs(target.centroids[:, 0]) < 100.0
    remap = conservative_remap(
        source, target, normalisation=normalisation, source_mask=gives, target_mask=takes
    )
    theirs = yac_weights(source, target, normalisation=normalisation, masks=(gives, takes))
    assert abs(remap.weights - theirs).max() < 1e-11


@pytest.mark.parametrize("back", [False, True])
def test_second_order_is_nearly_as_good_as_that_of_yac(latlon, mpas, yac_weights, back):
    source, target = (mpas, latlon) if back else (latlon, mpas)
    # cell means of the field, from means over a finer mesh
    fine = latlon_mesh(np.arange(0, 361, 2.0), np.arange(-90, 91, 2.0))
    given, exact = (conservative_remap(fine, m).means(smooth(fine)) for m in (source, target))
    ours = conservative_remap(source, target, order=2).means(given)
    theirs = yac_weights(source, target, order=2) @ given

    def error(values):
        return np.sqrt(np.average((values - exact) ** 2, weights=target.areas))

    # theirs is not bounded; the limiter costs a little where the field has its extrema
    assert error(ours) < 1.8 * error(theirs)
    assert error(ours) < 0.12 * error(conservative_remap(source, target).means(given))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("back", [False, True])
def test_it_conserves_to_rounding(latlon, mpas, back, order):
    source, target = (mpas, latlon) if back else (latlon, mpas)
    remap = conservative_remap(source, target, order=order)
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=source.size), rng.lognormal(0, 4, source.size)):
        water = float((values * source.areas).sum())
        arrived = float((remap.means(values) * target.areas).sum())
        assert abs(arrived - water) < 1e-14 * float(np.abs(values * source.areas).sum())
        assert abs(remap.imbalance(values * source.areas)) < 1e-14
    np.testing.assert_allclose(remap.means(np.ones(source.size)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(remap.source_fraction, 1.0, rtol=1e-14)


@pytest.mark.parametrize("order", [1, 2])
def test_a_step_gets_no_new_extrema(latlon, mpas, plane_grid, plane_triangles, order):
    pairs = [
        (latlon, mpas),
        (mpas, latlon),
        (plane_grid(40), plane_grid(57)),
        (plane_triangles(700), plane_grid(31)),
        (plane_grid(23), plane_triangles(2000)),
    ]
    for source, target in pairs:
        x, y = source.centroids.T
        inside = (x > np.median(x)) ^ (y > np.quantile(y, 0.3))
        moved = conservative_remap(source, target, order=order).means(inside * 3.0 - 1.0)
        assert moved.min() >= -1.0 - 1e-11
        assert moved.max() <= 2.0 + 1e-11
        assert ((moved > -0.9) & (moved < 1.9)).any()  # the step does cross target cells


def cosine_means(x_bounds, y_bounds):
    """Exact means of 2 + cos(2 pi x) cos(2 pi y) over the rectangles of a unit square."""

    def mean(bounds):
        return np.diff(np.sin(2 * np.pi * bounds)) / (2 * np.pi * np.diff(bounds))

    return (2.0 + np.outer(mean(y_bounds), mean(x_bounds))).ravel()


@pytest.mark.parametrize(("ratio", "expected"), [(0.7, 2.0), (1.6, 2.0)])
def test_second_order_is_of_second_order_on_a_smooth_field(plane_grid, ratio, expected):
    errors = {1: [], 2: []}
    sizes = np.array([40, 80, 160])
    for n in sizes:
        m = round(ratio * n)
        source, target = plane_grid(n), plane_grid(m)
        given = cosine_means(*[np.linspace(0, 1, n + 1)] * 2)
        exact = cosine_means(*[np.linspace(0, 1, m + 1)] * 2)
        for order in (1, 2):
            moved = conservative_remap(source, target, order=order).means(given)
            errors[order].append(np.sqrt(np.mean((moved - exact) ** 2)))
    slopes = {k: -np.polyfit(np.log(sizes), np.log(e), 1)[0] for k, e in errors.items()}
    assert slopes[2] > expected - 0.2
    assert slopes[1] < 1.3
    assert errors[2][-1] < 0.05 * errors[1][-1]


def wave_means(mesh):
    """Exact means of 2 + cos(lat)^2 cos(2 lon) over cells between parallels."""
    west, south, east, north = map(np.radians, measures.bounds(mesh))

    def in_latitude(a):
        return np.sin(a) - np.sin(a) ** 3 / 3.0

    along = (np.sin(2 * east) - np.sin(2 * west)) / 2.0
    across = in_latitude(north) - in_latitude(south)
    return 2.0 + along * across / ((east - west) * (np.sin(north) - np.sin(south)))


def test_second_order_on_the_sphere():
    errors, sizes = [], np.array([24, 48, 96])
    target = latlon_mesh(np.linspace(0, 360, 31), np.linspace(-90, 90, 16))
    for n in sizes:
        source = latlon_mesh(np.linspace(4, 364, n + 1), np.linspace(-90, 90, n // 2 + 1))
        moved = conservative_remap(source, target, order=2).means(wave_means(source))
        errors.append(np.sqrt(np.average((moved - wave_means(target)) ** 2, weights=target.areas)))
    assert -np.polyfit(np.log(sizes), np.log(errors), 1)[0] > 1.8


def test_partial_overlap_and_its_two_normalisations(plane_grid):
    source = plane_grid(10)
    target = plane_grid(4, origin=(5e4, 0.0), name="half")  # its right half is outside
    whole = conservative_remap(source, target)
    covered = conservative_remap(source, target, normalisation="fraction_area")
    row = whole.target_fraction.reshape(4, 4)
    np.testing.assert_allclose(row, np.tile([1.0, 1.0, 0.0, 0.0], (4, 1)))
    assert whole.source_fraction.sum() == pytest.approx(50)
    ones = np.ones(100)
    np.testing.assert_allclose(whole.means(ones).reshape(4, 4)[0], [1, 1, 0, 0])
    np.testing.assert_allclose(covered.means(ones).reshape(4, 4)[0], [1, 1, np.nan, np.nan])
    shifted = conservative_remap(source, plane_grid(4, origin=(3e4, 0.0)))
    np.testing.assert_allclose(shifted.target_fraction[2:4], [0.8, 0.0])
    np.testing.assert_allclose(shifted.means(ones)[2], 0.8)


@pytest.mark.parametrize("order", [1, 2])
def test_masked_cells_neither_give_nor_get(plane_grid, order):
    source, target = plane_grid(12), plane_grid(7)
    gives = source.centroids[:, 0] < 6e4
    takes = target.centroids[:, 1] < 7e4
    remap = conservative_remap(source, target, order=order, source_mask=gives, target_mask=takes)
    # masked cells hold nothing, and nobody looks at what is in them
    values = np.where(gives, 5.0 + source.centroids[:, 1] / 1e5, np.nan)
    moved = remap.amounts(values * source.areas)
    assert (moved[~takes] == 0.0).all()
    given = np.where(gives, values, 0.0) * source.areas * remap.source_fraction
    assert moved.sum() == pytest.approx(given.sum(), rel=1e-14)
    assert (remap.source_fraction[~gives] == 0.0).all()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("step", [1e-3, 1e-4])
def test_small_cells_conserve_too(order, step):
    # cells of 100 m and of 10 m: coordinates are good to a nanometre, and the water to the last bit
    lon, lat = 5 + np.arange(22) * step, 52 + np.arange(22) * step
    source, target = latlon_mesh(lon, lat), latlon_mesh(lon[::3], lat[::7])
    remap = conservative_remap(source, target, order=order)
    assert remap.shares.nnz == source.size
    np.testing.assert_allclose(remap.source_fraction, 1.0, rtol=1e-15)
    values = np.random.default_rng(0).lognormal(0, 2, source.size)
    assert abs(remap.imbalance(values)) < 1e-14


def test_declared_areas_are_what_is_conserved(plane_grid):
    import dataclasses

    source = plane_grid(6)
    source = dataclasses.replace(source, areas=source.areas * np.linspace(0.9, 1.1, 36))
    target = plane_grid(4)
    remap = conservative_remap(source, target)
    values = np.random.default_rng(3).uniform(size=36)
    moved = (remap.means(values) * target.areas).sum()
    assert moved == pytest.approx((values * source.areas).sum(), rel=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 3}, "There is no remap of order 3"),
        ({"normalisation": "fracarea"}, "not known: did you mean 'fraction_area'"),
        ({"source_mask": np.ones(5, bool)}, r"source mask has the type bool and the shape \(5,\)"),
        ({"target_mask": np.ones(9)}, "target mask has the type float64"),
        ({"source_mask": np.zeros(9, bool)}, r"No active cell of 'plane'.*wrong way round"),
    ],
)
def test_what_cannot_be_is_refused(plane_grid, arguments, message):
    with pytest.raises(MeshError, match=message):
        conservative_remap(plane_grid(3), plane_grid(3), **arguments)
