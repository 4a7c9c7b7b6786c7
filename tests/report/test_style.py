"""Typesetting of units and numbers, and a style that leaves no trace."""

from __future__ import annotations

import matplotlib as mpl
import pytest

from hybridwater.errors import UnitError
from hybridwater.report import style


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("mm d-1", "mm d⁻¹"),
        ("mm/day", "mm d⁻¹"),
        ("m3 s-1", "m³ s⁻¹"),
        ("W m-2", "W m⁻²"),
        ("degC", "°C"),
        ("degrees_north", "°N"),
        ("%", "%"),
        ("km2", "km²"),
        ("1", "–"),  # noqa: RUF001
    ],
)
def test_unit_text(unit, text):
    assert style.unit_text(unit) == text


@pytest.mark.parametrize("unit", ["", "furlongs per fortnite", None])
def test_bad_unit_is_refused(unit):
    with pytest.raises(UnitError):
        style.unit_text(unit)


def test_labels():
    assert style.labelled("discharge", "mm d-1") == "discharge (mm d⁻¹)"
    assert style.labelled("residual", "mm", break_line=True) == "residual\n(mm)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.764, "0.76"), (-0.764, "−0.76"), (-0.001, "0.00"), (float("nan"), "–")],  # noqa: RUF001
)
def test_number(value, text):
    assert style.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14e-12, "3.1 × 10⁻¹²"),  # noqa: RUF001
        (-2e7, "−2.0 × 10⁷"),  # noqa: RUF001
        (0.0, "0"),
        (0.25, "0.25"),
        (1234.0, "1234"),
        (float("nan"), "–"),  # noqa: RUF001
    ],
)
def test_scientific(value, text):
    assert style.scientific(value) == text


def test_style_of_the_caller_is_neither_used_nor_changed(simulated):
    from hybridwater.report import hydrograph

    with mpl.rc_context({"axes.labelsize": 31.0}):
        figure = hydrograph(simulated, None, basin="01013500")
        assert mpl.rcParams["axes.labelsize"] == 31.0
    assert figure.axes[0].yaxis.label.get_size() == 10


def test_names_with_markup_and_long_names_draw_as_they_are(simulated, tmp_path):
    from hybridwater.report import hydrograph, save_figures

    names = ["$\\frac{1", "cost in $ and more $", "a very long name " * 9]
    figure = hydrograph(dict.fromkeys(names, simulated), None, basin="01013500")
    save_figures(tmp_path, {"names": figure})
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == names[:2]
    assert max(map(len, labels[2].split("\n"))) <= 96


@pytest.mark.parametrize(("low", "high", "shown"), [(0.3, 4, "0.5"), (1e-4, 100, "0.001")])
def test_logarithmic_axis_has_plain_numbers(low, high, shown):
    figure = style.new_figure(3)
    axes = figure.subplots()
    axes.plot([0, 1], [low, high])
    style.logarithmic(axes)
    figure.canvas.draw()
    assert shown in [tick.get_text() for tick in axes.get_yticklabels()]


def test_names_that_would_touch_are_in_different_rows():
    axes = style.new_figure(3).subplots()
    axes.set_xlim(0, 100)
    spans = [("calibration", 0, 3), ("validation", 3, 6), ("test", 6, 100)]
    style.name_spans(axes, spans, 0, 100)
    heights = [text.xyann[1] for text in axes.texts]
    assert heights[0] != heights[1]
    assert heights[2] == heights[0]
    assert axes.texts[0].xy[0] > 3  # moved in from the edge
