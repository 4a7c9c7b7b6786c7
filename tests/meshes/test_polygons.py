import numpy as np
import pytest
import shapely

from hybridwater.errors import MeshError
from hybridwater.meshes import polygon_mesh

BOXES = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]


def test_neighbours_share_nodes():
    mesh = polygon_mesh(BOXES, names=["west", "east"])
    assert mesh.adjacency.toarray().tolist() == [[0, 1], [1, 0]]
    assert len(mesh.nodes) == 6


def test_holes_and_parts():
    ring = shapely.box(0, 0, 3, 3) - shapely.box(1, 1, 2, 2)
    mesh = polygon_mesh([ring, shapely.box(1, 1, 2, 2), BOXES[0] | shapely.box(9, 9, 10, 10)])
    assert mesh.areas.tolist() == [8.0, 1.0, 2.0]
    assert mesh.adjacency[0, 1] == 4.0


def test_a_table_brings_names_and_coordinates():
    geopandas = pytest.importorskip("geopandas")
    table = geopandas.GeoDataFrame({"id": ["a", "b"]}, geometry=BOXES, crs="EPSG:4326")
    mesh = polygon_mesh(table, names="id")
    assert mesh.geometry == "spherical"
    assert mesh.names == ("a", "b")
    projected = polygon_mesh(table.to_crs("EPSG:3035"), names="id")
    assert (projected.geometry, projected.crs) == ("planar", "EPSG:3035")
    # an equal-area projection of an ellipsoid: the sphere is up to half a percent off
    np.testing.assert_allclose(projected.areas, mesh.areas, rtol=7e-3)
    feet = table.to_crs("EPSG:2263")
    with pytest.raises(MeshError, match="US survey foot, not in metres"):
        polygon_mesh(feet)


def test_no_polygons_are_no_mesh():
    with pytest.raises(MeshError, match="There are no polygons"):
        polygon_mesh([])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (shapely.Point(0, 0), "is empty or no polygon"),
        (shapely.Polygon(), "is empty or no polygon"),
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "Self-intersection"),
    ],
)
def test_what_is_no_polygon_is_refused_by_name(shape, message):
    with pytest.raises(MeshError, match=rf"{message}.*cell 'odd'"):
        polygon_mesh([BOXES[0], shape], names=["good", "odd"])
