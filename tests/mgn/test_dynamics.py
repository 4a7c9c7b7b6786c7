import pytest
import torch

from hybridwater.errors import DataError, WeightsError
from hybridwater.mgn import (
    Architecture,
    Episode,
    FluxDynamics,
    IncrementDynamics,
    Lesson,
    MeshGraphNetwork,
    load_dynamics,
    make_graph,
    save_network,
    train_dynamics,
)


@pytest.mark.parametrize("form", ["difference", "free"])
def test_what_flows_is_conserved_and_stays_within_bounds(heat, form):
    torch.manual_seed(0)
    episode = heat(8, 100.0)
    dynamics = FluxDynamics.of([episode], form=form, most=2.0, width=8)
    with torch.no_grad():
        for weights in dynamics.parameters():
            weights.mul_(3.0)
    said = dynamics.rollout(episode)[:, :, 0]
    assert said.shape == (6, 8)
    assert not torch.allclose(said[-1], said[0])
    torch.testing.assert_close(said.sum(dim=1), said[0].sum().expand(6), rtol=1e-13, atol=0.0)
    assert said.min() >= 0.0
    assert said.max() <= 2.0 + 1e-15


def test_the_typical_flux_is_the_conductance(heat):
    # one pair of cells of width over distance one: flux = step * difference per step
    episode = heat(8, 100.0, step=0.01)
    dynamics = FluxDynamics.of([episode], width=4)
    assert dynamics.typical == pytest.approx(0.01 * 100.0**2, rel=0.02)
    assert dynamics.number == pytest.approx(0.02, rel=0.02)


def test_what_comes_from_elsewhere_is_added_and_taken_as_far_as_there_is(heat):
    torch.manual_seed(0)
    plain = heat(8, 100.0)
    recharge = torch.full((5, 8, 1), 0.1, dtype=torch.float64)
    recharge[:, 0], recharge[:, 7] = 0.5, -3.0  # a spring, and a well that takes more than there is

    def episode(rain):
        return Episode(plain.graph, plain.states, forcing=rain, names=("depth", "recharge"))

    dynamics = FluxDynamics.of([episode(recharge)], source="recharge", width=8)
    gentle = recharge.clamp(min=0.0)
    said = dynamics.rollout(episode(gentle))[:, :, 0]
    added = gentle[..., 0].sum(dim=1).cumsum(dim=0)
    torch.testing.assert_close(said[1:].sum(dim=1), said[0].sum() + added, rtol=1e-13, atol=0.0)
    said = dynamics.rollout(episode(recharge))[:, :, 0]
    assert said.min() >= 0.0
    # more than is there is not taken
    assert said[-1].sum() > said[0].sum() + recharge.sum()
    # the coefficient is fitted to what flows, not to what was added everywhere
    even = torch.full((5, 8, 1), 0.2, dtype=torch.float64)
    risen = plain.states.clone()
    risen[1:] += even.cumsum(dim=0)
    wet = Episode(plain.graph, risen, forcing=even, names=("depth", "recharge"))
    fitted = FluxDynamics.of([wet], source="recharge", width=8)
    assert fitted.typical == pytest.approx(FluxDynamics.of([plain], width=8).typical)
    with pytest.raises(DataError, match="did you mean 'recharge'"):
        FluxDynamics.of([episode(recharge)], source="recharg")


def test_water_is_not_made_or_lost_where_states_leave_their_bounds(heat):
    plain = heat(8, 100.0)
    heads = Episode(plain.graph, plain.states - 4.0, names=["depth"])  # -4 to -2 m
    with pytest.raises(
        DataError, match=r"'depth' is -2\.02 and leaves its bounds, 0 to inf .*cell 0"
    ):
        FluxDynamics.of([heads], width=4)
    free = FluxDynamics.of([heads], least=None, width=4)
    said = free.rollout(heads)[:, :, 0]
    torch.testing.assert_close(said.sum(dim=1), said[0].sum().expand(6), rtol=1e-13, atol=0.0)
    bounded = FluxDynamics.of([plain], width=4)
    with pytest.raises(DataError, match="leaves its bounds"):
        bounded.rollout(heads)
    with pytest.raises(DataError, match="leaves its bounds"):
        train_dynamics(bounded, [heads], [Lesson(1)], progress=False)
    # rounding is no matter
    states = plain.states.clone()
    states[0, 7] = -1e-14
    assert bounded.rollout(Episode(plain.graph, states, names=["depth"]))[1:].min() >= 0.0


def test_noise_of_a_training_leaves_other_states_alone(heat):
    episode = heat(8, 100.0)
    both = Episode(episode.graph, torch.cat([episode.states, episode.states - 4.0], dim=-1))
    dynamics = FluxDynamics.of([both], width=4)
    kept = dynamics.bounded(torch.full((8, 2), -1.0))
    assert kept.T.tolist() == [[0.0] * 8, [-1.0] * 8]


def test_what_does_not_flow_is_refused(heat):
    episode = heat(8, 100.0)
    uphill = Episode(episode.graph, episode.states.flip(0), names=["depth"])
    with pytest.raises(DataError, match="'depth' does not flow from high to low"):
        FluxDynamics.of([uphill], width=4)
    FluxDynamics.of([uphill], form="free", width=4)
    still = Episode(episode.graph, episode.states[:1].expand(6, 8, 1), names=["depth"])
    with pytest.raises(DataError, match="'depth' does not change"):
        FluxDynamics.of([still], form="free", width=4)


@pytest.mark.parametrize("kind", [FluxDynamics, IncrementDynamics])
def test_episodes_of_something_else_are_refused(tmp_path, heat, kind):
    one = heat(8, 100.0)
    states = torch.cat([one.states, 0.5 * one.states], dim=-1)

    def episode(**other):
        known = {"names": ("depth", "speed"), "units": ("m", "m s-1"), "step": 3600.0}
        return Episode(one.graph, states, **(known | other))

    dynamics = kind.of([episode()], width=4)
    dynamics = load_dynamics(dynamics.save(tmp_path / "dynamics.safetensors"))
    assert (dynamics.units, dynamics.step) == (("m", "m s-1"), 3600.0)
    dynamics.rollout(episode(units=("metre", ""), step=None))
    for other, message in (
        (episode(names=("speed", "depth")), "has speed, depth, not depth, speed of 'land'"),
        (episode(units=("mm", "m s-1")), "'depth' is in 'mm', in the training it was in 'm'"),
        (episode(step=60.0), "are 60 s long, those of the training 3600 s"),
    ):
        with pytest.raises(DataError, match=message):
            dynamics.rollout(other)
        with pytest.raises(DataError, match=message):
            train_dynamics(dynamics, [other], [Lesson(1)], progress=False)
        with pytest.raises(DataError, match=message):
            kind.of([episode(), other], width=4)


def test_weights_without_units_are_read(tmp_path, heat):
    dynamics = IncrementDynamics.of([heat(8, 100.0)], width=4)
    old = {"kind": "increment", "spread": [1.0], "inertia": False}
    path = save_network(dynamics.network, tmp_path / "old.safetensors", old)
    assert (load_dynamics(path).units, load_dynamics(path).step) == ((), None)


def test_a_rollout_has_a_step(heat):
    episode = heat(8, 100.0)
    dynamics = IncrementDynamics.of([episode], width=4)
    assert len(dynamics.rollout(episode, span=5)) == 2
    for given in ({"span": 6}, {"span": 0}, {"start": 5}, {"start": -1}):
        with pytest.raises(DataError, match="There is no step of span"):
            dynamics.rollout(episode, **given)


def test_a_finer_mesh_takes_shorter_steps(heat):
    dynamics = FluxDynamics.of([heat(8, 100.0)], width=4)
    fine, coarse = heat(16, 50.0), heat(4, 200.0)
    assert [dynamics.steps(e.graph) for e in (fine, coarse)] == [4, 1]


def test_increments_start_from_standing_still_or_from_the_last_change(heat):
    episode = heat(8, 100.0)
    still = IncrementDynamics.of([episode], width=8)
    change = episode.states.diff(dim=0, prepend=episode.states[:1])
    moving = Episode(episode.graph, torch.cat([episode.states, change], dim=-1))
    inert = IncrementDynamics.of([moving], inertia=True, width=8)
    for dynamics in (still, inert):
        with torch.no_grad():
            for weights in dynamics.network.decoders.parameters():
                weights.zero_()
    torch.testing.assert_close(still.rollout(episode)[-1], episode.states[0])
    said = inert.rollout(moving, start=2)
    torch.testing.assert_close(said[3, :, 0], moving.states[2, :, 0] + 3 * moving.states[2, :, 1])


def test_dynamics_go_through_files(tmp_path, heat):
    episode = heat(8, 100.0)
    for dynamics in (
        FluxDynamics.of([episode], form="free", most=5.0, width=8),
        IncrementDynamics.of([episode], width=8),
    ):
        said = dynamics.rollout(episode)
        again = load_dynamics(dynamics.save(tmp_path / "dynamics.safetensors"))
        assert type(again) is type(dynamics)
        assert again.about() == dynamics.about()
        torch.testing.assert_close(again.rollout(episode), said)


def test_a_network_alone_is_no_dynamics(tmp_path, squares):
    graph = make_graph({"land": squares(3, 3)})
    network = MeshGraphNetwork(Architecture.of(graph, {"land": ["x"]}, width=4))
    path = save_network(network, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="a network but no dynamics"):
        load_dynamics(path)
