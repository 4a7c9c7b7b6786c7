import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import Mesh

SQUARE = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [4, 0], [4, 2]], dtype=float)


def test_either_sense_of_rotation_is_the_same_mesh():
    one = Mesh.from_faces(SQUARE, [[0, 1, 2, 3], [1, 4, 5, 2]])
    two = Mesh.from_faces(SQUARE, [[3, 2, 1, 0], [1, 4, 5, 2]])
    np.testing.assert_array_equal(one.areas, [4.0, 4.0])
    np.testing.assert_array_equal(two.areas, one.areas)
    np.testing.assert_array_equal(two.centroids, one.centroids)
    np.testing.assert_array_equal(two.adjacency.toarray(), [[0.0, 2.0], [2.0, 0.0]])


def test_padding_and_repeated_corners_are_left_out():
    faces = np.array([[0, 1, 2, 3, -1], [1, 4, 5, 2, 2]])
    mesh = Mesh.from_faces(SQUARE, faces)
    assert np.diff(mesh.rings).tolist() == [4, 4]
    closed = Mesh.from_faces(SQUARE, [[0, 1, 2, 3, 0]])  # the first corner once more at the end
    assert np.diff(closed.rings).tolist() == [4]


def test_nothing_can_be_changed():
    mesh = Mesh.from_faces(SQUARE, [[0, 1, 2, 3]])
    with pytest.raises(ValueError, match="read-only"):
        mesh.areas[0] = 1.0
    with pytest.raises(AttributeError):
        mesh.name = "other"
    SQUARE_COPY = SQUARE.copy()
    mesh = Mesh.from_faces(SQUARE_COPY, [[0, 1, 2, 3]])
    SQUARE_COPY[0] = 99.0
    assert mesh.nodes[0, 0] == 0.0


def test_given_areas_are_kept_beside_the_measured_ones():
    mesh = Mesh.from_faces(SQUARE, [[0, 1, 2, 3]], areas=np.array([4.4]))
    assert mesh.areas.tolist() == [4.4]
    assert mesh.measured_areas.tolist() == [4.0]


def test_it_says_what_it_is():
    mesh = Mesh.from_faces(SQUARE * 1000, [[0, 1, 2, 3]], name="field")
    assert repr(mesh) == "<Mesh 'field': 1 cells, planar, 4 km2>"
    assert len(mesh) == 1


def test_a_cell_without_area_is_refused_by_name():
    nodes = np.array([[0, 0], [1, 1], [2, 2], [0, 2]], dtype=float)
    with pytest.raises(MeshError, match=r"no area \(1 such.*mesh 'm', cell 'flat'"):
        Mesh.from_faces(nodes, [[0, 1, 3], [0, 1, 2]], name="m", names=["good", "flat"])
