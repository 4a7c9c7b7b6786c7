"""Learned term against its inputs."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater.errors import DataError, UnitError
from hybridwater.report import learned_flux, save_figures


def test_one_panel_per_numeric_input_with_units(term):
    figure = learned_flux(term)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "soil water storage (mm)",
        "s_snow (mm)",
        "tmean (°C)",
    ]
    assert figure.axes[0].get_ylabel() == "et (mm d⁻¹)"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["samples", "5 to 95 %", "learned, median", "conceptual, median"]
    assert "2000 visited samples" in figure.caption


def test_medians_follow_the_terms(term):
    _, learned, conceptual = learned_flux(term).axes[0].get_lines()
    np.testing.assert_allclose(learned.get_ydata(), 3 * learned.get_xdata() / 300, atol=0.12)
    np.testing.assert_allclose(conceptual.get_ydata(), 2 * conceptual.get_xdata() / 300, atol=0.05)


def test_input_that_is_mostly_zero_still_shows_the_rest(term):
    line = learned_flux(term).axes[1].get_lines()[1]
    assert line.get_xdata()[0] == 0
    assert len(line.get_xdata()) >= 4
    assert line.get_xdata()[-1] > 40


def test_band_covers_no_values_without_samples(term):
    """Snow is 0 on most days, otherwise at least 5 mm; soil begins with a few low values."""
    snow, soil = term["s_snow"].values, 300 + term["s_soil"].values
    soil[:25] = np.linspace(0, 100, 25)
    term["s_snow"] = term["s_snow"].copy(data=np.where(snow > 0, 5 + snow, 0))
    term["s_soil"] = term["s_soil"].copy(data=soil)
    for axes, (low, high) in zip(learned_flux(term).axes, [(100, 299), (0, 4)], strict=False):
        (band,) = axes.collections
        spans = [np.sort(path.vertices[:, 0])[[0, -1]] for path in band.get_paths()]
        assert len(spans) > 3
        assert not any(first < high and last > low + 0.5 for first, last in spans)
        assert any(last <= low + 0.5 for _, last in spans)  # what lies below is drawn


def test_band_and_median_are_those_of_the_bin(term):
    flat = term.assign(learned=term["learned"] * 0 + np.arange(2000) % 100)
    flat["learned"].attrs["units"] = "mm d-1"
    (band,) = learned_flux(flat).axes[0].collections
    heights = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
    assert 0 <= heights.min() < 12
    assert 88 < heights.max() <= 99


def test_many_samples_are_thinned_the_same_way_each_time(term):
    many = term.isel(sample=np.tile(np.arange(2000), 5))
    first, second = (learned_flux(many).axes[0].get_lines()[0].get_xdata() for _ in range(2))
    assert len(first) == 4000
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("count", [1, 4, 30])
def test_few_samples_draw(term, count, tmp_path):
    save_figures(tmp_path, {"few": learned_flux(term.isel(sample=slice(count)))})


def test_constant_input_draws(term, tmp_path):
    constant = term.assign_coords(tmean=term["tmean"].copy(data=np.full(2000, 4.0)))
    save_figures(tmp_path, {"constant": learned_flux(constant)})


def test_without_conceptual_term(term):
    figure = learned_flux(term.drop_vars("conceptual"))
    assert len(figure.axes[0].get_lines()) == 2
    assert "conceptual" not in figure.caption


def test_caption_says_whose_parameters_the_conceptual_term_has(term):
    assert learned_flux(term).caption.endswith("at the same samples.")
    term["conceptual"].attrs["comment"] = "with the parameters of the fit"
    assert learned_flux(term).caption.endswith("samples, with the parameters of the fit.")


def test_five_inputs_take_two_rows(term):
    more = term.assign_coords(a=term["tmean"] + 1, b=term["tmean"] + 2)
    for name in "ab":
        more[name].attrs["units"] = "degC"
    figure = learned_flux(more)
    assert len(figure.axes) == 5
    assert figure.axes[3].get_ylabel() == "et (mm d⁻¹)"


def test_four_inputs_are_a_square(term):
    more = term.assign_coords(a=term["tmean"] + 1)
    more["a"].attrs["units"] = "degC"
    panels = [axes.get_subplotspec() for axes in learned_flux(more).axes]
    assert [(p.rowspan.start, p.colspan.start) for p in panels] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_missing_units_are_refused(term):
    del term["tmean"].attrs["units"]
    with pytest.raises(UnitError, match="'tmean' has no units"):
        learned_flux(term)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_vars("learned"), "no variable 'learned'"),
        (lambda t: t.drop_vars(["s_soil", "s_snow", "tmean"]), "no input"),
        (lambda t: t.where(t["learned"] > 1e9), "no finite value"),
        (lambda t: t.isel(sample=slice(0)), "no finite value"),
    ],
)
def test_bad_terms_are_refused(term, change, message):
    with pytest.raises(DataError, match=message):
        learned_flux(change(term))
