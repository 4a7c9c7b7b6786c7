import sys

import numpy as np
import pytest

from hybridwater.errors import MeshError, MissingDependency
from hybridwater.meshes import healpix_mesh, sphere

EQUAL = 4 * np.pi * sphere.EARTH_RADIUS**2


@pytest.fixture(autouse=True)
def _needs_astropy_healpix():
    pytest.importorskip("astropy_healpix")


@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_cells_fill_the_sphere_and_tend_to_equal_areas(ordering):
    spread = []
    for steps in (1, 2, 4):
        mesh = healpix_mesh(4, ordering=ordering, steps=steps)
        assert mesh.size == 192
        assert mesh.areas.sum() == pytest.approx(EQUAL, rel=1e-13)
        spread.append(np.abs(mesh.areas / (EQUAL / 192) - 1).max())
    assert spread[0] > 3.5 * spread[1] > 12 * spread[2]  # second order in the steps


@pytest.mark.filterwarnings("ignore:invalid value encountered in neighbours")  # of the library
@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_neighbours_are_those_of_the_library(ordering):
    from astropy_healpix.core import neighbours

    mesh = healpix_mesh(4, ordering=ordering)
    # theirs: southwest, west, northwest, north, northeast, ...; the first of each pair has an edge
    theirs = neighbours(np.arange(192), 4, order=ordering)[::2]
    ours = [set(row) for row in np.split(mesh.adjacency.indices, mesh.adjacency.indptr[1:-1])]
    assert ours == [set(column) for column in theirs.T.tolist()]


@pytest.mark.parametrize(
    "arguments", [{"nside": 3}, {"nside": 0}, {"nside": 4, "ordering": "rings"}]
)
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(MeshError, match="There is no HEALPix mesh with nside"):
        healpix_mesh(**arguments)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "astropy_healpix.healpy", None)
    with pytest.raises(MissingDependency, match=r"astropy-healpix.*pip install"):
        healpix_mesh(4)
