import numpy as np
import pytest
import shared_training
import torch

from hybridwater.errors import SettingsError, WeightsError
from hybridwater.mgn import (
    Episode,
    FluxDynamics,
    IncrementDynamics,
    Lesson,
    fit_remap,
    load_dynamics,
    train_dynamics,
)
from hybridwater.mgn import training as module

LESSONS = [
    Lesson(6, noise=0.1, batch=2, spans=(1, 2)),
    Lesson(4, rollout=2, push=1, batch=2),
]


def make(heat, seed=0):
    torch.manual_seed(seed)
    return FluxDynamics.of([heat(8, 100.0)], width=8, depth=1)


def test_learns_and_carries_over_to_another_mesh(heat):
    torch.manual_seed(0)
    episode = heat(8, 100.0, times=10, step=0.3)
    dynamics = FluxDynamics.of([episode], width=16, depth=1)
    before = (dynamics.rollout(episode) - episode.states).square().mean()
    table = train_dynamics(dynamics, [episode], [Lesson(150, rate=3e-3)], progress=False)
    after = (dynamics.rollout(episode) - episode.states).square().mean()
    assert table.loss[:10].mean() > 20 * table.loss[-10:].mean()
    assert after < 0.05 * before
    fine = heat(16, 50.0, times=10, step=0.3)
    error = (dynamics.rollout(fine) - fine.states).square().mean().sqrt()
    change = (fine.states[-1] - fine.states[0]).square().mean().sqrt()
    assert error < 0.1 * change


def test_the_same_seed_gives_the_same_weights(heat):
    found = []
    for _ in range(2):
        dynamics = make(heat)
        train_dynamics(dynamics, [heat(8, 100.0)], LESSONS, seed=3, progress=False)
        found.append(dynamics.state_dict())
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])


@pytest.mark.parametrize("stop", [3, 8])
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path, heat, monkeypatch, stop):
    episode = heat(8, 100.0)
    whole = make(heat)
    train_dynamics(whole, [episode], LESSONS, directory=tmp_path / "whole", progress=False)
    broken, count, step = make(heat), 0, module._Course._step

    def interrupted(self):
        nonlocal count
        count += 1
        if count == stop:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(module._Course, "_step", interrupted)
    folder = tmp_path / "broken"
    table = train_dynamics(broken, [episode], LESSONS, directory=folder, progress=False)
    assert len(table) == stop - 1
    assert not (folder / "dynamics.safetensors").exists()
    monkeypatch.setattr(module._Course, "_step", step)
    again = make(heat)
    table = train_dynamics(again, [episode], LESSONS, directory=folder, resume=True, progress=False)
    assert len(table) == 10
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    saved = load_dynamics(folder / "dynamics.safetensors")
    torch.testing.assert_close(saved.rollout(episode), whole.rollout(episode))


def test_run_directories_are_not_mixed(tmp_path, heat):
    episode = heat(8, 100.0)
    train_dynamics(make(heat), [episode], LESSONS, directory=tmp_path, progress=False)
    assert {p.name for p in tmp_path.iterdir()} == {
        "configuration.json",
        "environment.json",
        "checkpoint.pt",
        "dynamics.safetensors",
        "losses.csv",
    }
    with pytest.raises(SettingsError, match="There is a run in this directory already"):
        train_dynamics(make(heat), [episode], LESSONS, directory=tmp_path, progress=False)
    with pytest.raises(SettingsError, match="made with another lessons"):
        train_dynamics(
            make(heat), [episode], LESSONS[:1], directory=tmp_path, resume=True, progress=False
        )
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="checkpoint cannot be read"):
        train_dynamics(
            make(heat), [episode], LESSONS, directory=tmp_path, resume=True, progress=False
        )


def test_lessons_that_cannot_be_are_refused(heat):
    for given, message in (
        ({"iterations": 0}, "iterations=0"),
        ({"push": -1}, "push or noise is negative"),
        ({"spans": ()}, "spans="),
    ):
        with pytest.raises(SettingsError, match=message):
            Lesson(**{"iterations": 1, **given})
    with pytest.raises(SettingsError, match=r"needs 9 times; no episode has as many.*lesson 0"):
        train_dynamics(make(heat), [heat(8, 100.0)], [Lesson(1, rollout=8)], progress=False)


def test_increments_with_inertia_learn_several_states(heat):
    torch.manual_seed(0)
    one = heat(8, 100.0, times=10)
    x = torch.cat([one.states, one.states.square()], dim=-1)
    change = x.diff(dim=0, prepend=x[:1])
    episode = Episode(one.graph, torch.cat([x, change], dim=-1)[1:])
    dynamics = IncrementDynamics.of([episode], inertia=True, width=16, depth=1)
    table = train_dynamics(dynamics, [episode], [Lesson(60, noise=0.01, rate=3e-3)], progress=False)
    assert table.loss[-10:].mean() < 0.3 * table.loss[:10].mean()


def test_noise_stays_within_bounds(heat):
    episode = heat(8, 100.0)
    dynamics = make(heat)
    table = train_dynamics(dynamics, [episode], [Lesson(3, noise=1e3)], progress=False)
    assert np.isfinite(table.loss).all()


def test_a_training_that_diverges_ends_with_the_weights_before(tmp_path):
    """Fluxes may have any size; factors of shares are bounded."""
    remap, rain, truth = shared_training.make(moves="fluxes")
    choices = {"iterations": 20, "rate": 1e20, "progress": False, "directory": tmp_path}
    with pytest.raises(WeightsError, match=r"The training diverged: the loss is .*learned remap"):
        fit_remap(remap, rain, truth, **choices)
    assert all(bool(torch.isfinite(p).all()) for p in remap.correction.parameters())
    assert not (tmp_path / "remap.safetensors").exists()


@pytest.mark.parametrize("moves", ["fluxes", "shares"])
def test_a_network_that_says_no_numbers_is_not_trained(moves):
    remap, rain, truth = shared_training.make(moves=moves)
    with torch.no_grad():
        next(remap.correction.parameters()).mul_(torch.nan)
    with pytest.raises(WeightsError, match=r"The training diverged.*learned remap, iteration 1"):
        fit_remap(remap, rain, truth, iterations=2, progress=False)
