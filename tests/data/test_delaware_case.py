import numpy as np
import pytest
import xarray as xr

from hybridwater.data import check_records, delaware_parameters, read_delaware
from hybridwater.data.packages import package_folder

pytest.importorskip("pywatershed", reason="the Delaware data come with pywatershed")


@pytest.fixture(scope="module")
def case():
    return read_delaware()


@pytest.fixture(scope="module")
def raw():
    return package_folder("pywatershed", "data", "drb_2yr")


def test_published_counts(case):
    assert dict(case.forcing.sizes) == {"basin": 765, "time": 731}
    assert dict(case.structure.sizes) == {"segment": 456, "basin": 765}
    assert dict(case.observed.sizes) == {"gage": 168, "time": 731}
    valid = case.observed["discharge"].notnull().sum("time")
    assert int((valid > 0).sum()) == 103
    assert int((valid >= 700).sum()) == 101


def test_units_are_converted_from_the_raw_files(case, raw):
    inches = [float(v) for v in (raw / "prcp.cbh").read_text().splitlines()[3].split()[6:]]
    np.testing.assert_allclose(case.forcing["prcp"][:, 0], np.array(inches) * 25.4, atol=1e-5)
    for name in ("tmin", "tmax"):
        lines = (raw / f"{name}.cbh").read_text().splitlines()
        fahrenheit = np.array([float(v) for v in lines[3 + 200].split()[6:]])
        celsius = (fahrenheit - 32.0) / 1.8
        np.testing.assert_allclose(case.forcing[name][:, 200], celsius, atol=1e-5)


def test_parameters_are_those_of_the_parameter_file(case, raw):
    def parameter(name):
        lines = text[text.index(name) :]
        dimensions = int(lines[1])
        count = int(lines[2 + dimensions])
        return np.array([float(v) for v in lines[4 + dimensions :][:count]])

    text = (raw / "myparam.param").read_text().splitlines()
    square_km = parameter("hru_area") * 43560 * 0.3048**2 / 1e6
    np.testing.assert_allclose(case.forcing["area"], square_km, rtol=1e-6)
    np.testing.assert_allclose(case.forcing["elevation"], parameter("hru_elev"))
    np.testing.assert_array_equal(case.structure["downstream"], parameter("tosegment") - 1)
    np.testing.assert_array_equal(case.structure["hru_segment"], parameter("hru_segment") - 1)
    np.testing.assert_allclose(case.structure["length"], parameter("seg_length"), rtol=1e-6)


def test_gages_map_to_segments_by_name(case, raw):
    observed = case.observed.sel(gage="01463500")
    assert str(observed["name"].values) == "Delaware River at Trenton NJ"
    assert float(observed["drainage_area"]) == pytest.approx(6780 * 1.609344**2, rel=1e-6)
    text = (raw / "myparam.param").read_text().splitlines()
    names = text[text.index("poi_gage_id") + 5 :][:168]
    segments = text[text.index("poi_gage_segment") + 5 :][:168]
    assert int(observed["gage_segment"]) == int(segments[names.index("01463500")]) - 1


def test_discharge_is_in_cubic_metres(case, raw):
    feet = xr.load_dataset(raw / "drb_2yr_gage_poi_obs.nc")["discharge"].sel(poi_id="01463500")
    metres = case.observed["discharge"].sel(gage="01463500")
    np.testing.assert_allclose(metres, feet.values * 0.3048**3, rtol=1e-6)


def test_everything_has_units_and_passes_the_door(case):
    for dataset in case:
        for name, data in dataset.data_vars.items():
            assert data.attrs["units"], name
            assert data.attrs["long_name"], name
    check_records(case.forcing, {"prcp": "mm d-1", "tmin": "degC", "tmax": "degC", "tmean": "degC"})


def test_segments_and_hrus_join(case):
    downstream = case.structure["downstream"].values
    assert downstream.min() == -1
    assert (downstream == -1).sum() == 6
    assert downstream.max() < 456
    assert (case.structure["hru_segment"].values == -1).sum() == 4
    np.testing.assert_array_equal(case.structure["basin"], case.forcing["basin"])


def test_all_parameters(case):
    parameters = delaware_parameters()
    assert parameters.sizes["nhru"] == 765
    assert parameters["rain_cbh_adj"].dims == ("nmonth", "nhru")
    assert {"soil_moist_max", "gwflow_coef", "mann_n", "hru_area"} <= set(parameters)
