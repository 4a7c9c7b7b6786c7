import shutil

import numpy as np
import pandas as pd
import pytest

from hybridwater.data import (
    DISCHARGE_ATTRIBUTES,
    check_records,
    read_camels_netcdf,
    read_camels_us,
)
from hybridwater.errors import DataError

BASINS = {"01013500": ("01", 2303950000.0), "14400000": ("17", 702.0e6)}
HEADER = "Year Mnth Day Hr\tdayl(s)\tprcp(mm/day)\tsrad(W/m2)\tswe(mm)\ttmax(C)\ttmin(C)\tvp(Pa)"
DAYS = pd.date_range("1980-01-01", "1980-01-10")


@pytest.fixture
def official(tmp_path):
    """A tiny tree in the official layout: two basins, ten days of forcing, nine of discharge."""
    data = tmp_path / "basin_dataset_public_v1p2"
    for number, (basin, (huc, area)) in enumerate(BASINS.items()):
        forcing = data / "basin_mean_forcing" / "daymet" / huc
        streamflow = data / "usgs_streamflow" / huc
        forcing.mkdir(parents=True)
        streamflow.mkdir(parents=True)
        rows = [
            f"{d:%Y %m %d} 12\t36000.00\t{number + d.day / 2:.2f}\t150.50\t0.00\t6.00\t-2.00\t300.0"
            for d in DAYS
        ]
        (forcing / f"{basin}_lump_cida_forcing_leap.txt").write_text(
            "\n".join(["47.24", "250.31", f"{area:.0f}", HEADER, *rows]) + "\n"
        )
        (streamflow / f"{basin}_streamflow_qc.txt").write_text(
            "".join(
                f"{basin} {d:%Y %m %d} {-999.0 if d.day == 3 else 100.0 * d.day:9.2f} "
                f"{'M' if d.day == 3 else 'A'}\n"
                for d in DAYS[:-1]
            )
        )
    attributes = tmp_path / "camels_attributes_v2.0"
    attributes.mkdir()
    (attributes / "camels_topo.txt").write_text(
        "gauge_id;gauge_lat;elev_mean;area_geospa_fabric\n"
        "01013500;47.23739;250.31;2303.95\n14400000;42.12;300;702\n"
    )
    (attributes / "camels_hydro.txt").write_text(
        "gauge_id;q_mean;runoff_ratio\n01013500;1.7;0.54\n14400000;NA;0.8\n"
    )
    (attributes / "camels_name.txt").write_text(
        "gauge_id;huc_02;gauge_name\n01013500;01;Fish River\n14400000;17;Chetco River\n"
    )
    return tmp_path


def test_official_layout(official):
    camels = read_camels_us(official)
    assert list(camels["basin"].values) == list(BASINS)
    assert dict(camels.sizes) == {"basin": 2, "time": 10}
    assert camels["time"].values[0] == np.datetime64("1980-01-01")
    basin = camels.sel(basin="01013500")
    np.testing.assert_allclose(basin["prcp"], DAYS.day / 2)
    np.testing.assert_allclose(camels.sel(basin="14400000")["prcp"], 1 + DAYS.day / 2)
    np.testing.assert_allclose(basin["dayl"], 10.0)
    np.testing.assert_allclose(basin["tmean"], 2.0)
    np.testing.assert_allclose(basin["vp"], 300.0)
    np.testing.assert_allclose(basin["srad"], 150.5)
    assert float(basin["area"]) == pytest.approx(2303.95)
    assert float(basin["elevation"]) == 250.31
    assert float(basin["latitude"]) == 47.24


def test_discharge_is_a_depth_and_gaps_are_nan(official):
    qobs = read_camels_us(official).sel(basin="01013500")["qobs"]
    # 100 ft3 s-1 = 2.83168 m3 s-1 = 244,657 m3 d-1, over 2303.95 km2
    assert float(qobs[0]) == pytest.approx(244.657e3 / 2303.95e6 * 1000.0, rel=1e-5)
    assert float(qobs[1]) == pytest.approx(2 * float(qobs[0]))
    np.testing.assert_array_equal(np.flatnonzero(qobs.isnull()), [2, 9])


def test_every_variable_has_units(official):
    camels = read_camels_us(official)
    for name, data in camels.data_vars.items():
        assert data.attrs["units"], name
        assert data.attrs["long_name"], name
    needed = {"prcp": "mm d-1", "tmean": "degC", "dayl": "h", "srad": "W m-2", "qobs": "mm d-1"}
    check_records(camels, needed)


def test_attributes_from_discharge_must_be_asked_for(official):
    camels = read_camels_us(official)
    assert not set(DISCHARGE_ATTRIBUTES) & set(camels)
    assert float(camels["gauge_lat"][0]) == 47.23739
    asked = read_camels_us(official, attributes=["runoff_ratio", "gauge_name", "huc_02"])
    np.testing.assert_allclose(asked["runoff_ratio"], [0.54, 0.8])
    assert list(asked["gauge_name"].values) == ["Fish River", "Chetco River"]
    assert list(asked["huc_02"].values) == ["01", "17"]
    assert "gauge_lat" not in asked
    assert "elev_mean" not in read_camels_us(official, attributes=())


def test_basins_and_period_are_selected(official):
    camels = read_camels_us(official, ["14400000"], start="1980-01-04", end="1980-01-06")
    assert dict(camels.sizes) == {"basin": 1, "time": 3}
    np.testing.assert_allclose(camels["prcp"], [[3.0, 3.5, 4.0]])


def test_headers_of_other_forcings_are_read_whatever_their_case(official):
    folder = official / "basin_dataset_public_v1p2" / "basin_mean_forcing"
    shutil.copytree(folder / "daymet", folder / "nldas")
    for file in (folder / "nldas").glob("*/*.txt"):
        upper = HEADER.replace("prcp(mm/day)", "PRCP(mm/day)").replace("dayl", "Dayl")
        file.write_text(file.read_text().replace(HEADER, upper))
    nldas = read_camels_us(official, forcing="nldas")
    np.testing.assert_allclose(nldas["prcp"], read_camels_us(official)["prcp"])


def test_root_may_be_the_inner_folder(official):
    inner = read_camels_us(official / "basin_dataset_public_v1p2")
    assert "elev_mean" in inner


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"basins": ["01013501"]}, r"no basin '01013501': did you mean '01013500'\?"),
        ({"basins": []}, "no basins to read"),
        ({"forcing": "daymett"}, r"no forcing 'daymett': did you mean 'daymet'\?"),
        ({"start": "1979-12-31"}, r"start late: on 1980-01-01.*basin '01013500'"),
        ({"end": "1980-01-11"}, r"end early: on 1980-01-10.*basin '01013500'"),
        ({"attributes": ["elev_maen"]}, r"no attribute 'elev_maen': did you mean 'elev_mean'\?"),
    ],
)
def test_bad_requests(official, arguments, message):
    with pytest.raises(DataError, match=message):
        read_camels_us(official, **arguments)


def test_wrong_folder(tmp_path):
    with pytest.raises(DataError, match="No folder 'basin_mean_forcing'"):
        read_camels_us(tmp_path)


def test_missing_attributes_streamflow_and_columns(official):
    shutil.rmtree(official / "camels_attributes_v2.0")
    assert "elev_mean" not in read_camels_us(official)
    with pytest.raises(DataError, match=r"attribute tables camels_.* not found"):
        read_camels_us(official, attributes=["elev_mean"])
    data = official / "basin_dataset_public_v1p2"
    forcing = next(data.glob("basin_mean_forcing/daymet/01/*.txt"))
    forcing.write_text(forcing.read_text().replace("vp(Pa)", "vp(hPa)"))
    with pytest.raises(DataError, match=r"lacks the column 'vp\(pa\)': did you mean"):
        read_camels_us(official)
    next(data.glob("usgs_streamflow/17/*.txt")).unlink()
    with pytest.raises(DataError, match="'14400000' has forcing but no streamflow"):
        read_camels_us(official, ["14400000"])


def test_damaged_file(official):
    data = official / "basin_dataset_public_v1p2"
    next(data.glob("basin_mean_forcing/daymet/01/*.txt")).write_text("47.24\n")
    with pytest.raises(DataError, match=r"forcing file is damaged.*01013500_lump"):
        read_camels_us(official)


def test_basin_that_the_tables_lack(official):
    table = official / "camels_attributes_v2.0" / "camels_topo.txt"
    table.write_text("\n".join(table.read_text().splitlines()[:2]))
    for other in ("hydro", "name"):
        (table.parent / f"camels_{other}.txt").unlink()
    with pytest.raises(DataError, match="tables lack the basin '14400000'"):
        read_camels_us(official)


def test_netcdf_of_357_basins(shared_data):
    camels = read_camels_netcdf(shared_data / "camels_us" / "camels_daily.nc")
    assert dict(camels.sizes) == {"basin": 357, "time": 10957}
    assert camels["basin"].values[0] == "01022500"
    assert camels["basin"].values[-1] == "14400000"
    assert float(camels["prcp"].mean()) == pytest.approx(3.388829, abs=1e-6)
    assert float(camels["tmean"].mean()) == pytest.approx(10.466954, abs=1e-6)
    assert float(camels["qobs"].mean()) == pytest.approx(1.621917, abs=1e-6)
    assert not set(DISCHARGE_ATTRIBUTES) & set(camels)
    assert all(data.attrs.get("units") for data in camels.data_vars.values())
    assert all(data.dtype == np.float64 for data in camels.data_vars.values())
    check_records(camels, {"prcp": "mm d-1", "tmean": "degC", "dayl": "h", "qobs": "mm d-1"})


def test_netcdf_of_26_basins(shared_data):
    path = shared_data / "camels_us" / "camels_core_daily.nc"
    camels = read_camels_netcdf(path)
    assert dict(camels.sizes) == {"basin": 26, "time": 10957}
    fish = camels.sel(basin="01013500")
    np.testing.assert_allclose(fish["tmean"], (fish["tmin"] + fish["tmax"]) / 2)
    # the attribute table beside the file has more digits and more columns
    assert float(fish["gauge_lat"]) == 47.23739
    assert float(fish["p_mean"]) == 3.12667898699521
    assert float(fish["clay_frac"]) == 16.2757317233653
    assert fish["clay_frac"].attrs["units"] == "%"
    # day length by day of the year, also in leap years
    assert float(fish["dayl"].sel(time="1981-01-01")) == pytest.approx(8.381253, abs=1e-5)
    assert float(fish["dayl"].sel(time="1984-12-31")) == float(fish["dayl"].sel(time="1988-12-31"))


def test_netcdf_selection(shared_data):
    path = shared_data / "camels_us" / "camels_core_daily.nc"
    camels = read_camels_netcdf(
        path, ["aridity", "q_mean"], ["14166500", "01013500"], "1981-01-01", "1981-12-31"
    )
    assert list(camels["basin"].values) == ["14166500", "01013500"]
    assert camels.sizes["time"] == 365
    assert float(camels["q_mean"][1]) == pytest.approx(1.69915450753356)
    assert "p_mean" not in camels
    with pytest.raises(DataError, match="no basin '1013500': did you mean '01013500'"):
        read_camels_netcdf(path, basins=["1013500"])
    with pytest.raises(DataError, match="start late"):
        read_camels_netcdf(path, start="1980-09-30")
    with pytest.raises(DataError, match="no attribute 'q_maen': did you mean 'q_mean'"):
        read_camels_netcdf(path, ["q_maen"])


def test_netcdf_without_a_table_beside(shared_data, tmp_path):
    path = tmp_path / "camels.nc"
    shutil.copy(shared_data / "camels_us" / "camels_core_daily.nc", path)
    camels = read_camels_netcdf(path)
    assert "clay_frac" not in camels
    assert float(camels["aridity"][0]) == pytest.approx(0.6305587, abs=1e-6)
    with pytest.raises(DataError, match="no attribute 'clay_frac'"):
        read_camels_netcdf(path, ["clay_frac"])


def test_netcdf_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_camels_netcdf(tmp_path / "camels.nc")
