"""The whole loop: learn, search, replace, fit again, compare on held-out time."""

from __future__ import annotations

import pytest

import hybridwater as hw
from hybridwater.errors import DataError
from hybridwater.training import Stage


@pytest.mark.slow
def test_a_law_goes_through_the_loop(bucket, hybrid, weather, capsys):
    periods = {"train": ("2000-01", "2000-10"), "test": ("2000-11", "2001-01"), "warmup": 30}
    common = {"observed": {"q": "qobs"}, "substeps": 1, "show_progress": False, **periods}
    stages = (Stage("joint", 200, 0.03, 0.02), Stage("joint", 150, 0.01, 0.005))
    fits = [hw.fit(hybrid, weather, schedule=stages, seed=s, **common) for s in (0, 1)]
    front = hw.discover(fits, "et", weather, show_progress=True)
    assert "equations of et" in capsys.readouterr().out
    assert front.recommended is not None, str(front)
    model = fits[0].replace("et", front.recommended)
    assert not model.networks
    assert model.parameter("k").default == pytest.approx(float(fits[0].parameters["k"][0]))
    found = hw.compare(
        {"network": fits[0], "equation": model},
        weather,
        schedule=(Stage("joint", 100, 0.05),),
        **common,
    )
    assert found.table.loc["equation", "NSE test"] > found.table.loc["network", "NSE test"] - 0.01
    with pytest.raises(DataError, match="no basin 'b'"):
        fits[0].replace("et", front.recommended, basin="b")
