"""Panels, labels and skill of the hydrograph."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater import scores
from hybridwater.errors import DataError, UnitError
from hybridwater.report import hydrograph, save_figures

BASIN = "03604000"


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_panels_and_units(simulated, observed, precipitation, split):
    figure = hydrograph(simulated, observed, precipitation, basin=BASIN, split=split)
    rain, flow, residual = figure.axes
    assert rain.get_ylabel() == "precipitation\n(mm d⁻¹)"
    assert flow.get_ylabel() == "discharge (mm d⁻¹)"
    assert residual.get_ylabel() == "residual\n(mm d⁻¹)"
    assert rain.get_ylim()[1] == 0 < rain.get_ylim()[0]
    assert flow.get_ylim()[0] == 0


def test_series_are_drawn_as_they_are(simulated, observed):
    figure = hydrograph(simulated, observed, basin=BASIN)
    flow, residual = figure.axes
    seen, run = (line.get_ydata() for line in flow.get_lines())
    np.testing.assert_array_equal(seen, observed.sel(basin=BASIN))
    np.testing.assert_array_equal(run, simulated.sel(basin=BASIN))
    np.testing.assert_allclose(
        residual.get_lines()[0].get_ydata(), (simulated - observed).sel(basin=BASIN)
    )


def test_legend_states_skill_of_each_period(simulated, observed, split):
    runs = {"conceptual": simulated * 0.5, "hybrid": simulated}
    runs["conceptual"].attrs = simulated.attrs
    figure = hydrograph(runs, observed, basin=BASIN, split=split)
    labels = legend(figure)
    assert labels[0] == "observed"
    assert len(labels) == 3
    part = slice("2003-01-01", None)
    pair = [x.sel(basin=BASIN, time=part) for x in (simulated, observed)]
    expected = f"test NSE {float(scores.nse(*pair)):.2f}, KGE {float(scores.kge(*pair)):.2f}"
    assert labels[2].startswith("hybrid:  train NSE")
    assert labels[2].endswith(expected)
    assert "validation NSE" in labels[1]
    assert expected in figure.alt
    assert BASIN in figure.caption


def test_periods_are_named_and_shaded(simulated, observed, split):
    figure = hydrograph(simulated, observed, basin=BASIN, split=split)
    assert [text.get_text() for text in figure.axes[0].texts] == ["train", "validation", "test"]
    assert all(len(axes.patches) == 3 for axes in figure.axes)


def test_without_split_skill_is_of_everything(simulated, observed):
    pair = [x.sel(basin=BASIN) for x in (simulated, observed)]
    expected = f"NSE {float(scores.nse(*pair)):.2f}, KGE {float(scores.kge(*pair)):.2f}"
    assert legend(hydrograph(*pair))[1] == f"simulated:  {expected}"


def test_window_changes_what_is_drawn_but_not_the_skill(simulated, observed, precipitation, split):
    whole = hydrograph(simulated, observed, precipitation, basin=BASIN, split=split)
    part = hydrograph(
        simulated, observed, precipitation, basin=BASIN, split=split, window=("2003-01", "2003-02")
    )
    assert legend(part) == legend(whole)
    assert len(part.axes[1].get_lines()[0].get_ydata()) == 59
    assert [text.get_text() for text in part.axes[0].texts] == ["test"]


def test_without_observations_there_is_no_residual(simulated):
    figure = hydrograph(simulated, None, basin=BASIN)
    assert len(figure.axes) == 1
    assert legend(figure) == ["simulated"]


def test_observations_in_another_unit_are_converted(simulated, observed):
    other = (observed / 1000).assign_attrs(units="m d-1")
    first = hydrograph(simulated, observed, basin=BASIN)
    assert legend(hydrograph(simulated, other, basin=BASIN)) == legend(first)


def test_lone_observations_are_dots(simulated, observed):
    weekly = observed.where(np.arange(observed.sizes["time"]) % 7 == 0)
    line = hydrograph(simulated, weekly, basin=BASIN).axes[0].get_lines()[0]
    assert line.get_marker() == "."
    assert len(line.get_markevery()) == int(weekly.sel(basin=BASIN).notnull().sum())


def test_period_without_common_records_has_no_skill(simulated, observed, split):
    early = observed.sel(time=slice(None, "2002-06"))
    label = legend(hydrograph(simulated, early, basin=BASIN, split=split))[1]
    assert "train NSE" in label
    assert "test" not in label


def test_short_and_long_records_draw(simulated, observed, precipitation, tmp_path):
    day = {"time": slice(20, 22)}
    short = hydrograph(simulated[day], observed[day], precipitation[day], basin=BASIN)
    long = [x.sel(basin=BASIN).pad(time=(0, 800), mode="wrap") for x in (simulated, precipitation)]
    times = np.datetime64("1990-01-01", "ns") + np.arange(2000) * np.timedelta64(1, "D")
    run, rain = (x.assign_coords(time=times) for x in long)
    save_figures(tmp_path, {"short": short, "long": hydrograph(run, None, rain)})
    assert (tmp_path / "long.png").stat().st_size > 10_000


def test_all_missing_observations_are_refused(simulated, observed):
    with pytest.raises(DataError, match=r"observed series has no values.*basin 03604000"):
        hydrograph(simulated, observed.where(False), basin=BASIN)


def test_missing_units_are_refused(simulated, observed):
    with pytest.raises(UnitError, match="no units"):
        hydrograph(simulated.drop_attrs(), observed, basin=BASIN)
    with pytest.raises(UnitError, match="cannot be converted"):
        hydrograph(simulated, observed.assign_attrs(units="m3 s-1"), basin=BASIN)


def test_window_outside_the_record_is_refused(simulated, observed):
    with pytest.raises(DataError, match="between 2000-10-01 and"):
        hydrograph(simulated, observed, basin=BASIN, window=("1950", "1951"))
