import numpy as np
import pandas as pd
import pytest
import xarray as xr


def make_records(basins=("a", "b"), days=10, start="2000-01-01"):
    """Small valid records: prcp [mm d-1], tmean [degC], qobs [mm d-1]."""
    time = pd.date_range(start, periods=days, name="time")
    shape = (len(basins), days)
    prcp = np.arange(np.prod(shape), dtype=float).reshape(shape)
    dims = ("basin", "time")
    return xr.Dataset(
        {
            "prcp": (dims, prcp, {"units": "mm d-1"}),
            "tmean": (dims, prcp - 5.0, {"units": "degC"}),
            "qobs": (dims, prcp / 2.0, {"units": "mm d-1"}),
        },
        {"basin": list(basins), "time": time},
    )


@pytest.fixture
def records():
    return make_records()
