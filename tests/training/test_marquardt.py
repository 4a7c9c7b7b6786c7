"""Levenberg-Marquardt: narrow valleys, entries that fail, interruption, what is refused."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import hybridwater as hw
from hybridwater.errors import SettingsError
from hybridwater.training import Stage
from hybridwater.training.marquardt import LevenbergMarquardt

TRAIN = ("2000-01", "2000-12")
LM = [Stage("joint", 60, optimiser="lm")]


@pytest.fixture(scope="module")
def valley() -> hw.UDE:
    """A store whose outflow grows exponentially: position and rate say nearly the same."""

    @hw.model
    def valley(m: hw.Declaration) -> None:
        P, pet = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
        c = m.parameter("c", "mm", bounds=(50, 3000), default=300, log=True)
        t = m.parameter("t", "mm", bounds=(10, 5000), default=350, log=True)
        w = m.parameter("w", "mm", bounds=(2, 800), default=60, log=True)
        s0 = m.parameter("s0", "mm", bounds=(0, 3000), default=300)
        top = m.constant("top", 2.0, "mm d-1")
        S = m.state("soil", "mm", initial=s0)
        et = m.flux("et", pet * S / c, "mm d-1")
        q = m.flux("q", top * hw.ude.exp((S - t) / w), "mm d-1")
        m.derivative(S, P - et - q)

    return valley


@pytest.fixture(scope="module")
def seen(valley, make_weather, observe):
    """Two basins: stores that stand 700 and 900 mm higher than the defaults."""
    truth = {"c": [900.0, 1100.0], "t": [1000.0, 1200.0], "w": [40.0, 30.0], "s0": [990.0, 1190.0]}
    return observe(valley, make_weather(2), **truth)


def test_position_and_rate_of_an_exponential(fit, valley, seen):
    surrogate = fit(valley, seen, train=TRAIN, loss="log_nse", schedule=LM)
    np.testing.assert_allclose(surrogate.parameters["w"], [40, 30], rtol=1e-3)
    np.testing.assert_allclose(surrogate.parameters["t"], [1000, 1200], rtol=1e-3)
    assert surrogate.metrics["epoch"].iloc[-1] < 60  # it ends by itself


def test_entries_do_not_depend_on_one_another(fit, valley, seen):
    both = fit(valley, seen, train=TRAIN, schedule=LM)
    one = fit(valley, seen.isel(basin=[1]), train=TRAIN, schedule=LM)
    for name, values in one.parameters.items():
        np.testing.assert_array_equal(values[0], both.parameters[name][1])


def test_small_networks_and_their_skeleton(fit, hybrid, pair):
    schedule = [
        Stage("skeleton", 20, optimiser="lm"),
        Stage("pretrain", 30, network_rate=0.02),
        Stage("joint", 10, optimiser="lm"),
    ]
    metrics = fit(hybrid, pair, train=TRAIN, schedule=schedule, assess_every=1).metrics
    by_stage = metrics.groupby("stage")["train_nse"]
    assert by_stage.last()["skeleton"] > 0.999  # the truth is the skeleton
    assert by_stage.last()["joint"] > by_stage.first()["joint"]
    assert by_stage.last()["joint"] > 0.999


def test_unsolvable_entry_is_left_where_it_is(fit, fragile, make_weather):
    data = make_weather(2)
    q = hw.simulate(fragile, data, {"k": [0.02, 0.2]})["q"]
    data = data.assign(qobs=q.assign_attrs(units="mm d-1"))
    data["prcp"][0, 100] = 1000.0
    k = fit(fragile, data, train=TRAIN, schedule=LM).parameters["k"]
    np.testing.assert_allclose(k, [0.05, 0.2], rtol=1e-3)


def test_stopped_fit_resumes_to_the_same_bytes(fit, valley, seen, monkeypatch, tmp_path):
    keywords = {"train": TRAIN, "schedule": [Stage("joint", 9, optimiser="lm")], "assess_every": 2}
    whole = fit(valley, seen, directory=tmp_path / "whole", **keywords)
    step = "hybridwater.training.marquardt.LevenbergMarquardt.step"
    original, calls = hw.training.marquardt.LevenbergMarquardt.step, 0

    def stopped(self):
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(step, stopped)
    fit(valley, seen, directory=tmp_path / "again", **keywords)
    again = fit(valley, seen, directory=tmp_path / "again", resume=True, **keywords)
    files = [tmp_path / d / "surrogate.safetensors" for d in ("whole", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert again.metrics["loss"].tolist() == whole.metrics["loss"].tolist()


def test_nothing_to_fit_is_no_error(fit, make_weather, observe):
    """The skeleton of a model may have no parameter."""

    @hw.model
    def fixed(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        k = m.constant("k", 0.05, "d-1")
        S = m.state("storage", "mm", initial=50)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - q)

    model = fixed.learn("q", {"storage": (0, 200)}, hidden=(2,))
    schedule = [Stage("skeleton", 5, optimiser="lm"), Stage("joint", 3, optimiser="lm")]
    metrics = fit(model, observe(fixed, make_weather(1)), train=TRAIN, schedule=schedule).metrics
    done = metrics.groupby("stage")["epoch"].max()
    assert done["skeleton"] == 1
    assert done["joint"] == 3


def minimiser(*residuals) -> LevenbergMarquardt:
    """Fit two numbers per entry, with the residuals of each entry as functions of them."""
    names = ("a", "b")
    ude: Any = SimpleNamespace(used_parameters=names, networks=())

    def run(_, entries, values):
        found = [residuals[k](v) for k, v in zip(entries.tolist(), values[0], strict=True)]
        return torch.stack(found).double()

    module = SimpleNamespace(
        bounded=SimpleNamespace(names=names, constrain=lambda free: free),
        free=torch.ones(len(residuals), 2, dtype=torch.float64),
        weights=torch.zeros(0),
    )
    objective: Any = SimpleNamespace(module=module, n_entries=len(residuals), residuals=run)
    return LevenbergMarquardt(objective, ude)


@pytest.mark.parametrize("beyond", [torch.inf, 1e200, torch.nan])
def test_a_number_whose_neighbour_overflows_is_left_alone(beyond):
    def cliff(v):
        return torch.stack([v[0] - 3, torch.full_like(v[1], beyond if v[1] > 1 else 0.0)])

    method = minimiser(cliff)
    for _ in range(20):
        method.step()
    np.testing.assert_allclose(method.module.free[0], [3, 1], rtol=1e-6)


def test_a_short_step_under_heavy_damping_is_no_arrival():
    """What cannot be explained makes the gains of short steps look small."""

    def curved(v):
        return torch.stack([30 * (v[1] - v[0] ** 2), 3 - v[0], torch.tensor(10.0)])

    method = minimiser(curved)
    method.damping[0] = 1e7
    while not method.arrived.all():
        method.step()
    np.testing.assert_allclose(method.module.free[0], [3, 9], rtol=0.01)


def test_the_loss_is_that_of_all_entries():
    """An entry that has arrived goes on to count."""

    def bottom(v):
        return torch.stack([v[0] - 1, v[1] - 1, torch.tensor(5.0)])

    def far(v):
        return torch.stack([torch.exp(v[0]) - 9, v[1] - 1, torch.tensor(0.0)])

    method = minimiser(bottom, far)
    losses = [method.step() for _ in range(12)]
    assert method.arrived.all()
    assert losses[-1] == pytest.approx(12.5, abs=1e-6)
    assert (np.diff(losses) <= 0).all()
    resumed = minimiser(bottom, far)
    resumed.load_state_dict(method.state_dict())
    assert resumed.step() == losses[-1]


def test_what_it_cannot_do_is_refused(fit, hybrid, pair):
    with pytest.raises(SettingsError, match="each basin by itself"):
        fit(hybrid, pair, train=TRAIN, schedule=LM, share="networks")
    with pytest.raises(SettingsError, match="each basin by itself"):
        fit(hybrid, pair, train=TRAIN, schedule=LM, attributes=["slope"])
    with pytest.raises(SettingsError, match="'kge' is no sum of squares"):
        fit(hybrid, pair, train=TRAIN, schedule=LM, loss="kge")
