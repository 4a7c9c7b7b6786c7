"""Scores against hand-computed values, and against spotpy as a peer."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hybridwater import scores
from hybridwater.errors import DataError, UnitError
from hybridwater.scores import deterministic

ALL = [getattr(scores, name) for name in deterministic.__all__]


def flow(values, units="mm d-1", start="2000-01-01", name="q") -> xr.DataArray:
    values = np.asarray(values, dtype=float)
    time = np.datetime64(start, "ns") + np.arange(values.shape[-1]) * np.timedelta64(1, "D")
    dims = ("basin", "time")[-values.ndim :]
    coords = {"time": time}
    if "basin" in dims:
        coords["basin"] = [f"b{i}" for i in range(values.shape[0])]
    return xr.DataArray(values, dims=dims, coords=coords, name=name, attrs={"units": units})


@pytest.fixture
def pair() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(3)
    observed = rng.gamma(0.7, 3.0, (2, 400)) + 0.01
    simulated = observed * rng.lognormal(0.1, 0.4, observed.shape)
    return flow(simulated), flow(observed)


def test_nse_by_hand():
    # errors 1, 0, -1: sum of squares 2; observed deviations -1, 0, 1: 2 -> 1 - 2/2
    assert float(scores.nse(flow([2, 2, 2]), flow([1, 2, 3]))) == 0.0
    # errors 0.5, 0, 0: 0.25 / 2
    assert float(scores.nse(flow([1.5, 2, 3]), flow([1, 2, 3]))) == pytest.approx(0.875)


def test_kge_by_hand():
    # s = 2 o: r = 1, alpha = 2, beta = 2 -> 1 - sqrt(2)
    assert float(scores.kge(flow([2, 4, 6]), flow([1, 2, 3]))) == pytest.approx(1 - np.sqrt(2))
    # reversed: r = -1, alpha = beta = 1 -> 1 - 2
    assert float(scores.kge(flow([3, 2, 1]), flow([1, 2, 3]))) == pytest.approx(-1.0)


def test_log_nse_by_hand():
    # offset is 0.02: compare log(2.02) with log(1.02), log(2.02), log(3.02)
    o = np.log(np.array([1, 2, 3]) + 0.02)
    expected = 1 - ((np.log(2.02) - o) ** 2).sum() / ((o - o.mean()) ** 2).sum()
    assert float(scores.log_nse(flow([2, 2, 2]), flow([1, 2, 3]))) == pytest.approx(expected)


def test_bias_by_hand():
    assert float(scores.bias(flow([2, 2, 5]), flow([1, 2, 3]))) == pytest.approx(0.5)


def test_high_flow_bias_by_hand():
    # highest 2 % of 100 records are two: (90 + 80) against (100 + 99), whenever they occur
    observed = np.arange(1.0, 101.0)
    simulated = np.minimum(observed, 70.0)
    simulated[[0, 1]] = [90, 80]
    found = scores.high_flow_bias(flow(simulated), flow(observed))
    assert float(found) == pytest.approx((170 - 199) / 199)


def test_low_flow_bias_by_hand():
    # lowest 30 % of 10 records: observed 1, 2, 4 -> log 2 + log 4 = 3 log 2;
    # simulated 1, 4, 16 -> 6 log 2; -(6 - 3) / 3
    observed = [1, 2, 4, 50, 60, 70, 80, 90, 100, 110]
    simulated = [16, 4, 1, 50, 60, 70, 80, 90, 100, 110]
    assert float(scores.low_flow_bias(flow(simulated), flow(observed))) == pytest.approx(-1.0)


def test_low_flow_bias_of_dry_simulation_is_finite_and_free_of_units():
    observed = np.linspace(0.5, 20, 50)
    simulated = np.where(observed < 2, 0.0, observed)
    found = float(scores.low_flow_bias(flow(simulated), flow(observed)))
    scaled = float(scores.low_flow_bias(flow(1e3 * simulated), flow(1e3 * observed)))
    assert np.isfinite(found)
    assert scaled == pytest.approx(found)


def test_peers_agree(pair):
    objective = pytest.importorskip("spotpy.objectivefunctions")
    simulated, observed = pair
    for basin in range(2):
        s, o = simulated.values[basin], observed.values[basin]
        assert float(scores.nse(simulated, observed)[basin]) == pytest.approx(
            objective.nashsutcliffe(o, s)
        )
        assert float(scores.kge(simulated, observed)[basin]) == pytest.approx(objective.kge(o, s))
        assert 100 * float(scores.bias(simulated, observed)[basin]) == pytest.approx(
            objective.pbias(o, s)
        )
        offset = o.mean() / 100
        assert float(scores.log_nse(simulated, observed)[basin]) == pytest.approx(
            objective.lognashsutcliffe(o, s, epsilon=offset)
        )


@pytest.mark.parametrize("score", ALL)
def test_perfect_simulation(score, pair):
    best = 1.0 if score in (scores.nse, scores.kge, scores.log_nse) else 0.0
    found = score(pair[1], pair[1])
    assert found.dims == ("basin",)
    assert found.name == score.__name__
    assert found.attrs["units"] == "1"
    np.testing.assert_allclose(found, best, atol=1e-12)


@pytest.mark.parametrize("score", ALL)
def test_missing_values_are_left_out_of_both(score, pair):
    simulated, observed = (x.isel(basin=0) for x in pair)
    keep = np.arange(400) % 3 > 0
    with_gaps = observed.where(xr.DataArray(keep, dims="time"))
    without = float(score(simulated[keep], observed[keep]))
    assert float(score(simulated, with_gaps)) == pytest.approx(without)
    swapped = simulated.where(xr.DataArray(keep, dims="time")), observed
    assert float(score(*swapped)) == pytest.approx(without)


@pytest.mark.parametrize("score", ALL)
def test_basin_without_observations_is_nan_and_others_are_not(score, pair):
    simulated, observed = pair[0], pair[1].copy()
    observed[0] = np.nan
    found = score(simulated, observed)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


@pytest.mark.parametrize("score", [scores.nse, scores.kge, scores.log_nse])
def test_constant_observations_are_nan(score):
    assert np.isnan(score(flow([1, 2, 3]), flow([2, 2, 2])))


@pytest.mark.parametrize("score", ALL)
def test_no_flow_at_all_is_nan(score):
    assert np.isnan(score(flow([0, 0, 0]), flow([0, 0, 0])))


def test_log_nse_of_negative_flow_is_nan():
    assert np.isnan(scores.log_nse(flow([-1, 2, 3]), flow([1, 2, 3])))


def test_infinite_simulation_is_as_bad_as_can_be():
    assert float(scores.nse(flow([np.inf, 2, 3]), flow([1, 2, 3]))) == -np.inf


@pytest.mark.parametrize("score", ALL)
def test_units_are_converted(score, pair):
    simulated, observed = pair
    in_metres = (observed / 1000).assign_attrs(units="m d-1")
    np.testing.assert_allclose(score(simulated, in_metres), score(simulated, observed))


def test_times_are_matched_by_label(pair):
    simulated, observed = pair
    found = scores.nse(simulated[:, 50:300], observed)
    np.testing.assert_allclose(found, scores.nse(simulated[:, 50:300], observed[:, 50:300]))


def test_dask_arrays_stay_lazy(pair):
    pytest.importorskip("dask")
    simulated, observed = (x.chunk({"basin": 1}) for x in pair)
    found = scores.kge(simulated, observed)
    assert found.chunks is not None
    np.testing.assert_allclose(found.compute(), scores.kge(*pair))


def test_missing_units_are_refused(pair):
    simulated, observed = pair
    with pytest.raises(UnitError, match="no units"):
        scores.nse(simulated, observed.drop_attrs())


def test_incompatible_units_are_refused(pair):
    with pytest.raises(UnitError, match="cannot be converted"):
        scores.nse(pair[0], pair[1].assign_attrs(units="degC"))


def test_no_common_time_is_refused():
    with pytest.raises(DataError, match="no time in common"):
        scores.nse(flow([1, 2, 3]), flow([1, 2, 3], start="2010-01-01"))


def test_missing_time_dimension_is_refused():
    with pytest.raises(DataError, match="no 'time' dimension"):
        scores.nse(flow([1, 2, 3]).rename(time="step"), flow([1, 2, 3]))


def test_other_basins_are_refused(pair):
    with pytest.raises(DataError, match="different coordinates"):
        scores.nse(pair[0], pair[1].isel(basin=[0]))


@pytest.mark.parametrize("fraction", [0, -0.1, 2])
@pytest.mark.parametrize("score", [scores.high_flow_bias, scores.low_flow_bias])
def test_fraction_out_of_range_is_refused(score, fraction, pair):
    with pytest.raises(DataError, match="between 0 and 1"):
        score(*pair, fraction=fraction)
