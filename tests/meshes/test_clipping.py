import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.meshes import sphere
from hybridwater.meshes.clipping import clip_pairs


def hull(points):
    """Corners of the convex hull, counter-clockwise, without the one that shapely repeats."""
    found = shapely.convex_hull(shapely.MultiPoint(points))
    if found.geom_type != "Polygon" or found.area < 1e-3:
        return None
    return np.array(shapely.orient_polygons(found).exterior.coords)[:-1]


def padded(corners, slots):
    index = np.minimum(np.arange(slots), len(corners) - 1)
    return corners[index]


def plane(corners, slots):
    flat = padded(corners, slots)
    return np.concatenate([flat, np.ones((slots, 1))], axis=1)


COORDINATE = st.integers(-20, 20).map(lambda n: n / 4)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=7)


@settings(max_examples=200, deadline=None)
@given(POINTS, POINTS)
def test_convex_polygons_in_the_plane_as_by_geos(one, two):
    # few different coordinates, so that edges and corners often lie on one another
    subject, window = hull(one), hull(two)
    if subject is None or window is None:
        return
    corners, counts = clip_pairs(
        plane(subject, 8)[None], np.array([len(subject)]), plane(window, 8)[None]
    )
    area = 0.0
    if counts[0]:
        x, y = corners[0, : counts[0], :2].T
        area = 0.5 * (np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y))
    expected = shapely.intersection(shapely.Polygon(subject), shapely.Polygon(window)).area
    assert area == pytest.approx(expected, abs=1e-9)


def test_convex_polygons_on_the_sphere_as_by_s2():
    spherely = pytest.importorskip("spherely", reason="spherely (S2) is the oracle on the sphere")
    rng = np.random.default_rng(1)
    met = 0
    for _ in range(100):
        one, two = (
            hull(rng.uniform(-8, 8, (6, 2)) + rng.uniform([-5, 55], [5, 65])) for _ in range(2)
        )
        vectors = [sphere.to_vectors(padded(p, 8)) for p in (one, two)]
        if any(not convex(v[: len(p)]) for v, p in zip(vectors, (one, two), strict=True)):
            continue
        corners, counts = clip_pairs(vectors[0][None], np.array([len(one)]), vectors[1][None])
        area = 0.0
        if counts[0]:
            unit = corners / sphere.length(corners)[..., None]
            area = sphere.polygon_area(unit)[0]
        polygons = [spherely.create_polygon([tuple(c) for c in p]) for p in (one, two)]
        expected = spherely.area(spherely.intersection(*polygons), radius=1.0)
        assert area == pytest.approx(expected, abs=1e-13)
        met += expected > 0
    assert met > 20


def convex(vectors):
    following = np.roll(vectors, -1, axis=0), np.roll(vectors, -2, axis=0)
    return (sphere.dot(sphere.cross(vectors, following[0]), following[1]) > 0).all()


def test_pairs_do_not_disturb_one_another():
    square = plane(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]), 4)
    away = square + np.array([10.0, 0.0, 0.0])
    inner = square * [[0.5, 0.5, 1.0]] + [[0.5, 0.5, 0.0]]
    corners, counts = clip_pairs(
        np.stack([square, square, square]), np.full(3, 4), np.stack([square, away, inner])
    )
    assert counts.tolist() == [4, 0, 4]
    np.testing.assert_allclose(corners[0], square)
    assert shapely.Polygon(corners[2, :, :2]).equals(shapely.box(0.5, 0.5, 1.5, 1.5))
