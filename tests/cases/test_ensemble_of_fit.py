"""The ensemble of the case of a fit."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import hybridwater as hw
from hybridwater.cases import load, load_ensemble
from hybridwater.cli import app
from hybridwater.errors import CaseError

CASE = """
[model]
library = "linear_reservoir"

[data]
source = "netcdf"
path = "data.nc"

[fit]
observed = { q = "qobs" }
train = ["2001-01-01", "2001-04-30"]
warmup = 10
schedule = [{ kind = "joint", epochs = 2 }]

[output]
directory = "run"
report = false

[ensemble]
members = 5
warmup = 20

[ensemble.sources.rain]
kind = "forcing"
variable = "prcp"
factor = { lognormal = 0.3 }
time = "2 d"

[ensemble.sources.parameters]
kind = "parameters"
within_bounds = ["k"]
"""


@pytest.fixture
def case(tmp_path):
    days = pd.date_range("2001-01-01", "2001-06-30")
    rain = np.random.default_rng(2).gamma(0.3, 12.0, (2, len(days)))
    forcing = xr.Dataset(
        {
            "prcp": (("basin", "time"), rain, {"units": "mm d-1"}),
            "pet": (("time",), np.full(len(days), 1.0), {"units": "mm d-1"}),
        },
        {"basin": ["a", "b"], "time": days},
    )
    flow = hw.simulate(hw.models.linear_reservoir(), forcing, {"k": 0.05})["q"]
    forcing.assign(qobs=flow.assign_attrs(units="mm d-1")).to_netcdf(tmp_path / "data.nc")
    path = tmp_path / "case.toml"
    path.write_text(CASE)
    return path


def call(*arguments):
    return CliRunner().invoke(app, ["ensemble", *map(str, arguments)])


def test_of_a_fit(case, tmp_path):
    with pytest.raises(CaseError, match=r"has not been made.*hybridwater fit case.toml"):
        load_ensemble(case)
    load(case).fit()
    done = call(case)
    assert done.exit_code == 0, done.output
    report = (tmp_path / "run" / "ensemble.html").read_text()
    assert "k = loguniform(0.001, 1)" in report
    assert report.count("<img") == 3  # a fan, coverage, PIT
    with xr.open_dataset(tmp_path / "run" / "ensemble.nc") as found:
        assert found["q"].dims == ("member", "basin", "time")
        loaded = load_ensemble(case)
        draws = loaded.ensemble.member(3).draws
        rain = loaded.ensemble.sources["rain"].apply(load(case).read_data(), draws["rain"])
        k = loaded.ensemble.sources["parameters"].drawn(draws["parameters"])["k"][0]
        fitted = hw.Surrogate.load(tmp_path / "run")
        data = load(case).read_data().assign(prcp=rain)
        alone = hw.simulate(fitted.ude, data, {**fitted.parameters, "k": k}, substeps=2)
        np.testing.assert_allclose(found["q"].sel(member=3), alone["q"], rtol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('variable = "prcp"', 'variable = "rain"', "no forcing 'rain'"),
        ('["k"]', '["kk"]', "no parameter 'kk'"),
        ("warmup = 20", 'outputs = ["qq"]', "no output 'qq'"),
        ("warmup = 20", "[ensemble.observed]", "key 'output' is missing"),
        ("warmup = 20", "warmup = 181", "warmup of 181 records leaves none of 181"),
    ],
)
def test_what_the_model_does_not_have(case, old, new, told):
    load(case).fit()
    case.write_text(CASE.replace(old, new))
    with pytest.raises(CaseError, match=told):
        load_ensemble(case)


def test_several_fits_and_a_residual_model(case, tmp_path):
    from hybridwater.ensembles import ParameterPosterior
    from hybridwater.residuals import Diagnostics, Inference, ResidualModel

    fitted = load(case).fit()
    load(case).fit(directory=tmp_path / "second")
    data = load(case).read_data()
    model = ResidualModel(autocorrelated=False)
    noisy = data["qobs"] * np.random.default_rng(0).lognormal(0, 0.2, data["qobs"].shape)
    residuals = model.fit(
        fitted.simulate(data)["q"],
        noisy.assign_attrs(units="mm d-1"),
        inference=Inference(steps=300, draws=20),
    )
    residuals.save(tmp_path / "residuals")
    more = """
[ensemble.sources.fits]
kind = "fits"
runs = ["run", "second"]

[ensemble.sources.error]
kind = "residual"
output = "q"
posterior = "residuals"
"""
    draws = xr.Dataset({"k": ("draw", np.full(20, 0.04), {"units": "d-1"})})
    told = Diagnostics("svi", True, "")
    ParameterPosterior(draws, ("k",), told, "a").save(tmp_path / "k.nc")
    of_one = '\n[ensemble.sources.k]\nkind = "posterior"\nfile = "k.nc"\n'
    case.write_text(CASE[: CASE.index("[ensemble.sources.parameters]")] + of_one)
    with pytest.raises(CaseError, match=r"that of basin 'a', and what runs is a, b.*source 'k'"):
        load_ensemble(case)
    # k stays as fitted: with other flows than those of the fit, errors have another scale.
    head = CASE[: CASE.index("[ensemble.sources.parameters]")]
    case.write_text(head + more)
    with load_ensemble(case).run(progress=False) as found:
        assert found["q_observable"].attrs["long_name"].endswith("as it may be observed")
        ratio = np.log(found["q_observable"] / found["q"].where(found["q"] > 0))
        assert 0.1 < float(ratio.std()) < 0.4
