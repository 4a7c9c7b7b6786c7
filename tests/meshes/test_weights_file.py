import numpy as np
import pytest
import xarray as xr

from hybridwater.errors import WeightsError
from hybridwater.meshes import (
    RiverNetwork,
    basin_map,
    column_mesh,
    conservative_remap,
    latlon_mesh,
    read_remap,
    remap_to_dataset,
    write_remap,
)


@pytest.fixture
def meshes(mpas):
    return latlon_mesh(np.arange(0, 361, 20.0), np.arange(-90, 91, 20.0)), mpas


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("normalisation", ["destination_area", "fraction_area"])
def test_round_trip_to_the_last_bit(meshes, tmp_path, order, normalisation):
    source, target = meshes
    mask = source.centroids[:, 1] > -50
    remap = conservative_remap(
        source, target, order=order, normalisation=normalisation, source_mask=mask
    )
    again = read_remap(write_remap(remap, tmp_path / "weights.nc"))
    assert repr(again) == repr(remap)
    values = np.random.default_rng(0).uniform(size=source.size)
    np.testing.assert_array_equal(again.means(values), remap.means(values))
    np.testing.assert_array_equal(again.source_fraction, remap.source_fraction)
    np.testing.assert_array_equal(again.target_centroids, remap.target_centroids)
    assert not list(tmp_path.glob("*.partial"))


def test_others_can_apply_the_weights(meshes, tmp_path):
    source, target = meshes
    remap = conservative_remap(source, target)
    write_remap(remap, tmp_path / "weights.nc")
    values = np.random.default_rng(0).uniform(size=source.size)
    with xr.open_dataset(tmp_path / "weights.nc") as data:
        # as ESMF and SCRIP define it
        moved = np.zeros(data.sizes["n_b"])
        np.add.at(moved, data["row"].values - 1, data["S"].values * values[data["col"].values - 1])
        assert {"xc_a", "yc_b", "frac_a", "frac_b", "area_a", "area_b"} <= set(data.variables)
    np.testing.assert_allclose(moved, remap.means(values), rtol=1e-13)


def test_a_map_to_reaches(tmp_path):
    basins = column_mesh([1e6, 2e6], [[0, 50], [1, 50]])
    remap = basin_map(basins, RiverNetwork([1, -1], [1e3, 1e3]), [0, 1])
    again = read_remap(write_remap(remap, tmp_path / "map.nc"))
    assert again.amounts([3.0, 4.0]).tolist() == [3.0, 4.0]
    assert remap_to_dataset(remap)["S"].values.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars(["share", "col"]), "variables col, share are missing"),
        (lambda d: d.assign(row=d["row"] + 500), "out of range, out of order"),
        (lambda d: d.assign(row=d["row"][::-1]), "out of range, out of order"),
        (lambda d: d.assign(share=d["share"] * np.nan), "not finite"),
    ],
)
def test_damaged_files_are_refused(meshes, change, message):
    with pytest.raises(WeightsError, match=message):
        read_remap(change(remap_to_dataset(conservative_remap(*meshes))))
