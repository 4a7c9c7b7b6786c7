import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import SphericalVoronoi

from hybridwater.errors import MeshError
from hybridwater.meshes import Mesh, latlon_mesh, overlap_areas, polygon_mesh, read_ugrid, sphere
from hybridwater.meshes.sphere import EARTH_RADIUS as R


def dense(found, source, target):
    matrix = np.zeros((target.size, source.size))
    matrix[found.target, found.source] = found.areas
    return matrix


def random_polygons(seed, shift=0.0):
    """Polygons with dents and holes that tile nothing and overlap at will."""
    rng = np.random.default_rng(seed)
    shapes = []
    for _ in range(12):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 14))
        radius = rng.uniform(2.0, 9.0, 14)
        centre = rng.uniform(-10, 10, 2)
        shape = shapely.Polygon(
            np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + centre
        )
        hole = shapely.Point(*centre).buffer(1.2, quad_segs=3)
        shapes.append(shapely.difference(shape, hole) if shape.contains(hole) else shape)
    return shapely.transform(shapes, lambda p: p + shift)


@pytest.mark.parametrize("shift", [0.0, 4e6])
def test_any_polygons_in_the_plane_as_by_geos(shift):
    one, two = random_polygons(1), random_polygons(2)
    source, target = (polygon_mesh(random_polygons(k, shift), name=str(k)) for k in (1, 2))
    found = overlap_areas(source, target, centroids=True)
    exact = shapely.intersection(np.array(one)[None, :], np.array(two)[:, None])
    np.testing.assert_allclose(
        dense(found, source, target), shapely.area(exact), atol=1e-11 if shift == 0 else 1e-7
    )
    first = source.nodes[source.corners[source.rings[source.parts[:-1]]]]
    ours = found.centroids + first[found.source] - shift
    theirs = shapely.get_coordinates(shapely.centroid(exact[found.target, found.source]))
    big = found.areas > 1.0
    np.testing.assert_allclose(ours[big], theirs[big], atol=1e-9 if shift == 0 else 1e-6)


def test_a_real_triangular_mesh_as_by_geos(shared_data, plane_grid):
    source = read_ugrid(shared_data / "meshes" / "elevation_nl.nc")
    target = plane_grid(37, 41, width=2e5, origin=(5e4, 4e5))
    found = overlap_areas(source, target)
    one, two = (
        shapely.polygons(mesh.nodes[mesh.corners].reshape(mesh.size, -1, 2))
        for mesh in (source, target)
    )
    into, out = shapely.STRtree(one).query(two, predicate="intersects")
    exact = np.zeros((target.size, source.size))
    exact[into, out] = shapely.area(shapely.intersection(two[into], one[out]))
    np.testing.assert_allclose(dense(found, source, target), exact, atol=1e-3)  # of 1e7 m2
    assert found.areas.sum() == pytest.approx(exact.sum(), rel=1e-13)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(3, 12),
    st.integers(2, 9),
    st.floats(-180, 180),
    st.integers(3, 14),
    st.integers(2, 9),
    st.floats(-180, 180),
    st.booleans(),
)
def test_meshes_of_the_whole_sphere_share_all_of_it(nx, ny, west, mx, my, other_west, down):
    latitudes = np.linspace(90, -90, ny + 1) if down else np.linspace(-90, 90, ny + 1)
    source = latlon_mesh(west + np.linspace(0, 360, nx + 1), latitudes)
    target = latlon_mesh(other_west + np.linspace(0, 360, mx + 1), np.linspace(-90, 90, my + 1))
    found = overlap_areas(source, target)
    matrix = dense(found, source, target)
    np.testing.assert_allclose(matrix.sum(axis=0), source.areas, rtol=1e-11)
    np.testing.assert_allclose(matrix.sum(axis=1), target.areas, rtol=1e-11)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_triangulations_of_one_square_share_all_of_it(plane_triangles, one, two):
    source, target = plane_triangles(80, seed=one), plane_triangles(120, seed=two)
    matrix = dense(overlap_areas(source, target), source, target)
    np.testing.assert_allclose(matrix.sum(axis=0), source.areas, rtol=1e-11)
    np.testing.assert_allclose(matrix.sum(axis=1), target.areas, rtol=1e-11)


def test_great_circle_cells_as_by_s2():
    spherely = pytest.importorskip("spherely", reason="spherely (S2) is the oracle on the sphere")
    pytest.importorskip("astropy_healpix")
    from hybridwater.meshes import healpix_mesh

    source, target = healpix_mesh(4, ordering="ring"), healpix_mesh(2)
    turned = Mesh.from_faces(
        np.stack([target.nodes[:, 0] + 17.0, target.nodes[:, 1]], axis=1),
        target.corners.reshape(-1, 4),
        geometry="spherical",
    )
    found = overlap_areas(source, turned)
    shapes = [
        np.array(
            [
                spherely.create_polygon([tuple(p) for p in mesh.nodes[c]])
                for c in mesh.corners.reshape(-1, 4)
            ]
        )
        for mesh in (source, turned)
    ]
    exact = spherely.area(
        spherely.intersection(shapes[0][None, :], shapes[1][:, None]), radius=sphere.EARTH_RADIUS
    )
    np.testing.assert_allclose(dense(found, source, turned), exact, atol=1e-9 * source.areas.max())


def random_voronoi(seed, count):
    """Spherical Voronoi cells of random points, of very uneven size and shape."""
    points = np.random.default_rng(seed).normal(size=(count, 3))
    cells = SphericalVoronoi(points / np.linalg.norm(points, axis=1)[:, None])
    cells.sort_vertices_of_regions()
    return Mesh.from_faces(sphere.to_lonlat(cells.vertices), cells.regions, geometry="spherical")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(8, 60))
def test_uneven_cells_share_all_of_the_sphere(one, two, count):
    source, target = random_voronoi(one, count), random_voronoi(two, 40)
    grid = latlon_mesh(np.linspace(-180, 180, 19), np.linspace(-90, 90, 11))
    for other in (target, grid):
        matrix = dense(overlap_areas(source, other), source, other)
        np.testing.assert_allclose(matrix.sum(axis=0), source.areas, rtol=1e-9)
        np.testing.assert_allclose(matrix.sum(axis=1), other.areas, rtol=1e-9)


def test_polygons_with_dents_and_holes_on_the_sphere_as_by_s2():
    spherely = pytest.importorskip("spherely", reason="spherely (S2) is the oracle on the sphere")
    shapes = random_polygons(5, shift=40.0)
    source = polygon_mesh(shapes, geometry="spherical", name="islands")
    target = latlon_mesh([20, 35, 42, 60], [15, 38, 45, 60], name="grid")
    matrix = dense(overlap_areas(source, target), source, target)
    # parallels drawn with many short great circles
    boxes = []
    for cell in range(target.size):
        south_west, _, north_east, _ = target.nodes[target.corners[4 * cell : 4 * cell + 4]]
        lon = np.linspace(south_west[0], north_east[0], 2000)
        below = [(x, south_west[1]) for x in lon]
        boxes.append(spherely.create_polygon(below + [(x, north_east[1]) for x in lon[::-1]]))
    for k, shape in enumerate(shapes):
        rings = [
            [tuple(p) for p in ring.coords[:-1]] for ring in (shape.exterior, *shape.interiors)
        ]
        island = spherely.create_polygon(rings[0], rings[1:] or None)
        exact = spherely.area(spherely.intersection(island, np.array(boxes)), radius=R)
        np.testing.assert_allclose(matrix[:, k], exact, atol=1e-7 * source.areas[k])


def test_a_mesh_shares_nothing_with_other_cells_of_itself(mpas):
    found = overlap_areas(mpas, mpas)
    np.testing.assert_array_equal(found.source, found.target)
    np.testing.assert_allclose(found.areas, mpas.areas, rtol=1e-13)


def test_small_cells_keep_their_digits():
    # fields of 100 m on the sphere: what rounding leaves is far below a drop
    lon, lat = 5 + np.arange(21) * 1e-3, 52 + np.arange(21) * 1e-3
    source, target = latlon_mesh(lon, lat), latlon_mesh(lon[::4], lat[::5])
    matrix = dense(overlap_areas(source, target), source, target)
    np.testing.assert_allclose(matrix.sum(axis=0), source.areas, rtol=1e-9)


def test_meshes_that_do_not_overlap_are_refused(plane_grid):
    one, two = plane_grid(3), plane_grid(3, origin=(1e6, 0), name="far")
    message = r"'plane' and 'far' do not overlap anywhere.*spans 0 to 100000.*1e\+06 to 1.1e\+06"
    with pytest.raises(MeshError, match=message):
        overlap_areas(one, two)
    touching = plane_grid(3, origin=(1e5, 0), name="beside")
    with pytest.raises(MeshError, match="do not overlap"):
        overlap_areas(one, touching)


def test_meshes_of_different_kinds_are_refused(plane_grid):
    with pytest.raises(MeshError, match="One mesh is planar, the other spherical"):
        overlap_areas(plane_grid(3), latlon_mesh([0, 10], [0, 10]))
    boxes = [shapely.box(0, 0, 1, 1)]
    with pytest.raises(MeshError, match="'EPSG:3035' and 'EPSG:28992'"):
        overlap_areas(polygon_mesh(boxes, crs="EPSG:3035"), polygon_mesh(boxes, crs="EPSG:28992"))
