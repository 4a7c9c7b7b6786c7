import numpy as np
import pytest
import xarray as xr

from hybridwater.components import check, get_component
from hybridwater.components.forcing_records import ForcingRecords
from hybridwater.errors import ComponentError, ComponentFailed, DataError, UnitError
from hybridwater.meshes import column_mesh


def records(n=10, cells=3, units="mm d-1"):
    time = np.datetime64("1990-10-01", "ns") + np.arange(n) * np.timedelta64(6, "h")
    values = np.arange(n * cells, dtype=float).reshape(n, cells)
    return xr.Dataset({"rain": (("time", "basin"), values, {"units": units})}, {"time": time})


def test_gives_one_record_per_step():
    component = get_component("forcing")(data=records())
    component.initialize()
    assert component.get_time_step() == 6 * 3600
    assert str(component.origin) == "1990-10-01 00:00:00"
    for i in range(10):
        component.update()
        assert (component.get_value_ptr("rain") == np.arange(3.0) + 3 * i).all()
    with pytest.raises(ComponentError, match="no step beyond the end"):
        component.update()


def test_blocks_do_not_show(monkeypatch):
    monkeypatch.setattr("hybridwater.components.forcing_records._BLOCK", 100)
    component = ForcingRecords(data=records(), variables={"precipitation_flux": "rain"})
    component.initialize()
    component.update()
    state = component.get_state()
    component.update_until(9 * 21600.0)
    assert component.get_value_ptr("precipitation_flux")[0] == 24
    component.set_state(state)
    component.update()
    assert component.get_value_ptr("precipitation_flux")[0] == 3


def test_a_state_of_other_records_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("hybridwater.components.forcing_records._BLOCK", 100)
    data = records()
    data.to_netcdf(tmp_path / "same.nc")
    one, same, other = (
        ForcingRecords(data=d) for d in (data, tmp_path / "same.nc", data.copy(deep=True))
    )
    other._records["rain"][0][9, 2] += 1.0
    for component in (one, same, other):
        component.initialize()
    one.update()
    same.set_state(one.get_state())
    with pytest.raises(ComponentError, match="not a state of"):
        other.set_state(one.get_state())


def test_passes_the_checker():
    assert {f.state for f in check(ForcingRecords(data=records(40)))} <= {"ok", "skipped"}


def test_files(tmp_path):
    records().to_netcdf(tmp_path / "rain.nc")
    component = ForcingRecords(data=tmp_path / "rain.nc")
    component.initialize()
    component.update()
    assert component.variable("rain").units == "mm d-1"


@pytest.mark.parametrize("cells", [{}, {"basin": [0]}])
def test_one_series_holds_in_all_cells(cells):
    series = records(cells=1).rename(rain="pet").isel(basin=0, drop=True).expand_dims(cells)
    series = series.transpose("time", ...).rename({d: "station" for d in cells})
    alone = ForcingRecords(data=series, mesh=column_mesh([1e6, 1e6, 1e6], [[0, 45]] * 3))
    beside = ForcingRecords(data=xr.merge([series, records()]))
    for component in (alone, beside):
        component.initialize()
        component.update_until(2 * 21600.0)
        assert (component.get_value_ptr("pet") == np.ones(3)).all()
    assert (beside.get_value_ptr("rain") == np.arange(3.0) + 3).all()
    with pytest.raises(ComponentError, match="different numbers of cells"):
        ForcingRecords(data=xr.merge([records(), records(cells=2).rename(rain="a", basin="b")]))


def test_refusals(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        ForcingRecords(data=tmp_path / "none.nc")
    with pytest.raises(ComponentError, match="did you mean 'rain'"):
        ForcingRecords(data=records(), variables={"p": "rains"})
    with pytest.raises(UnitError):
        ForcingRecords(data=records(units=""))
    with pytest.raises(ComponentError, match="has the dimensions"):
        ForcingRecords(data=records().transpose("basin", "time"))
    with pytest.raises(DataError):
        ForcingRecords(data=records().isel(time=[0, 1, 5]))
    gap = records()
    gap["rain"][3, 1] = np.nan
    component = ForcingRecords(data=gap)
    component.initialize()
    component.update_until(3 * 21600.0)
    with pytest.raises(ComponentFailed, match="cell 1"):
        component.update()


def test_a_configuration_file_can_name_the_records(tmp_path):
    component = get_component("forcing")()
    with pytest.raises(ComponentError, match=r"no records.*data = 'records.nc'"):
        component.initialize()
    records().to_netcdf(tmp_path / "records.nc")
    (tmp_path / "forcing.toml").write_text(f"data = '{tmp_path / 'records.nc'}'")
    component.initialize(str(tmp_path / "forcing.toml"))
    component.update()
    np.testing.assert_array_equal(component.get_value_ptr("rain"), np.arange(3.0))
