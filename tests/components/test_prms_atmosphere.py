from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

import prms_runs as prms

from hybridwater.components.prms_atmosphere import OUTPUTS, DailyAtmosphere
from hybridwater.components.prms_process import quietly, read_parameters


@pytest.fixture(scope="module")
def own():
    model = prms.own_model()
    prms.own_step(model)  # pywatershed computes all days at the first
    return model.processes["PRMSAtmosphere"]


def days(own, start, count, every=1):
    """Step the daily atmosphere from a day of pywatershed's run; yield day, ours, theirs."""
    weather = prms.weather()
    with quietly():
        ours = DailyAtmosphere(read_parameters(None), own._time[start].astype("datetime64[s]"))
    for day in range(start, start + count):
        date = own._time[day].astype("datetime64[s]")
        with quietly():
            ours.step(date, *(values[day] for values in weather.values()))
        if day % every == 0:
            yield day, ours.current


def test_every_output_is_pywatersheds_own_bit_for_bit(own):
    seen = 0
    for day, current in days(own, 0, 500, every=7):
        for name in (*OUTPUTS, "transp_on"):
            np.testing.assert_array_equal(current[name], own[name].data[day], err_msg=name)
        seen += 1
    assert seen == 72


@pytest.mark.parametrize("start", [0, 95, 200, 330])
def test_the_transpiration_season_is_pywatersheds_own(own, start):
    """The Delaware's own parameters never end the season, hence others here."""
    random = np.random.default_rng(start)
    season = {
        "transp_beg": random.integers(1, 13, 765),
        "transp_end": random.integers(1, 13, 765),
        "transp_tmax": random.uniform(100.0, 800.0, 765),
    }
    first, count = own._time[start].astype("datetime64[s]"), 400
    weather = prms.weather()
    tmax = own["tmaxf"].data[start : start + count]
    theirs = SimpleNamespace(
        **season,
        nhru=765,
        nmonth=12,
        _params=own._params,
        transp_on=SimpleNamespace(
            data=np.zeros((count, 765), "int32"), current=np.zeros(765, "int32")
        ),
        tmaxf=SimpleNamespace(data=tmax),
        _month=own._month[start : start + count],
        _dom=own._dom[start : start + count],
        control=SimpleNamespace(
            start_doy=int(
                (first - first.astype("datetime64[Y]")).astype("timedelta64[D]").astype(int)
            )
            + 1,
            start_month=int(own._month[start]),
        ),
    )
    with quietly():
        type(own).calculate_transp_tindex(theirs)
        ours = DailyAtmosphere(read_parameters(None), first)
        for name, values in season.items():
            setattr(ours._model, name, values)
        ours._start_season(first)
        for day in range(start, start + count):
            date = own._time[day].astype("datetime64[s]")
            ours.step(date, *(values[day] for values in weather.values()))
            np.testing.assert_array_equal(
                ours.current["transp_on"], theirs.transp_on.data[day - start]
            )
    assert theirs.transp_on.data.min() == 0
    assert theirs.transp_on.data.max() == 1


def test_dtypes_are_kept(own):
    _, current = next(days(own, 0, 1))
    for name in (*OUTPUTS, "transp_on"):
        assert current[name].dtype == own[name].data.dtype
