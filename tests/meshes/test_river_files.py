import sys

import numpy as np
import pytest
import xarray as xr

from hybridwater.errors import MeshError, MissingDependency
from hybridwater.meshes import coarsen_rivers, d8_network, read_routelink

# pyflwdir and affine 3.1 do not quite agree yet
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture(scope="module")
def rhine(shared_data):
    pytest.importorskip("pyflwdir")
    rasterio = pytest.importorskip("rasterio", reason="the Rhine is a GeoTIFF")
    with rasterio.open(shared_data / "river_networks/pyflwdir_rhine/rhine_d8.tif") as raster:
        return raster.read(1), raster.transform


@pytest.fixture(scope="module")
def flow(rhine):
    import pyflwdir

    return pyflwdir.from_array(rhine[0], ftype="d8", transform=rhine[1], latlon=True)


def test_the_lower_colorado(shared_data):
    path = shared_data / "river_networks/nwm_lower_colorado/RouteLink.nc"
    river = read_routelink(path)
    assert (river.size, len(river.outlets)) == (11_248, 1)
    with xr.open_dataset(path) as data:
        order = data["order"].values
        # the file's orders are of the whole continent, cut out here with a few edits
        assert (river.strahler == order).mean() > 0.99
        with pytest.raises(MeshError, match="'Length' is missing"):
            read_routelink(data.drop_vars("Length"))


def test_every_cell_of_the_rhine(rhine, flow):
    river = d8_network(*rhine, name="Rhine")
    cells = np.array(river.names, dtype=int)
    np.testing.assert_array_equal(river.strahler, flow.stream_order().ravel()[cells])
    theirs = flow.upstream_area(unit="m2").ravel()[cells]
    np.testing.assert_allclose(river.upstream_areas, theirs, rtol=1e-12)


@pytest.mark.parametrize("scale", [5, 20])
def test_coarser_rivers_keep_the_basin(rhine, flow, scale):
    river = d8_network(*rhine, scale=scale)
    assert river.size < 1.3 * 349_847 / scale**2
    assert river.areas.sum() == pytest.approx(flow.upstream_area(unit="m2").max(), rel=1e-12)
    # the way to the sea is measured along the fine river
    fine = d8_network(*rhine)
    assert river.distance.max() == pytest.approx(fine.distance.max(), rel=0.05)


def test_land_drains_into_the_reach_below_it(rhine):
    every, large = d8_network(*rhine, scale=10), d8_network(*rhine, scale=10, least_area=1e9)
    assert large.size < every.size / 4
    kept = np.isin(every.names, large.names)
    np.testing.assert_allclose(large.upstream_areas, every.upstream_areas[kept], rtol=1e-12)
    assert (every.upstream_areas[~kept] < 1e9).all()
    with pytest.raises(MeshError, match=r"No cell has an upstream area of 1e\+15 m2"):
        d8_network(*rhine, scale=10, least_area=1e15)


def test_a_planar_raster():
    pytest.importorskip("pyflwdir")
    affine = pytest.importorskip("affine")
    directions = np.array([[1, 4, 247], [1, 1, 0]], dtype=np.uint8)
    transform = affine.Affine(100.0, 0.0, 0.0, 0.0, -100.0, 0.0)
    river = d8_network(directions, transform, latlon=False)
    assert river.names == ("0", "1", "3", "4", "5")
    assert river.to.tolist() == [1, 3, 3, 4, -1]
    np.testing.assert_allclose(river.lengths, [100, 100, 100, 100, 0])
    assert coarsen_rivers(river).levels[0].points[-1].tolist() == [250.0, -150.0]  # in the plane
    np.testing.assert_allclose(river.upstream_areas, [1e4, 2e4, 1e4, 4e4, 5e4])
    with pytest.raises(MeshError, match="flow directions are not valid"):
        d8_network(np.full((2, 2), 77), transform, latlon=False)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyflwdir", None)
    with pytest.raises(MissingDependency, match=r"pyflwdir.*pip install"):
        d8_network(np.zeros((2, 2)), None)
