import numpy as np
import pytest

from hybridwater.errors import DataError, MeshError
from hybridwater.meshes import Mesh, Sizing, conservative_remap, latlon_mesh, quality, remesh

pytest.importorskip("mmgpy")
SIDE = 10_000.0


def triangles(count=12):
    """Return a square of triangles."""
    x, y = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
    nodes = np.stack([x.ravel(), y.ravel()], axis=1) * SIDE / count
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    lower = np.stack([corner, corner + 1, corner + count + 2], axis=1)
    upper = np.stack([corner, corner + count + 2, corner + count + 1], axis=1)
    return Mesh.from_faces(nodes, np.concatenate([lower, upper]), name="flood")


def disc():
    """Return a disc with a hole, whose outline has many corners."""
    angle = np.linspace(0, 2 * np.pi, 33)[:-1]
    rings = [r * np.stack([np.cos(angle), np.sin(angle)], axis=1) for r in (1.0, 2.0, 3.0, 4.0)]
    here = (np.arange(3)[:, None] * 32 + np.arange(32)).ravel()
    on = (np.arange(3)[:, None] * 32 + (np.arange(32) + 1) % 32).ravel()
    faces = [np.stack([here, on, on + 32], 1), np.stack([here, on + 32, here + 32], 1)]
    return Mesh.from_faces(np.concatenate(rings) * 1000.0, np.concatenate(faces), name="disc")


def front(mesh, at):
    """Return a steep front at a distance from a corner."""
    return 1.0 + np.tanh((np.hypot(*mesh.centroids.T) - at) / 300.0)


def test_a_front_that_moves_is_followed_and_nothing_is_lost():
    mesh, sizing = triangles(), Sizing(150.0, 1500.0, change=0.02, cells=900)
    for at in (4000.0, 5000.0, 6000.0):
        values = front(mesh, at)
        made = remesh(mesh, values, sizing)
        assert 0.9 * 900 <= made.size <= 900
        assert made.areas.sum() == pytest.approx(SIDE**2, rel=1e-12)
        assert quality(made).min() > 0.3
        assert quality(made).mean() > 0.9
        for order in (1, 2):
            moved = conservative_remap(mesh, made, order=order).means(values)
            assert moved @ made.areas == pytest.approx(values @ mesh.areas, rel=1e-12)
            assert values.min() - 1e-12 <= moved.min()
            assert moved.max() <= values.max() + 1e-12
        mesh = made
        width = np.sqrt(mesh.areas)
        away = np.abs(np.hypot(*mesh.centroids.T) - at)
        assert np.median(width[away < 300.0]) < 0.35 * np.median(width[away > 3000.0])
    # the front has moved on: where it was, it is coarse again
    left = np.abs(np.hypot(*mesh.centroids.T) - 2500.0) < 300.0
    assert width[left].mean() > 2.0 * width[away < 300.0].mean()


def test_without_a_budget_edges_are_as_long_as_the_change_allows():
    mesh = triangles(24)
    slope = mesh.centroids[:, 0] / SIDE  # the same everywhere
    made = remesh(mesh, slope, Sizing(100.0, 5000.0, change=0.1))
    # equilateral triangles of edge 1000 m
    assert made.size == pytest.approx(SIDE**2 / (np.sqrt(3) / 4 * 1000.0**2), rel=0.15)


def test_along_a_front_triangles_may_be_longer_than_across():
    mesh = triangles(24)
    across = np.tanh((mesh.centroids[:, 0] - 5000.0) / 500.0)
    made = remesh(mesh, across, Sizing(150.0, 2000.0, change=0.1, stretch=4.0))
    corners = made.nodes[made.corners.reshape(-1, 3)]
    extent = corners.max(axis=1) - corners.min(axis=1)
    steep = np.abs(made.centroids[:, 0] - 5000.0) < 500.0
    assert np.median(extent[steep, 1] / extent[steep, 0]) > 2.0


def test_the_outline_stays_with_its_corners_and_its_hole():
    mesh = disc()
    outline = np.sort(np.round(mesh.nodes[np.hypot(*mesh.nodes.T) > 3999.0], 3), axis=0)
    coarse = remesh(mesh, np.zeros(mesh.size), Sizing(500.0, 4000.0, change=1.0))
    fine = remesh(coarse, np.zeros(coarse.size), Sizing(150.0, 150.0, change=1.0))
    assert coarse.size < mesh.size < fine.size
    for made in (coarse, fine):
        assert made.areas.sum() == pytest.approx(mesh.areas.sum(), rel=1e-12)
        far = np.hypot(*made.nodes.T) > 3999.0
        kept = np.round(made.nodes[far], 3)
        for corner in outline[:, :1]:
            assert (np.abs(kept[:, 0] - corner) < 1.5e-3).any()
    moved = conservative_remap(mesh, fine).means(np.ones(mesh.size))
    np.testing.assert_allclose(moved, 1.0, atol=1e-12)


def test_too_few_cells_for_the_outline_are_refused():
    with pytest.raises(MeshError, match="10 cells are too few"):
        remesh(disc(), np.zeros(192), Sizing(100.0, 4000.0, change=1.0, cells=10))


def test_meshes_that_cannot_be_made_anew_are_refused():
    sizing = Sizing(100.0, 1000.0, change=1.0)
    x = [[0.0, 0.0], [1e3, 0.0], [1e3, 1e3], [0.0, 1e3]]
    square = Mesh.from_faces(x, [[0, 1, 2, 3]], name="one")
    with pytest.raises(MeshError, match="a cell has 4 corners"):
        remesh(square, [1.0], sizing)
    with pytest.raises(MeshError, match="spherical, not planar"):
        remesh(latlon_mesh([0, 1.0], [0, 1.0]), [1.0], sizing)
    given = Mesh.from_faces(x, [[0, 1, 2], [0, 2, 3]], areas=[1.0, 2.0], name="given")
    with pytest.raises(MeshError, match="not those of the triangles"):
        remesh(given, [1.0, 1.0], sizing)
    values = np.ones(288)
    values[7] = np.nan
    with pytest.raises(DataError, match="first of cell 7"):
        remesh(triangles(), values, sizing)
    with pytest.raises(DataError, match="not 1 of 288 cells"):
        remesh(triangles(), np.ones(5), sizing)
