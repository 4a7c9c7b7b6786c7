import numpy as np
import pytest
from made import flow

from hybridwater import scores
from hybridwater.errors import DataError


def narrower(members, factor=0.5):
    return (members - members.mean("member")) * factor + members.mean("member")


def test_calibrated_forecasts_are_found_calibrated(calibrated):
    members, truth = (d.assign_attrs(units="m3 s-1") for d in calibrated)
    places = scores.pit(members, truth)
    assert float(places.min()) > 0
    assert float(places.max()) < 1
    assert float(scores.flatness(places)["p_value"]) > 0.05
    np.testing.assert_allclose(scores.coverage(members, truth), 0.9, atol=0.03)
    histogram = scores.rank_histogram(members, truth)
    np.testing.assert_allclose(histogram.sum("bin"), 1)
    spread = scores.spread_skill(members, truth, bins=5)
    np.testing.assert_allclose(spread["error"] / spread["spread"], 1, atol=0.2)


def test_overconfident_forecasts_are_found_out(calibrated):
    members, truth = calibrated
    members = narrower(members).assign_attrs(members.attrs)
    test = scores.flatness(scores.pit(members, truth))
    assert float(test["p_value"]) < 0.01
    assert float(test["largest_deviation"]) > 0.5
    assert float(scores.coverage(members, truth).max()) < 0.75
    histogram = scores.rank_histogram(members, truth).mean("gage")
    assert float(histogram[0]) > 0.15
    assert float(histogram[-1]) > 0.15


def test_the_test_of_flatness_has_its_size_although_days_are_alike():
    # AR(1) of 0.9: days are alike, yet every single one is uniform
    from scipy.signal import lfilter
    from scipy.stats import norm

    rng = np.random.default_rng(1)
    found = []
    for _ in range(150):
        n = rng.standard_normal(1500)
        n[1:] *= np.sqrt(0.19)
        n = lfilter([1.0], [1.0, -0.9], n)
        found.append(float(scores.flatness(flow(norm.cdf(n)), resamples=199)["p_value"]))
    size = np.mean(np.array(found) < 0.05)  # 0.05 for blocks without end; without blocks: 0.9
    assert 0.02 < size < 0.12  # 0.078 in 400 other series


def test_a_member_that_failed_does_not_count(calibrated):
    members, truth = calibrated
    spoilt = members.where(members["member"] != 7)
    rest = members.drop_sel(member=7)
    for score in (scores.crps, scores.coverage, scores.pit, scores.rank_histogram):
        found = score(spoilt, truth)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found, score(rest, truth))
    with pytest.raises(DataError, match="Fewer than two members"):
        scores.crps(members.where(members["member"] == 7), truth)


def test_of_nothing_there_is_no_histogram_to_test():
    with pytest.raises(DataError, match="no value to test"):
        scores.flatness(flow(np.full(400, np.nan)))


def test_dry_days_are_spread_over_the_members_that_are_dry():
    members = flow(np.r_[np.zeros((8, 4000)), np.ones((1, 4000))], ("member", "time"))
    places = scores.pit(members, flow(np.zeros(4000)))
    assert float(places.min()) < 0.01
    assert float(places.max()) == pytest.approx(0.9, abs=0.01)


def test_coverage_by_group(calibrated):
    members, truth = calibrated
    season = scores.coverage(members, truth, by=truth["time"].dt.season.rename("season"))
    assert set(season["season"].values) == {"DJF", "MAM", "JJA", "SON"}
    size = truth["gage"].copy(data=["small", "large", "small"]).rename("size")
    by_size = scores.coverage(members, truth, by=size)
    alone = scores.coverage(members, truth)
    np.testing.assert_allclose(by_size.sel(size="large"), alone[1])
    np.testing.assert_allclose(by_size.sel(size="small"), (alone[0] + alone[2]) / 2)


def test_reliability_of_a_calibrated_forecast(calibrated):
    members, truth = calibrated
    threshold = truth.quantile(0.8).drop_vars("quantile").assign_attrs(units="m3 s-1")
    table = scores.reliability(members, truth, threshold, bins=5)
    assert int(table["count"].sum()) == truth.size
    np.testing.assert_allclose(table["observed"], table["forecast"], atol=0.08)


def test_a_short_record_cannot_be_tested():
    with pytest.raises(DataError, match="fewer than five blocks"):
        scores.flatness(flow(np.linspace(0, 1, 100)))
