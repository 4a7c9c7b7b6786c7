import numpy as np
import pytest
import xarray as xr

from hybridwater.data import specific_discharge
from hybridwater.errors import DataError, UnitError


def flow(unit="m3 s-1"):
    return xr.DataArray([[1.0, np.nan]], dims=("basin", "time"), attrs={"units": unit})


def area(value=86.4, unit="km2"):
    return xr.DataArray([value], dims="basin", attrs={"units": unit})


def test_by_hand():
    # 1 m3 s-1 = 86,400 m3 d-1, over 86.4e6 m2 = 1e-3 m d-1
    depth = specific_discharge(flow(), area())
    np.testing.assert_allclose(depth, [[1.0, np.nan]])
    assert depth.name == "qobs"
    assert depth.attrs["units"] == "mm d-1"
    np.testing.assert_allclose(specific_discharge(flow("l s-1"), area(8.64, "ha")), [[1.0, np.nan]])


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_areas_must_be_positive(value):
    with pytest.raises(DataError, match="area is zero, negative or missing"):
        specific_discharge(flow(), area(value))


def test_units_must_fit():
    with pytest.raises(UnitError, match="cannot be converted"):
        specific_discharge(flow("mm d-1"), area())
