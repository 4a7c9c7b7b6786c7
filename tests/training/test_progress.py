import pytest

import hybridwater as hw
from hybridwater.training import Stage


@pytest.mark.parametrize("validation", [None, 0.2])
def test_bar_shows_stage_loss_and_skill(reservoir, pair, capsys, validation):
    hw.fit(
        reservoir,
        pair,
        observed={"q": "qobs"},
        train=("2000-01", "2000-10"),
        validation=validation,
        warmup=30,
        schedule=[Stage("joint", 2)],
        show_progress=True,
        substeps=1,
    )
    out = capsys.readouterr().out
    assert "joint" in out
    assert "train NSE" in out
    assert ("validation NSE" in out) == (validation is not None)


def test_bar_may_be_turned_off(fit, reservoir, pair, capsys):
    fit(reservoir, pair, train=("2000-01", "2000-10"), schedule=[Stage("joint", 1)])
    assert capsys.readouterr().out == ""
