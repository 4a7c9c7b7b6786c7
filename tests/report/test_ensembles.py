import numpy as np
import pytest
import xarray as xr

from hybridwater import scores
from hybridwater.errors import DataError, UnitError
from hybridwater.report import coverage_chart, fan_chart, pit_histogram, variance_chart
from hybridwater.scores.probabilistic import central_interval


@pytest.fixture
def ensemble(observed, rng):
    members = observed.fillna(1.0).expand_dims(member=30)
    noise = rng.lognormal(0.0, 0.5, members.shape)
    return (members * noise * rng.lognormal(0.0, 0.5, observed.shape)).assign_attrs(units="mm d-1")


def test_a_fan_has_two_bands_a_median_and_the_truth(ensemble, observed):
    figure = fan_chart(ensemble.isel(basin=0), observed.isel(basin=0), issued="2001-06-01")
    (axes,) = figure.axes
    assert len(axes.collections) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["central 90%", "central 50%", "median", "observed", "forecast issued"]
    outer, inner = (c.get_paths()[0].get_extents().height for c in axes.collections)
    assert outer > inner
    inside = float(scores.coverage(ensemble.isel(basin=0), observed.isel(basin=0)))
    assert f"{inside:.0%} of the observations" in figure.caption


def test_a_fan_is_drawn_where_coverage_is_scored(ensemble, observed):
    one = ensemble.isel(basin=0)
    failed = one.where(one["member"] != 3)
    (axes,) = fan_chart(failed, observed.isel(basin=0)).axes
    outer = axes.collections[0].get_paths()[0].vertices[:, 1]
    lower, upper = central_interval(one.drop_sel(member=3), 0.9)
    for drawn, scored in ((outer.min(), lower.min()), (outer.max(), upper.max())):
        assert drawn == pytest.approx(scored)
    linear = one.drop_sel(member=3).quantile(0.95, "member").max()
    assert outer.max() > 1.02 * float(linear)


def test_few_members_do_not_reach_far(ensemble, observed):
    few = ensemble.isel(member=slice(0, 10))
    caption = fan_chart(few.isel(basin=0)).caption
    assert "reach no further than the central 82%" in caption  # 9 / 11
    assert "no more than 82%" in coverage_chart(few, observed).caption
    assert "reach" not in fan_chart(ensemble.isel(basin=0, member=slice(0, 19))).caption


def test_a_fan_of_many_sites_is_refused(ensemble):
    with pytest.raises(DataError, match="Select one site"):
        fan_chart(ensemble)
    with pytest.raises(UnitError):
        fan_chart(ensemble.isel(basin=0).drop_attrs())


def test_a_flat_histogram_is_told_from_one_that_is_not(observed, rng):
    uniform = observed.copy(data=rng.uniform(size=observed.shape)).assign_attrs(units="1")
    figure = pit_histogram(
        {"good": uniform, "too sure": (uniform - 0.5).clip(-0.2, 0.2) * 2.4 + 0.5}
    )
    heights = [[p.get_height() for p in axes.patches] for axes in figure.axes]
    assert np.mean(heights, axis=1) == pytest.approx([1, 1])
    assert max(heights[0]) < 1.3 < max(heights[1])
    assert "too sure: largest deviation" in figure.caption
    assert "p = 0.001" in figure.caption


def test_coverage_is_drawn_at_every_level(ensemble, observed):
    figure = coverage_chart(ensemble, observed, levels=(0.5, 0.8, 0.9))
    (axes,) = figure.axes
    drawn = axes.lines[1].get_ydata()
    expected = [float(scores.coverage(ensemble, observed, level=k).mean()) for k in (0.5, 0.8, 0.9)]
    np.testing.assert_allclose(drawn, expected)
    assert f"{expected[1]:.0%} within the central 80%" in figure.caption


def test_whose_variance_it_is():
    parts = {
        name: ("source", values)
        for name, values in {
            "alone": [0.6, 0.3], "alone_low": [0.5, 0.2], "alone_high": [0.7, 0.4],
            "total": [0.7, 0.4], "total_low": [0.6, 0.3], "total_high": [0.8, 0.5],
        }.items()
    }  # fmt: skip
    shares = xr.Dataset(parts, {"source": ["rain", "soil"]})
    figure = variance_chart({"mean": shares, "high": shares}, quantity="discharge")
    assert len(figure.axes) == 2
    widths = [p.get_width() for p in figure.axes[0].patches]
    np.testing.assert_allclose(widths, [60, 30, 70, 40])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["alone", "with others"]
    assert "mean: rain has the most, 70 %" in figure.caption
    assert len(variance_chart(shares).axes) == 1
    with pytest.raises(DataError, match="Select one site"):
        variance_chart(shares.expand_dims(site=2))
