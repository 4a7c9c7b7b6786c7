import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given as random_cases
from hypothesis import settings
from hypothesis import strategies as st
from runoff_case import GIVEN, SIGNALS, STATIC, coupler, place, water

from hybridwater.errors import DataError, MeshError, SettingsError, WeightsError
from hybridwater.mgn import RunoffCoupler, make_graph, save_network


def scrambled(seed, size=3.0, **choices):
    """Return an exchange with random weights."""
    made = coupler(seed, **choices).eval()
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(size * torch.randn_like(weights))
    return made


@random_cases(st.integers(0, 10_000), st.floats(0.0, 30.0), st.sampled_from([None, 0.5]))
@settings(max_examples=15, deadline=None)
def test_all_water_is_accounted_for_at_any_weights(seed, size, unobserved):
    made = scrambled(seed, size, unobserved=unobserved)
    given, signals = water(seed=seed)
    with torch.no_grad():
        done, state = made(given, signals)
    came = given.sum(-1) + done.unobserved
    gone = done.leaving.sum(0) + state.stores.sum(-1)
    torch.testing.assert_close(came.sum(0), gone, rtol=1e-12, atol=1e-12)
    assert bool((done.leaving >= -1e-12).all())
    assert bool((done.stores >= 0.0).all())
    if unobserved is None:
        assert float(done.unobserved.abs().max()) == 0.0


def test_reaches_get_what_leaves_the_cells_that_drain_to_them():
    made, area = coupler(), np.linspace(1e6, 2e6, 12)
    leaving = torch.rand(2, 12, dtype=torch.float64)
    flow = made.arriving(leaving).numpy()
    amount = leaving.numpy() * area / 86400e3
    np.testing.assert_allclose(flow[:, 0], amount[:, :3].sum(1))
    assert flow.sum() == pytest.approx(amount[:, :11].sum())


def test_days_one_by_one_are_the_days_at_once():
    made = scrambled(1, 0.5)
    given, signals = water()
    with torch.no_grad():
        whole, end = made(given, signals)
        state, leaving = None, []
        for day in range(len(given)):
            done, state = made(given[day : day + 1], signals[day : day + 1], state)
            leaving.append(done.leaving[0])
    torch.testing.assert_close(torch.stack(leaving), whole.leaving, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state.memory, end.memory, rtol=1e-12, atol=1e-12)


def test_memory_is_the_running_mean():
    made = coupler(memory=(4.0,))
    signals = torch.zeros(30, 12, 2, dtype=torch.float64)
    signals[10:] = np.e - 1.0  # the logarithm of which is one
    features, memory = made.remember(signals)
    expected = 1.0 - 0.75 ** np.arange(1, 21)
    np.testing.assert_allclose(features[10:, 0, 2].numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(memory[3, 1].numpy(), expected[-1:], rtol=1e-12)


def test_what_is_saved_is_what_is_read(tmp_path):
    made = scrambled(2, 0.3)
    path = made.save(tmp_path / "c.safetensors", {"trained_on": "nothing"})
    graph, shares, _ = place()
    again = RunoffCoupler.load(path, graph, shares, static=STATIC)
    given, signals = water()
    with torch.no_grad():
        one, other = made(given, signals)[0], again(given, signals)[0]
    torch.testing.assert_close(one.leaving, other.leaving, rtol=1e-5, atol=1e-6)
    with pytest.raises(WeightsError, match="static features of the training"):
        RunoffCoupler.load(path, graph, shares)


def test_offsets_stay_at_their_place(tmp_path):
    graph, shares, _ = place()
    made = scrambled(3)
    path = made.save(tmp_path / "c.safetensors")
    elsewhere = graph.clone()
    elsewhere["land"].points = graph["land"].points.roll(1, dims=1)  # as large, and not there
    for ground, same in ((graph, True), (elsewhere, False)):
        read = RunoffCoupler.load(path, ground, shares, static=STATIC)
        expected = made.offsets if same else made.offsets.mean(dim=0).expand_as(made.offsets)
        torch.testing.assert_close(read.offsets, expected)
    # the first weights knew areas alone
    areas = hashlib.sha256(graph["land"].measure.numpy().tobytes()).hexdigest()[:16]
    old = {**made.about(), "place": areas}
    save_network(made.network, path, old, {"offsets": made.offsets})
    read = RunoffCoupler.load(path, graph, shares, static=STATIC)
    torch.testing.assert_close(read.offsets, made.offsets)


def test_weights_of_something_else_are_refused(tmp_path):
    path = save_network(coupler().network, tmp_path / "n.safetensors", {"kind": "remap"})
    with pytest.raises(WeightsError, match="those of a 'remap'"):
        RunoffCoupler.load(path, *place()[:2], static=STATIC)


def test_bad_water_is_refused():
    made = coupler()
    given, signals = water(5)
    with pytest.raises(DataError, match="signal is negative"):
        made(given, -signals)
    with pytest.raises(DataError, match="negative or not finite"):
        made(given * torch.nan, signals)
    with pytest.raises(DataError, match="made of 2 fluxes"):
        made(given[..., :1], signals)


def test_choices_that_are_not_possible_are_refused():
    graph, shares, _ = place()
    good = {"given": GIVEN, "signals": SIGNALS}
    for bad in ({"unobserved": -1.0}, {"memory": (0.5,)}, {"signals": {}}):
        with pytest.raises(SettingsError):
            RunoffCoupler.of(graph, shares, **{**good, **bad})
    with pytest.raises(DataError, match="one finite number"):
        RunoffCoupler.of(graph, shares, **good, static={"land": {"slope": np.zeros(3)}})
    for factor in (2.0, -1.0, np.nan):
        with pytest.raises(DataError, match="more than there is"):
            RunoffCoupler.of(graph, factor * shares, **good)
    from hybridwater.meshes import RiverNetwork

    with pytest.raises(MeshError, match="not land and river"):
        RunoffCoupler.of(make_graph({"a": RiverNetwork([1, -1], [1.0, 1.0])}), shares, **good)


def test_cells_out_of_range_give_what_land_gives_and_leave_others_alone():
    made = coupler(1).eval()
    given, signals = water(20)
    made.acquaint(given, made.remember(signals)[0])
    with torch.no_grad():
        for weights in (*made.network.parameters(), made.offsets):
            weights.add_(0.3 * torch.randn_like(weights))
        plain, _ = made(given, signals)
        assert plain.known.all()
        flood, wild = given.clone(), signals.clone()
        flood[8:10, 3, 0], wild[8:10, 3, 0] = 1e9, 1e9
        done, state = made(flood, wild)
        spoilt = made.exchange(flood, made.remember(wild)[0])
    out = ~done.known
    assert out[8:10, 3].all()
    assert out[:8].sum() == out[:, :3].sum() == out[:, 4:].sum() == 0
    assert (done.unobserved[out] == 0.0).all()
    assert (done.said[out] == 0.0).all()
    # what is given goes on, and stores only let go
    assert (done.leaving[8:10, 3] >= flood[8:10, 3].sum(-1)).all()
    assert (done.stores[9, 3] < done.stores[7, 3]).all()
    came = (flood.sum(-1) + done.unobserved).sum(0)
    torch.testing.assert_close(came, done.leaving.sum(0) + state.stores.sum(-1), rtol=1e-12, atol=0)
    # its neighbours hear of it what is usual
    torch.testing.assert_close(done.leaving[:8], plain.leaving[:8])
    gap = (done.said - plain.said)[8:10, 4].abs().max()
    assert gap < 0.5 * (spoilt.said - plain.said)[8:10, 4].abs().max()
