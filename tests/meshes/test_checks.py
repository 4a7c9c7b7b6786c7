import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import Mesh, column_mesh

NODES = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
FACE = [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"geometry": "flat"}, "The geometry 'flat' is not known"),
        ({"names": ["a", "b"]}, "There are 2 names for 1 cells"),
        ({"areas": [-1.0]}, r"The area of a cell is -1 m2.*cell '0'.*correct the sign"),
        ({"areas": [np.nan]}, "The area of a cell is nan m2"),
        ({"areas": [1.0, 2.0]}, "There are 2 areas"),
        ({"areas": ["large"]}, r"The areas are no numbers.*mesh 'm'"),
        ({"nodes": [[0, 0], [1]]}, "The nodes are no numbers"),
        ({"faces": []}, "at least one cell"),
        ({"nodes": NODES[:3]}, r"A cell has the node 3, but there are 3 nodes.*cell '0'"),
        ({"nodes": NODES[:, :1]}, r"The nodes have the shape \(4, 1\)"),
        ({"nodes": np.where(NODES == 1, np.inf, NODES)}, r"3 nodes are not finite.*node 1"),
        ({"parallels": True}, "Only spherical cells of four corners have edges along par"),
        (
            {"parallels": True, "geometry": "spherical", "faces": [[0, 1, 2]]},
            "Only spherical cells of four corners",
        ),
        ({"faces": [[0, 1]]}, r"fewer than three corners.*cell '0'"),
        ({"faces": [[0, 1, 1]]}, "fewer than three corners"),
        (
            {"geometry": "spherical", "nodes": NODES * 1000},
            "longitude 1000, latitude 0: these are no degrees",
        ),
    ],
)
def test_what_is_not_well_formed_is_refused(change, message):
    arguments = {"nodes": NODES, "faces": FACE, "name": "m"} | change
    nodes, faces = arguments.pop("nodes"), arguments.pop("faces")
    with pytest.raises(MeshError, match=message):
        Mesh.from_faces(nodes, faces, **arguments)


def test_names_are_unique():
    with pytest.raises(MeshError, match="Two cells have the name 'b'"):
        Mesh.from_faces(NODES, [[0, 1, 2], [0, 2, 3]], names=["b", "b"])


def test_offsets_increase():
    with pytest.raises(MeshError, match="The rings do not run from 0 to 4"):
        Mesh.from_rings(NODES, np.arange(4), np.array([0, 3]), np.array([0, 1]))


def test_negative_areas_of_columns_are_refused():
    with pytest.raises(MeshError, match=r"is -5 m2 \(1 such cells\).*cell 'hru 2'"):
        column_mesh([3.0, -5.0], [[0, 0], [1, 0]], names=["hru 1", "hru 2"])


def test_a_mesh_has_cells():
    with pytest.raises(MeshError, match="at least one cell"):
        column_mesh([], np.zeros((0, 2)))
