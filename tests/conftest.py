import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data that tests use but the project does not carry."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HYBRIDWATER_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"real data are absent: no folder {folder} (set HYBRIDWATER_DATA)")
    return folder


def _layered(cells=6):
    """Soil layers below a pond, with a network in every layer and uptake shared by all."""
    import hybridwater as hw
    from hybridwater.ude.staggered import above, below, column_sum, ends, lowermost, uppermost

    @hw.model
    def layered(m):
        rain = m.forcing("rain", "mm d-1")
        layers = m.column("layers", [10.0 + 2.0 * k for k in range(cells)], "mm")
        W = m.state("W", "mm", initial=3.0, on=layers)
        pond = m.state("pond", "mm", initial=1.0)
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.4)
        d = m.parameter("d", "mm2 d-1", bounds=(1, 100), default=20)
        deep = m.constant("deep", 50.0, "mm")
        wet = m.flux("wet", W / layers.thickness, "1")
        enter = m.flux("enter", k * pond * hw.ude.exp(-uppermost(wet)), "mm d-1")
        roots = hw.ude.exp(-layers.depth / deep)
        uptake = m.network(
            "uptake", {wet: (0, 1), roots: (0, 1), rain: (0, 5)}, "mm d-1",
            hidden=(3,), positive=True, zero_when_empty=W, empty_scale=1.0,
        )  # fmt: skip
        total = m.flux("total", column_sum(uptake), "mm d-1")
        m.flux("share", uptake / total, "1")
        mixed = d * (above(wet) - below(wet, 0.1)) / layers.distance
        inner = mixed + k * (above(W) + below(W)) / 2
        q = m.flux("q", ends(inner, enter, k * lowermost(W) * lowermost(wet)), "mm d-1")
        m.derivative(W, above(q) - below(q) - uptake)
        m.derivative(pond, rain - enter)

    return layered


@pytest.fixture(scope="session")
def make_layered():
    """Make a model with a column of a given number of cells."""
    return _layered


@pytest.fixture(scope="session")
def layered():
    return _layered()
