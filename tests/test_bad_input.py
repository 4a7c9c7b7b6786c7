"""Bad input at the front door: whatever is wrong, the error says it, and nothing is written.

The rooms test their own checks in detail; here are the words that a person uses: ``hw.model``,
``hw.simulate``, ``hw.fit``, ``hw.Surrogate``.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.errors import DataError, DeclarationError, HybridwaterError, UnitError
from hybridwater.files import write_netcdf

DAYS = 60
MODEL = hw.models.linear_reservoir()


@pytest.fixture
def data() -> xr.Dataset:
    """Return two months of two hills."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2001-01-01", periods=DAYS)
    values = {
        name: (("basin", "time"), rng.uniform(0.5, 3.0, (2, DAYS)), {"units": "mm d-1"})
        for name in ("prcp", "pet", "qobs")
    }
    return xr.Dataset(values, {"basin": ["a", "b"], "time": time})


def changed(name: str, value: float, *where: int | slice) -> Callable[[xr.Dataset], xr.Dataset]:
    def change(data: xr.Dataset) -> xr.Dataset:
        data = data.copy(deep=True)
        data[name].values[where] = value
        return data

    return change


def units(name: str, unit: str | None) -> Callable[[xr.Dataset], xr.Dataset]:
    def change(data: xr.Dataset) -> xr.Dataset:
        data = data.copy(deep=True)
        data[name].attrs = {} if unit is None else {"units": unit}
        return data

    return change


def records(*numbers: int) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda data: data.isel(time=list(numbers))


ALL = range(DAYS)
BAD_DATA = {
    "missing units": (units("prcp", None), UnitError, "'prcp' has no units"),
    "unknown units": (units("prcp", "mmm d-1"), UnitError, "'mmm d-1'"),
    "incompatible units": (units("prcp", "kg m-2 s-1"), UnitError, "cannot be converted"),
    "a gap": (records(*(k for k in ALL if k != 7)), DataError, "gap in time: after 2001-01-07"),
    "duplicate times": (records(*ALL[:8], *ALL[7:]), DataError, "2001-01-08.*more than once"),
    "unsorted times": (records(*ALL[5:], *ALL[:5]), DataError, "not sorted: 2001-01-01"),
    "NaN forcing": (changed("pet", np.nan, 1, 9), DataError, "basin 'b'.*2001-01-10"),
    "infinite forcing": (changed("pet", np.inf, 1, 9), DataError, "basin 'b'.*2001-01-10"),
    "negative precipitation": (
        changed("prcp", -0.1, 0, 3),
        DataError,
        "basin 'a' is negative.*2001-01-04",
    ),
    "no observations": (
        changed("qobs", np.nan, 1, slice(None)),
        DataError,
        "no valid observation of basin 'b'",
    ),
    "forcing that starts late": (
        changed("prcp", np.nan, 1, slice(20)),
        DataError,
        "starts late, on 2001-01-21",
    ),
    "records that start late": (records(*ALL[20:]), DataError, "records start late.*2001-01-21"),
    "a missing forcing": (lambda d: d.rename(prcp="precp"), DataError, "did you mean 'precp'"),
}


@pytest.mark.parametrize(("change", "error", "says"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_are_refused_before_anything_is_written(data, tmp_path, change, error, says):
    run = tmp_path / "run"
    with pytest.raises(error, match=says) as caught:
        hw.fit(
            MODEL,
            change(data),
            observed={"q": "qobs"},
            train=("2001-01-01", "2001-02-15"),
            warmup=5,
            directory=run,
        )
    assert_helpful(caught.value)
    assert not list(tmp_path.iterdir())


def assert_helpful(error: HybridwaterError) -> None:
    """See that an error says what to do, in words and not in internals."""
    assert error.fix
    assert "Traceback" not in str(error)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"k": 2.0}, r"'k' is 2, outside .*0\.001"),
        ({"k": [0.1, -1.0]}, "basin 'b'"),
        ({"kk": 0.1}, "did you mean 'k'"),
    ],
)
def test_parameters_out_of_bounds_are_refused(data, parameters, says):
    with pytest.raises(DeclarationError, match=says):
        hw.simulate(MODEL, data, parameters)


def declare(**more: str) -> hw.UDE:
    """Read a bucket from equation text, with other fluxes or names."""
    fluxes = {"q": "k * soil", **more}
    return hw.UDE.from_dict(
        {
            "name": "bucket",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0.01, 1], "default": 0.1}},
            "states": {"soil": {"unit": "mm", "initial": 10, "equation": "prcp - q"}},
            "fluxes": {n: {"unit": "mm d-1", "equation": e} for n, e in fluxes.items()},
        }
    )


def test_the_bucket_is_a_model():
    assert declare().name == "bucket"


@pytest.mark.parametrize(
    ("fluxes", "error", "says"),
    [
        ({"q": "k * sol"}, DeclarationError, "'sol'.*did you mean 'soil'"),
        ({"q": "k * soil + other", "other": "q"}, DeclarationError, "in a circle: q -> other -> q"),
        ({"q": "k * soil + q"}, DeclarationError, "in a circle: q -> q"),
        ({"q": "soil"}, UnitError, "has the unit 'mm' but 'mm d-1'"),
        ({"k": "prcp"}, DeclarationError, "'k' is used as parameter and as flux"),
        ({"q": "__import__('os').system('touch hacked')"}, DeclarationError, "not arithmetic"),
        ({"q": "soil.__class__"}, DeclarationError, "not arithmetic"),
        ({"q": "open('hacked', 'w')"}, DeclarationError, "'open' may not be used"),
        ({"q": "(lambda: soil)()"}, DeclarationError, "not arithmetic"),
    ],
)
def test_equations_are_refused(fluxes, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says):
        declare(**fluxes)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_state_and_parameter_is_refused():
    with pytest.raises(DeclarationError, match="'soil' is used as state and as parameter"):

        @hw.model
        def twice(m):
            k = m.parameter("soil", "d-1", bounds=(0.01, 1), default=0.1)
            S = m.state("soil", "mm", initial=10)
            m.derivative(S, -m.flux("q", k * S, "mm d-1"))


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EACCES], ids=errno.errorcode.get)
def test_a_full_disk_leaves_the_old_simulation(data, tmp_path, monkeypatch, reason):
    path = write_netcdf(hw.simulate(MODEL, data), tmp_path / "q.nc")
    before = path.read_bytes()

    def to_netcdf(self: xr.Dataset, part: Path, **_: str) -> None:
        part.write_bytes(before[: len(before) // 2])
        raise OSError(reason, os.strerror(reason))  # the NetCDF library has been seen to say either

    monkeypatch.setattr(xr.Dataset, "to_netcdf", to_netcdf)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"No space left on device.*Free some space"):
        write_netcdf(data, path)
    assert [p.name for p in tmp_path.iterdir()] == ["q.nc"]
    assert path.read_bytes() == before
