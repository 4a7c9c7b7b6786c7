import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from hybridwater.meshes import Mesh, RiverNetwork, latlon_mesh
from hybridwater.mgn import Architecture, Episode, MeshGraphNetwork, make_graph

# Helper modules beside the tests (runoff_case, shared_training) are imported by name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def squares():
    """Make a planar mesh of squares: squares(columns, rows, size)."""

    def make(columns, rows, size=1000.0, name="squares"):
        x, y = np.meshgrid(np.arange(columns + 1), np.arange(rows + 1))
        nodes = np.stack([x.ravel(), y.ravel()], axis=1) * size
        corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
        faces = np.stack([corner, corner + 1, corner + columns + 2, corner + columns + 1], axis=1)
        return Mesh.from_faces(nodes, faces, name=name)

    return make


@pytest.fixture(scope="session")
def heat(squares):
    """Make depths on a row of squares that even out: heat(columns, size, times, step)."""

    def make(columns, size, times=6, step=0.1):
        graph = make_graph({"land": squares(columns, 1, size)}, least=2)
        x = (np.arange(columns) + 0.5) / columns
        depth = 1.0 + np.cos(np.pi * x)
        kept = [depth]
        small = step / 50 * (8.0 / columns) ** -2
        for _ in range(times - 1):
            for _ in range(50):
                flux = small * np.diff(depth)
                depth = depth + np.append(flux, 0.0) - np.append(0.0, flux)
            kept.append(depth)
        return Episode(graph, np.array(kept)[:, :, None], names=["depth"])

    return make


@pytest.fixture(scope="session")
def parts():
    """Land and sea on the sphere, and a river of two branches."""
    land = latlon_mesh(np.linspace(0, 6, 7), np.linspace(40, 46, 7), name="land")
    sea = latlon_mesh(np.linspace(0, 6, 4), np.linspace(40, 46, 4), name="sea")
    to = np.r_[np.arange(1, 12), -1, np.arange(13, 18), 6]
    points = np.stack([np.linspace(0, 6, 18), np.linspace(40, 46, 18)], axis=1)
    river = RiverNetwork(to, np.linspace(300, 900, 18), points=points, name="river")
    return {"land": land, "sea": sea, "river": river}


@pytest.fixture(scope="session")
def drains():
    """Share of each cell of the land that goes to each reach."""
    cells = np.arange(36)
    return csr_array((np.ones(36), (cells % 18, cells)), shape=(18, 36))


@pytest.fixture(scope="session")
def graph(parts, drains):
    links = {("land", "sea"): "overlap", ("land", "river"): drains}
    return make_graph(parts, links=links, least=4)


@pytest.fixture(scope="session")
def architecture(graph):
    return Architecture.of(
        graph,
        {"land": ["storage", "rain"], "sea": ["level"], "river": ["storage"]},
        outputs={"land": ["unobserved"]},
        edge_outputs={
            "land beside land": ["flux"],
            "land overlaps sea": ["flux"],
            "river downstream river": ["flux"],
        },
        width=8,
        depth=1,
    )


@pytest.fixture
def network(architecture):
    torch.manual_seed(0)
    return MeshGraphNetwork(architecture)


@pytest.fixture
def values(graph):
    torch.manual_seed(1)
    return {"land": torch.rand(36, 2), "sea": torch.rand(9, 1), "river": torch.rand(18, 1)}
