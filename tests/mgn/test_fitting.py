import signal

import numpy as np
import pytest
import torch

from hybridwater.errors import DataError, SettingsError
from hybridwater.meshes import conservative_remap
from hybridwater.mgn import LearnedRemap, Samples, assess_remap, fit_remap, fitting
from hybridwater.training.rundir import is_unfinished


@pytest.fixture(scope="module")
def wetness(squares):
    """Where it was wetter than elsewhere, more arrives on high land; states, or memory, know it."""
    air, land = squares(2, 2, 1000.0, "air"), squares(4, 4, 500.0)
    height = np.where(land.centroids[:, 1] % 1000.0 > 500.0, 1.0, 0.0)
    remap = conservative_remap(air, land)
    rain = np.random.default_rng(0).exponential(1.0, (60, air.size)) * air.areas
    before = np.vstack([np.ones(air.size), (rain[:-1] > rain[:-1].mean(axis=1, keepdims=True))])
    wet = remap.shares @ before.T
    high = np.where(height[:, None] > 0.0, 1.0, -1.0)
    truth = remap.amounts(rain) * (1.0 + 0.8 * high * np.where(wet > 0.0, 1.0, -1.0)).T
    states = {"source": before[:, :, None] * 30.0}

    def make(**choices):
        torch.manual_seed(0)
        static = {"height": height}
        return LearnedRemap.of(remap, air, land, target_static=static, width=8, **choices)

    return make, rain, truth, states


STATES = {"source": {"soil_water": "kg m-2"}}
QUICK = {"iterations": 100, "rate": 1e-2, "progress": False}


def test_states_and_memory_tell_what_a_remap_alone_cannot_know(wetness):
    make, rain, truth, states = wetness
    plain, reads, remembers = make(), make(states=STATES), make(memory=2)
    fit_remap(plain, rain, truth, **QUICK)
    table = fit_remap(reads, rain, truth, states=states, **QUICK)
    fit_remap(remembers, rain, truth, window=3, warmup=1, **{**QUICK, "iterations": 150})
    assert list(table) == ["iteration", "loss", "seconds"]
    assert len(table) == 100
    found = [
        assess_remap(remap, Samples(remap, rain, truth, states), warmup=1)
        for remap in (plain, reads, remembers)
    ]
    assert found[0]["reduction"] < 0.3
    assert found[1]["reduction"] > 0.8
    assert found[2]["reduction"] > 0.6
    assert all(row["fallbacks"] == 0.0 for row in found)


def test_an_unobserved_flux_takes_up_what_the_remap_cannot(wetness, tmp_path):
    """Measured arrivals are a quarter too high; without such a flux, sums forbid to learn it."""
    make, rain, truth, states = wetness
    closed, open_ = make(states=STATES), make(states=STATES, unobserved=0.5)
    for remap in (closed, open_):
        fit_remap(remap, rain, 1.25 * truth, states=states, **QUICK)
    errors = [
        assess_remap(remap, Samples(remap, rain, 1.25 * truth, states))["learned"]
        for remap in (closed, open_)
    ]
    assert errors[1] < 0.5 * errors[0]
    open_.moment.states = states
    open_.amounts(rain)
    assert open_.moment.unobserved.sum() == pytest.approx(0.25 * rain.sum(), rel=0.3)
    again = make(states=None, weights=open_.save(tmp_path / "open.safetensors"))
    assert again.correction.unobserved == 0.5


def test_a_training_that_stops_goes_on_to_the_same_weights(wetness, tmp_path, monkeypatch):
    make, rain, truth, states = wetness
    options = {"states": states, "iterations": 8, "window": 2, "progress": False}
    whole = make(states=STATES, memory=2)
    whole.fit(rain, truth, directory=tmp_path / "whole", **options)
    part = make(states=STATES, memory=2)
    step = fitting._Course._step

    def pressed(course):
        if len(course.losses) == 2:
            signal.raise_signal(signal.SIGINT)  # in the middle of the third step
        step(course)

    with monkeypatch.context() as patched:
        patched.setattr(fitting._Course, "_step", pressed)
        assert len(part.fit(rain, truth, directory=tmp_path / "part", **options)) == 3
    assert is_unfinished(tmp_path / "part")
    assert not (tmp_path / "part/remap.safetensors").exists()
    with pytest.raises(SettingsError, match="a run in this directory already"):
        part.fit(rain, truth, directory=tmp_path / "part", **options)
    with pytest.raises(SettingsError, match="another samples"):
        part.fit(2 * rain, truth, directory=tmp_path / "part", resume=True, **options)
    again = make(states=STATES, memory=2)
    again.fit(rain, truth, directory=tmp_path / "part", resume=True, **options)
    for one, other in zip(whole.imprint(), again.imprint(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "part/remap.safetensors").is_file()


def test_what_cannot_be_learned_from_is_refused(wetness):
    make, rain, truth, states = wetness
    remap = make(states=STATES)
    with pytest.raises(DataError, match="The states soil_water of the source have the shape"):
        fit_remap(remap, rain, truth)
    with pytest.raises(DataError, match="not finite"):
        fit_remap(remap, rain, truth, states={"source": states["source"] * np.nan})
    with pytest.raises(SettingsError, match="longer than the 60"):
        fit_remap(remap, rain, truth, states=states, window=61)
    with pytest.raises(SettingsError, match="noise=0"):
        fit_remap(make(), rain, truth, noise=0.0)
    with pytest.raises(SettingsError, match="less than window"):
        fit_remap(remap, rain, truth, states=states, window=2, warmup=2)
    with pytest.raises(DataError, match="reads soil_water of the source"):
        remap.amounts(rain[0])


def test_times_in_which_nothing_arrives_do_not_count(wetness):
    make, rain, truth, _ = wetness
    remap = make()
    dry = rain * (np.arange(60) % 2)[:, None]
    losses = remap.fit(dry, truth * (np.arange(60) % 2)[:, None], iterations=3, progress=False)
    assert np.isfinite(losses).all()
