"""Flow-duration curve."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater import scores
from hybridwater.errors import DataError, UnitError
from hybridwater.report import flow_duration, save_figures

BASIN = "03604000"


def test_curve_has_weibull_positions_of_common_records(simulated, observed):
    figure = flow_duration(simulated, observed, basin=BASIN)
    (axes,) = figure.axes
    seen, run = axes.get_lines()
    count = int(observed.sel(basin=BASIN).notnull().sum())
    assert len(seen.get_xdata()) == len(run.get_xdata()) == count
    np.testing.assert_allclose(
        seen.get_xdata()[[0, -1]], [100 / (count + 1), 100 * count / (count + 1)]
    )
    assert (np.diff(run.get_ydata()) <= 0).all()
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "discharge (mm d⁻¹)"
    assert axes.get_xlabel() == "time flow is exceeded (%)"
    assert f"{count} records" in figure.caption


def test_legend_states_biases(simulated, observed):
    figure = flow_duration({"hybrid": simulated}, observed, basin=BASIN)
    pair = [x.sel(basin=BASIN) for x in (simulated, observed)]
    high = 100 * float(scores.high_flow_bias(*pair))
    label = figure.legends[0].get_texts()[1].get_text()
    assert label.startswith(f"hybrid:  FHV {high:.0f} %, FLV ".replace("-", "−"))  # noqa: RUF001


def test_days_without_flow_are_told_not_drawn(simulated, observed, tmp_path):
    dry = simulated.where(simulated > 0.5, 0.0).assign_attrs(simulated.attrs)
    figure = flow_duration(dry, None, basin=BASIN)
    line = figure.axes[0].get_lines()[0]
    share = float((dry.sel(basin=BASIN) == 0).mean())
    assert np.isnan(line.get_ydata()).mean() == pytest.approx(share)
    assert f"no flow {100 * share:.1f} %" in line.get_label()
    save_figures(tmp_path, {"dry": figure})


def test_two_records_draw(simulated, tmp_path):
    save_figures(tmp_path, {"two": flow_duration(simulated[:1, :2], None)})


def test_nothing_above_zero_is_refused(simulated):
    with pytest.raises(DataError, match="No flow is above zero"):
        flow_duration((simulated * 0).assign_attrs(simulated.attrs), None, basin=BASIN)


def test_no_common_record_is_refused(simulated, observed):
    with pytest.raises(DataError, match="no record in common"):
        flow_duration(simulated[:, :50], observed[:, 60:], basin=BASIN)


def test_missing_units_are_refused(simulated, observed):
    with pytest.raises(UnitError):
        flow_duration(simulated, observed.drop_attrs(), basin=BASIN)
