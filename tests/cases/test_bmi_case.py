"""A plain BMI class in a case: it has no state, so there is no checkpoint, and it may hang."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from coupled_case import write_case

from hybridwater import cases
from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentFailed, CouplingError

CASE = """
[run]
name = "bucket"
start = 2001-01-01
end = "4 d"

[forcing.weather]
source = "csv"
path = "hill.csv"
units = { rain = "mm d-1" }
mesh = "one"

[meshes.one]
kind = "columns"
areas = [3e6]

[meshes.three]
kind = "columns"
areas = [1e6, 1e6, 1e6]

[components.bucket]
kind = "bmi_models:Plain"
mesh = "three"

[[exchange]]
source = "weather.rain"
target = "bucket.rain"
water = true
remap = [0]

[output]
directory = "run"
variables = { bucket = ["level"] }
report = false
"""


@pytest.fixture
def bucket(tmp_path):
    """Return what reads the case, with one text in the place of another."""
    shutil.copy(Path(__file__).parents[1] / "components" / "bmi_models.py", tmp_path)

    def read(old="", new=""):
        return cases.load_coupled(write_case(tmp_path, CASE.replace(old, new, 1)))

    return read


@pytest.mark.parametrize("timeout", ["", "timeout = 60.0\n"])
def test_it_runs_to_the_end_and_says_that_there_is_no_checkpoint(bucket, timeout):
    case = bucket('Plain"\n', f'Plain"\n{timeout}')
    with pytest.warns(UserWarning, match="No checkpoint is written, as bucket has no state"):
        model = case.run()
    model.close()
    rain = pd.read_csv(case.path.parent / "hill.csv")["rain"].values[:4]
    written = xr.load_dataset(case.directory / "bucket.nc", engine="netcdf4")["level"]
    assert written.shape == (48, 3)
    np.testing.assert_allclose(written[11::12, 0], 3.0 * np.cumsum(rain), rtol=1e-13)
    assert (written[:, 1:] == 0.0).all()
    days = xr.load_dataset(case.directory / "ledger.nc", engine="netcdf4").sizes["time"]
    assert days == 4
    assert not (case.directory / "checkpoint.npz").exists()


def test_checkpoints_of_it_are_refused_before_the_run(bucket):
    case = bucket("[output]", '[restart]\nevery = "2 d"\n[output]')
    with pytest.raises(CouplingError, match="bucket has no state"):
        case.run()


def test_ctrl_c_ends_it_with_its_rows_in_the_file(bucket, monkeypatch):
    case, advance = bucket(), CoupledModel._advance

    def pressed(self, end):
        advance(self, end)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(CoupledModel, "_advance", pressed)
    with pytest.raises(KeyboardInterrupt, match="without a checkpoint, as bucket has no state"):
        case.run()
    written = xr.load_dataset(case.directory / "bucket.nc", engine="netcdf4")["level"]
    assert written.sizes["time"] == 12


def test_one_that_hangs_is_ended_and_named(bucket):
    case = bucket('Plain"\n', 'Hangs"\ntimeout = 2.0\n')
    with pytest.raises(ComponentFailed, match="'update' within 2 s") as error:
        case.run()
    assert "component 'bucket'" in str(error.value)
