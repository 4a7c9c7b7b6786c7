"""Scores of ensembles against closed forms, and against hand-computed values."""

import numpy as np
import pytest
from made import ensemble, flow
from scipy import stats

from hybridwater import scores
from hybridwater.errors import DataError, UnitError


def test_crps_by_hand():
    # members 1, 3, truth 2: E|X - y| = 1, E|X - X'| = 1 -> 0.5; fair: E|X - X'| = 2 -> 0
    members, truth = ensemble([[1.0], [3.0]]), flow([2.0])
    assert float(scores.crps(members, truth)[0]) == pytest.approx(0.5)
    assert float(scores.crps(members, truth, fair=True)[0]) == pytest.approx(0.0)


def test_crps_of_many_members_is_that_of_the_distribution():
    members = ensemble(stats.norm.ppf((np.arange(2000) + 0.5) / 2000, 10, 2)[:, np.newaxis])
    z = (13 - 10) / 2  # closed form of the normal distribution, Gneiting & Raftery eq. 22
    exact = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)
    assert float(scores.crps(members, flow([13.0]))[0]) == pytest.approx(exact, rel=1e-3)


def test_the_fair_score_does_not_depend_on_the_number_of_members(calibrated):
    members, truth = calibrated
    few, all_ = (
        float(scores.crps(m, truth, fair=True).mean())
        for m in (members.isel(member=slice(0, 5)), members)
    )
    assert few == pytest.approx(all_, rel=0.02)
    assert float(scores.crps(members.isel(member=slice(0, 5)), truth).mean()) > 1.1 * all_


def test_skill_against_persistence_by_hand():
    truth = flow([1.0, 3.0, np.nan, 4.0])
    same = scores.persistence(truth)
    found = scores.absolute_error((same * 1000).assign_attrs(units="L s-1"), truth)
    np.testing.assert_allclose(found, [np.nan, 2000.0, np.nan, np.nan])
    assert found.attrs["units"] == "L s-1"
    members = ensemble([[0.0, 2.0, 2.0, 2.0], [0.0, 4.0, 2.0, 2.0]])  # a CRPS of 0.5 on that day
    assert float(scores.skill(scores.crps(members, truth), found)) == pytest.approx(0.75)


def test_a_single_forecast_is_an_ensemble_that_agrees(calibrated):
    members, truth = calibrated
    one = members.isel(member=0, drop=True)
    agreed = one.expand_dims(member=3)
    np.testing.assert_allclose(scores.absolute_error(one, truth), scores.crps(agreed, truth))


def test_interval_score_by_hand():
    # 9 members: Weibull's 10 % and 90 % quantiles are the first and the last: width 8
    members = ensemble(np.arange(1.0, 10.0)[:, np.newaxis])
    inside, above = (scores.interval_score(members, flow([o]), level=0.8) for o in (5.0, 11.0))
    assert float(inside[0]) == pytest.approx(8.0)
    assert float(above[0]) == pytest.approx(8.0 + 2 / 0.2 * 2.0)


def test_energy_score_of_one_site_is_the_crps(calibrated):
    members, truth = (data.isel(gage=[1]) for data in calibrated)
    found = scores.energy_score(members, truth, "gage")
    assert found.dims == ("time",)
    np.testing.assert_allclose(found, scores.crps(members, truth).isel(gage=0))


def test_energy_score_of_three_sites_by_its_definition(calibrated):
    members, truth = (data.isel(time=slice(0, 40)) for data in calibrated)
    found = scores.energy_score(members, truth, "gage")
    x, y = members.values, truth.values  # (member, gage, time), (gage, time)
    miss = np.linalg.norm(x - y, axis=1).mean(0)
    spread = np.linalg.norm(x[:, None] - x[None], axis=2).mean((0, 1))
    np.testing.assert_allclose(found, miss - spread / 2)


def test_missing_values_are_missing_scores(calibrated):
    members, truth = calibrated
    gaps = truth.where(truth["time"] > truth["time"][9])
    found = scores.crps(members, gaps)
    assert int(found.isnull().sum()) == 30
    np.testing.assert_allclose(found[:, 10:], scores.crps(members, truth)[:, 10:])


def test_units_are_converted(calibrated):
    members, truth = calibrated
    other = (truth * 1000).assign_attrs(units="L s-1")
    np.testing.assert_allclose(scores.crps(members, other), scores.crps(members, truth))
    with pytest.raises(UnitError):
        scores.crps(members, truth.assign_attrs(units="degC"))


def test_one_member_is_no_ensemble(calibrated):
    members, truth = calibrated
    for score in (scores.crps, scores.pit, scores.coverage):
        with pytest.raises(DataError, match="two members"):
            score(members.isel(member=[0]), truth)
    with pytest.raises(DataError, match="only the ensemble"):
        scores.crps(members, members)
    with pytest.raises(DataError, match="no dimension 'basin'"):
        scores.energy_score(members, truth, "basin")
    with pytest.raises(DataError, match="between 0 and 1"):
        scores.interval_score(members, truth, level=90)
