import numpy as np
import pytest

from hybridwater.meshes import sphere

spherely = pytest.importorskip("spherely", reason="spherely (S2) is the oracle on the sphere")

QUADS = [
    [(0, 0), (10, 0), (10, 10), (0, 10)],
    [(170, -20), (190, -25), (195, 10), (175, 20)],
    [(0, 60), (90, 60), (180, 60), (270, 60)],  # the north pole inside
    [(20, 40), (20.001, 40), (20.001, 40.001), (20, 40.001)],
]


@pytest.mark.parametrize("quad", QUADS)
def test_polygon_area_is_that_of_s2(quad):
    corners = sphere.to_vectors(np.array(quad, dtype=float))
    expected = spherely.area(spherely.create_polygon(quad), radius=1.0)
    assert sphere.polygon_area(corners) == pytest.approx(expected, rel=1e-9)


def test_area_is_signed():
    corners = sphere.to_vectors(np.array(QUADS[0], dtype=float))
    assert sphere.polygon_area(corners[::-1]) == pytest.approx(-sphere.polygon_area(corners))


def test_an_octant():
    corners = np.eye(3)
    assert sphere.polygon_area(corners) == pytest.approx(np.pi / 2, rel=1e-15)
    np.testing.assert_allclose(sphere.polygon_moment(corners), np.pi / 4, rtol=1e-15)


@pytest.mark.parametrize(
    ("a", "b"), [((0, 0), (0, 1e-7)), ((10, 50), (-70, 20)), ((0, 0), (180, 0))]
)
def test_angle_is_that_of_s2_at_any_distance(a, b):
    ours = sphere.angle(*(sphere.to_vectors(np.array(p, dtype=float)) for p in (a, b)))
    theirs = spherely.distance(spherely.create_point(*a), spherely.create_point(*b), radius=1.0)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_longitude_and_latitude_return():
    lonlat = np.array([[10.0, 20.0], [-170.0, -80.0], [0.0, 90.0]])
    np.testing.assert_allclose(sphere.to_lonlat(sphere.to_vectors(lonlat)), lonlat, atol=1e-13)


def test_a_pole_is_one_point():
    north = sphere.to_vectors(np.array([[0.0, 90.0], [123.0, 90.0]]))
    assert (north == [0.0, 0.0, 1.0]).all()


def numerical(corners, low, high, count=1500):
    """Area and moment between parallels by brute force on a fine raster."""
    z = (np.arange(count) + 0.5) / count * (high - low) + low
    lon = (np.arange(2 * count) + 0.5) / (2 * count) * 2 * np.pi - np.pi
    lon, z = np.meshgrid(lon, z)
    radius = np.sqrt(1 - z**2)
    points = np.stack([radius * np.cos(lon), radius * np.sin(lon), z], axis=-1)
    inside = np.ones(z.shape, dtype=bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= points @ np.cross(a, b) >= 0
    cell = (high - low) / count * np.pi / count
    return inside.sum() * cell, points[inside].sum(axis=0) * cell


@pytest.mark.parametrize(
    ("quad", "low", "high"),
    [
        ([(-10, 20), (50, 25), (60, 60), (0, 55)], 0.45, 0.7),  # cuts all edges
        ([(-10, 20), (50, 25), (60, 60), (0, 55)], -0.5, 0.2),  # does not meet
        ([(-30, 40), (30, 40), (25, 50), (-25, 50)], 0.66, 0.78),  # an arc bulges out and in
        ([(-40, -20), (40, -10), (45, 15), (-30, 30)], -0.1, 0.2),  # over the equator
        ([(90, -80), (0, -80), (0, -90)], -1.0, -0.99),  # ends at a pole
    ],
)
def test_bands_agree_with_brute_force(quad, low, high):
    corners = sphere.to_vectors(np.array(quad, dtype=float))
    area, moment = sphere.band_integrals(
        corners[None], np.array([low]), np.array([high]), moments=True
    )
    expected_area, expected_moment = numerical(corners, low, high)
    assert area[0] == pytest.approx(expected_area, abs=2e-4)
    np.testing.assert_allclose(moment[0], expected_moment, atol=2e-4)


def test_bands_add_up():
    corners = sphere.to_vectors(np.array([[-10, 20], [50, 25], [60, 60], [0, 55]], dtype=float))
    cuts = np.linspace(-1.0, 1.0, 40)
    many = np.broadcast_to(corners, (39, 4, 3))
    area, moment = sphere.band_integrals(many, cuts[:-1], cuts[1:], moments=True)
    assert area.sum() == pytest.approx(sphere.polygon_area(corners), rel=1e-13)
    np.testing.assert_allclose(moment.sum(axis=0), sphere.polygon_moment(corners), rtol=1e-12)


@pytest.mark.parametrize("turn", [1e-6, 1e-3, 0.0999, 0.1001, 0.8, 2.5])
@pytest.mark.parametrize("latitude", [-75.0, -10.0, 1e-3, 45.0, 89.0])
def test_a_parallel_and_its_chord_enclose_the_same_at_any_width(turn, latitude):
    # against the triangle with the nearer pole, with 40 digits
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        z, t = mpmath.mpf(float(np.sin(np.radians(latitude)))), mpmath.mpf(turn)
        k = (1 - abs(z)) / (1 + abs(z))
        excess = 2 * mpmath.atan2(k * mpmath.sin(t), 1 + k * mpmath.cos(t))
        exact = float(mpmath.sign(z) * ((1 - abs(z)) * t - excess))
    z = np.array([float(z)])
    found = sphere._sliver(np.array([turn]), z)[0]
    assert found == pytest.approx(exact, rel=1e-11)
    assert sphere._sliver(np.array([-turn]), z)[0] == -found
