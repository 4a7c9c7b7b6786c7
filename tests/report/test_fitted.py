"""The report of a fit."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines import Options
from hybridwater.errors import DataError
from hybridwater.report.fitted import _at_bound, _method, _number, fitted_report, skill_table
from hybridwater.training import Stage
from hybridwater.ude.terms import Parameter

DAYS = 500


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    """Return two catchments with snow, made by the conceptual model."""
    rng = np.random.default_rng(3)
    time = np.datetime64("2000-10-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    season = np.cos(2 * np.pi * (np.arange(DAYS) - 110) / 365)
    rain = rng.gamma(0.3, 10.0, (2, DAYS))
    values = {
        "prcp": (rain, "mm d-1"),
        "tmean": (8 - 11 * season + rng.normal(0, 2, (2, DAYS)), "degC"),
        "dayl": (np.broadcast_to(12 - 3 * season, (2, DAYS)), "h"),
    }
    forcing = xr.Dataset(
        {n: (("basin", "time"), v, {"units": u}) for n, (v, u) in values.items()},
        {"basin": ["01", "02"], "time": time},
    )
    truth = hw.simulate(hw.models.exp_hydro(), forcing, {"smax": 200, "soil0": 100, "f": 0.05})
    noise = rng.lognormal(0, 0.1, (2, DAYS))
    forcing["qobs"] = (("basin", "time"), truth["q"].values * noise, {"units": "mm d-1"})
    forcing["latitude"] = ("basin", [41.0, 42.0], {"units": "degrees_north"})
    forcing["longitude"] = ("basin", [-75.0, -74.0], {"units": "degrees_east"})
    return forcing.assign_attrs(source="made up")


@pytest.fixture(scope="module")
def fitted(data):
    stages = (Stage("skeleton", 4, 0.05), Stage("pretrain", 4), Stage("joint", 4))
    return hw.fit(
        hw.models.exp_hydro_hybrid((4,)),
        data,
        observed={"q": "qobs"},
        train=("2000-10-01", "2001-07-31"),
        validation=("2001-08-01", "2001-09-30"),
        test=("2001-10-01", "2002-02-12"),
        warmup=30,
        share="networks",
        schedule=stages,
        show_progress=False,
    )


def headings(html: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", html)


def test_every_section_is_there(fitted, data, tmp_path):
    path = fitted_report(fitted, tmp_path / "r.html", data, figures_directory=tmp_path / "figures")
    html = path.read_text()
    assert headings(html) == [
        "All basins",
        f"Skill in basin {re.search('basin (0[12])', html)[1]}",
        "Hydrograph of discharge",
        "Flow-duration curve of discharge",
        "Learned terms",
        "Water balance",
        "Training",
        "Parameters",
        "Equations",
    ]
    for word in ("conceptual", "log-NSE", "made up", fitted.ude.fingerprint, "dsoil/dt", "smax"):
        assert word in html
    assert "2001-10-01 to 2002-02-12" in html
    names = {p.stem for p in (tmp_path / "figures").iterdir()}
    assert {"hydrograph_q", "flow_duration_q", "learned_et", "learned_q", "water_balance"} <= names
    assert {"skill_distribution", "training"} <= names
    assert html.count("<img") == len(names)


def test_the_warm_up_is_not_shown(fitted, data, tmp_path):
    html = fitted_report(fitted, tmp_path / "r.html", data, basin="02").read_text()
    assert "The warm-up before 2000-10-31 is not shown." in html
    assert "<h1>exp hydro hybrid, basin 02</h1>" in html


def test_the_median_basin_is_shown_and_skill_agrees_with_scores(fitted, data, tmp_path):
    runs = {"hybrid": fitted.simulate(data)}
    table = skill_table(fitted, data, runs, "test")
    part = slice(*fitted.periods["test"])
    expected = hw.scores.nse(runs["hybrid"]["q"].sel(time=part), data["qobs"].sel(time=part))
    np.testing.assert_array_equal(table["hybrid"], expected)
    assert list(table.index) == ["01", "02"]
    scored = fitted.scores(data, "test")["NSE"].xs("hybrid", level="model")
    np.testing.assert_array_equal(table["hybrid"], scored)
    lower = table["hybrid"].idxmin()
    html = fitted.report(tmp_path / "r.html", data).read_text()
    assert f"Skill in basin {lower}" in html


def test_tables_keep_the_order_of_basins_and_models(fitted, data):
    turned = data.isel(basin=[1, 0])
    runs = {"z": fitted.simulate(turned), "a": fitted.simulate(turned)}
    table = skill_table(fitted, turned, runs, "train", "KGE")
    assert list(table.index) == ["02", "01"]
    assert list(table.columns) == ["z", "a"]


def test_report_of_data_that_end_before_the_test_period(fitted, data, tmp_path):
    early = data.sel(time=slice(None, "2001-09-30"))
    html = fitted.report(tmp_path / "r.html", early).read_text()
    assert "In the validation period" in html


def test_one_basin_without_dimension_has_no_overview(fitted, data, tmp_path):
    html = fitted.report(tmp_path / "r.html", data.sel(basin="01")).read_text()
    assert "All basins" not in headings(html)
    assert "Skill in basin 01" in headings(html)


def test_a_model_without_networks_has_no_learned_terms(data, tmp_path):
    fitted = hw.fit(
        hw.models.exp_hydro(),
        data.sel(basin=["01"]),
        observed={"q": "qobs"},
        train=("2000-10-01", "2001-09-30"),
        warmup=30,
        schedule=(Stage("joint", 2, 0.05),),
        show_progress=False,
    )
    html = fitted.report(tmp_path / "r.html", data.sel(basin=["01"]), title="A title").read_text()
    assert "Learned terms" not in headings(html)
    assert "<h1>A title</h1>" in html
    assert "never seen" not in html


def test_unknown_basins_and_missing_observations_are_refused(fitted, data, tmp_path):
    with pytest.raises(DataError, match="no basin '03'"):
        fitted.report(tmp_path / "r.html", data, basin="03")
    with pytest.raises(DataError, match="no observations 'qobs'"):
        fitted.report(tmp_path / "r.html", data.drop_vars("qobs"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("log", "value", "near"),
    [(False, 1.5, True), (False, 30.0, False), (False, 99.5, True), (True, 1.5, False)],
)
def test_nearness_to_a_bound_is_judged_on_the_scale_of_the_search(log, value, near):
    assert _at_bound(Parameter("k", "mm", (1, 100), 10, log=log), value) == near


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options(method="rk4", substeps=1), "rk4, 1 step per record"),
        (Options(method="heun", substeps=2), "heun, 2 steps per record"),
        (Options(method="tsit5", rtol=1e-4), "tsit5, tolerance 0.0001"),
    ],
)
def test_how_it_was_solved_is_said_in_words(options, text):
    assert _method(options) == text


def test_numbers_have_a_true_minus_sign():
    assert _number(np.float64(-0.000123456)) == "−0.0001235"  # noqa: RUF001
