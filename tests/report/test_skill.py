"""Skill over many basins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridwater.errors import DataError, UnitError
from hybridwater.report import save_figures, skill_map, skill_summary


@pytest.fixture
def table() -> pd.DataFrame:
    index = pd.Index(["a", "b", "c", "d", "e"], name="basin")
    return pd.DataFrame(
        {"conceptual": [0.1, 0.3, 0.5, -2.0, 0.7], "hybrid": [0.5, 0.6, np.nan, 0.2, 0.8]}, index
    )


@pytest.fixture
def places() -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    def along(values, **attrs):
        return xr.DataArray(np.array(values), dims="basin", attrs=attrs)

    return (
        along([40.0, 42.0, 45.0], units="degrees_north"),
        along([-90.0, -88.0, -85.0], units="degrees_east"),
        along([0.2, 0.8, np.nan], units="1", long_name="test NSE"),
    )


def test_summary_states_medians_and_counts_failures_as_worst(table):
    figure = skill_summary(table)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["conceptual:  median 0.30", "hybrid:  median 0.50  (no value in 1)"]
    (axes,) = figure.axes
    assert axes.get_xlabel() == "NSE (–)"  # noqa: RUF001
    assert axes.get_xlim() == (-0.5, 1.0)
    assert "outside the axis" in figure.caption
    assert "5 basins" in figure.caption


def test_summary_curve_is_the_distribution(table):
    line = skill_summary(table[["conceptual"]]).axes[0].get_lines()[0]
    x, y = line.get_data()
    assert y[x <= 0.3].max() == pytest.approx(0.6)
    assert y[-1] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.head(0), "empty"),
        (lambda t: t[[]], "empty"),
        (lambda t: t.reset_index(), "'basin' is not numeric"),
        (lambda t: t.assign(hybrid=np.nan), "'hybrid' has no value"),
    ],
)
def test_bad_tables_are_refused(table, change, message):
    with pytest.raises(DataError, match=message):
        skill_summary(change(table))


def test_map_labels_and_missing(places, tmp_path):
    figure = skill_map(*places)
    axes, bar = figure.axes
    assert axes.get_xlabel() == "longitude (°E)"
    assert axes.get_ylabel() == "latitude (°N)"
    assert bar.get_ylabel() == "test NSE (–)"  # noqa: RUF001
    assert figure.legends[0].get_texts()[0].get_text() == "no value"
    assert figure.caption == "Test NSE at the gauges of 3 basins."
    save_figures(tmp_path, {"map": figure})


def test_map_of_one_basin_draws(places, tmp_path):
    save_figures(tmp_path, {"one": skill_map(*(p[:1] for p in places))})


def test_narrow_map_is_in_the_middle(places):
    lat, lon, value = places
    figure = skill_map(lat, lon.copy(data=[-90.0, -89.9, -89.8]), value)
    figure.draw_without_rendering()
    ends = [axes.get_tightbbox() for axes in figure.axes]
    left, right = ends[0].x0, figure.bbox.width - ends[1].x1
    assert left == pytest.approx(right, abs=0.05 * figure.bbox.width)
    assert 0 < ends[1].x0 - ends[0].x1 < 0.05 * figure.bbox.width


def test_map_limits_are_shown_as_arrows(places):
    figure = skill_map(*places, vmin=0.4, vmax=1.0)
    assert figure.axes[0].collections[-1].colorbar.extend == "min"


def test_bad_maps_are_refused(places):
    lat, lon, value = places
    with pytest.raises(DataError, match="shapes"):
        skill_map(lat[:2], lon, value)
    with pytest.raises(DataError, match=r"not on the globe.*basin number 1"):
        skill_map(lat.where([True, False, True]), lon, value)
    with pytest.raises(DataError, match="Every value"):
        skill_map(lat, lon, value.where(False))
    with pytest.raises(UnitError):
        skill_map(lat, lon, value.drop_attrs())
