import logging

import numpy as np
import pandas as pd
import pytest
import torch

from hybridwater.errors import DataError, DeclarationError, SettingsError, UnitError
from hybridwater.training.problem import Problem, find_period, make_problem

TIME = pd.date_range("2000-01-01", "2001-06-30")


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        (("2000-03-05", "2000-03-10"), "2000-03-05", "2000-03-10"),
        (("2000-03", "2000-04"), "2000-03-01", "2000-04-30"),
        (("2000", "2000"), "2000-01-01", "2000-12-31"),
        (slice("2000-02", "2000-05-02"), "2000-02-01", "2000-05-02"),
        (slice(None, "2000-02"), "2000-01-01", "2000-02-29"),
        (slice("2001-06", None), "2001-06-01", "2001-06-30"),
        ((pd.Timestamp("2000-02-01"), np.datetime64("2000-02-09")), "2000-02-01", "2000-02-09"),
        (["2000-01-01T12:00", "2000-01-04T12:00"], "2000-01-02", "2000-01-04"),
    ],
)
def test_periods(period, first, last):
    found = TIME[find_period(TIME, period, "training")]
    assert [found[0], found[-1]] == [pd.Timestamp(first), pd.Timestamp(last)]


def test_period_of_hours():
    time = pd.date_range("2000-01-01", "2000-01-03T23:00", freq="h")
    found = find_period(time, ("2000-01-02", "2000-01-03"), "training")
    assert found == slice(24, 72)


@pytest.mark.parametrize(
    ("period", "says"),
    [
        (("1999-12-31", "2000-05"), "records start late: the test period"),
        (("1999", "2000"), "records start late"),
        (("2001", "2001"), "records end early"),
        (("2001-01", "2001-07-01"), "records end early"),
        (("2010", "2011"), "records end early"),
        (("2000-05", "2000-03"), "before it begins"),
        (("2000-05-05", "2000-05-05"), "fewer than two records"),
        (("2000", "2001", "2002"), "not a pair"),
        ("2000", "not a pair"),
        (2000, "not a pair"),
        ((1990, 2000), "cannot be read"),
        (("first", "last"), "cannot be read"),
    ],
)
def test_bad_periods_are_refused(period, says):
    with pytest.raises(DataError, match=says):
        find_period(TIME, period, "test")


@pytest.fixture(scope="module")
def make(pair, hybrid):
    def make_(data=None, **keywords) -> Problem:
        given = {"observed": {"q": "qobs"}, "train": ("2000-03", "2000-10"), "warmup": 30}
        return make_problem(hybrid, pair if data is None else data, **{**given, **keywords})

    return make_


def test_warm_up_is_taken_from_before_the_training_period(make):
    problem = make()
    assert problem.scored["train"] == slice(60, 305)
    assert problem.run == slice(30, 305)


def test_warm_up_is_taken_from_training_where_there_is_nothing_before(make):
    assert make(train=("2000-01", "2000-10")).scored["train"] == slice(30, 305)
    problem = make(train=("2000-01-21", "2000-10"))
    assert problem.run.start == 0
    assert problem.scored["train"].start == 30


def test_validation_before_training_has_a_warm_up_too(make):
    problem = make(train=("2000-08", "2000-12"), validation=("2000-04", "2000-05"))
    assert problem.run == slice(213 - 30, 366)
    assert problem.assessed == slice(91 - 30, 366)


def test_validation_as_a_fraction_is_the_end_of_training(make):
    problem = make(validation=0.2)
    assert problem.scored["validation"] == slice(305 - 49, 305)
    assert problem.scored["train"] == slice(60, 305 - 49)
    assert problem.run == slice(30, 305 - 49)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1])
def test_bad_fractions_are_refused(make, fraction):
    with pytest.raises(DataError, match="fraction"):
        make(validation=fraction)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_overlap_with_training_is_told(make, caplog, name):
    with caplog.at_level(logging.WARNING):
        make(**{name: ("2000-10", "2000-12")})
    assert f"The {name} period overlaps the training period" in caplog.text


def test_statistics_are_those_of_training(make, pair):
    problem = make()
    q = pair["qobs"].sel(time=slice("2000-03", "2000-10"))
    np.testing.assert_allclose(problem.references["q"].mean[:, 0], q.mean("time"))
    np.testing.assert_allclose(problem.references["q"].std[:, 0], q.std("time"))


def test_observations_are_converted(make, pair):
    problem = make(pair.assign(qobs=(pair["qobs"] / 10).assign_attrs(units="cm d-1")))
    torch.testing.assert_close(problem.observed["q"], make().observed["q"], equal_nan=True)


def test_basin_without_observations_in_a_period_is_named(make, pair):
    data = pair.copy(deep=True)
    data["qobs"].loc[{"basin": "b1", "time": slice("2000-02", "2000-10")}] = np.nan
    with pytest.raises(DataError, match=r"training period.*basin 'b1'"):
        make(data)
    late = {"train": ("2000-01", "2000-02-20"), "validation": ("2000-03", "2000-05"), "warmup": 0}
    with pytest.raises(DataError, match=r"validation period.*basin 'b1'"):
        make(data, **late)
    make(data, train=("2000-11", "2001-01"), test=("2000-03", "2000-05"))  # is not looked at


def test_attributes_are_standardised(make, pair):
    problem = make(attributes=["slope"])
    torch.testing.assert_close(
        problem.attributes, torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    )
    constant = pair.assign(slope=pair["slope"] * 0.0 + 3.0)
    constant["slope"].attrs["units"] = "1"
    assert not make(constant, attributes=["slope"]).attributes.any()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda d: d.drop_vars("slope"), DataError, "'slope' is missing"),
        (lambda d: d.assign(slope=("basin", [1.0, np.nan], {"units": "1"})), DataError, "NaN"),
        (lambda d: d.assign(slope=("basin", [1.0, 2.0])), UnitError, "units"),
        (lambda d: d.assign(slope=d["prcp"]), DataError, "dimensions"),
    ],
)
def test_bad_attributes_are_refused(make, pair, change, error, says):
    with pytest.raises(error, match=says):
        make(change(pair), attributes=["slope"])


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"observed": {"qq": "qobs"}}, DeclarationError, "did you mean 'q'"),
        ({"observed": {"q": "qob"}}, DataError, "did you mean 'qobs'"),
        ({"observed": {}}, DataError, "No observations are named"),
        ({"warmup": 244}, DataError, "leaves nothing of the training period"),
        ({"warmup": 2.0}, SettingsError, "warmup=2.0"),
        ({"train": ("1999", "2000")}, DataError, "start late"),
        ({"validation": ("2001-02", "2001-03")}, DataError, "validation period"),
    ],
)
def test_bad_requests_are_refused(make, keywords, error, says):
    if "warmup" in keywords:
        keywords = {**keywords, "train": ("2000-01", "2000-08")}
    with pytest.raises(error, match=says):
        make(**keywords)


def test_forcing_that_starts_late_is_refused(make, pair):
    data = pair.copy(deep=True)
    data["prcp"][1, :40] = np.nan
    with pytest.raises(DataError, match="starts late"):
        make(data)
