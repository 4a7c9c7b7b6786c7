import numpy as np
import pytest
import torch

import hybridwater as hw
from hybridwater.engines import Options, get_engine
from hybridwater.training.losses import make_loss, make_residuals
from hybridwater.training.objective import Objective
from hybridwater.training.pretraining import Pretraining
from hybridwater.training.problem import Problem, make_problem
from hybridwater.training.sharing import Local, Regional

BOTH = torch.arange(2)


@pytest.fixture(scope="module")
def problem(hybrid, pair) -> Problem:
    periods = {"train": ("2000-03", "2000-10"), "validation": ("2000-11", "2001-01")}
    return make_problem(hybrid, pair, {"q": "qobs"}, warmup=30, attributes=["slope"], **periods)


def objective(problem: Problem, module, **options) -> Objective:
    solver = Options(substeps=1, **options)
    return Objective(problem, module, get_engine(), solver, make_loss("nse"), BOTH)


@pytest.fixture
def local(hybrid, problem) -> Objective:
    return objective(problem, Local(hybrid, [0, 0], np.zeros(2)))


def test_assessment_agrees_with_simulate_and_scores(local, hybrid, pair, problem):
    losses, skills, _ = local.assess(hybrid)
    assert set(losses) == {"train", "validation"}
    data = pair.isel(time=slice(30, None))
    weights = local.module.weights.detach().numpy()
    q = hw.simulate(hybrid, data, weights=weights, substeps=1)["q"]
    for name, part in problem.scored.items():
        times = problem.records.time[part]
        expected = hw.scores.nse(q.sel(time=times), pair["qobs"].sel(time=times))
        np.testing.assert_allclose(skills[name], expected, rtol=1e-9)


def test_states_are_those_at_the_start_of_each_record(local, hybrid, problem):
    ends = objective(problem, local.module)
    starts = objective(problem, local.module, output="instantaneous")
    with torch.no_grad():
        _, from_ends = ends.simulate(hybrid, BOTH, problem.run)
        _, from_starts = starts.simulate(hybrid, BOTH, problem.run)
    torch.testing.assert_close(from_ends, from_starts)
    torch.testing.assert_close(from_ends[:, 0, 0], torch.full((2,), 40.0, dtype=torch.float64))


def test_window_goes_on_where_the_whole_simulation_was(local, hybrid, problem):
    with torch.no_grad():
        fluxes, states = local.simulate(hybrid, BOTH, problem.run)
        begin = problem.run.start
        part = slice(begin + 50, begin + 90)
        window, _ = local.simulate(hybrid, BOTH, part, states[:, 50])
    torch.testing.assert_close(window, fluxes[:, 50:90])


def test_loss_of_several_fluxes_is_their_mean(hybrid, pair):
    et = hw.simulate(hybrid, pair)["et"]
    problem = make_problem(
        hybrid,
        pair.assign(etobs=et),
        {"q": "qobs", "et": "etobs"},
        train=("2000-03", "2000-10"),
        warmup=30,
    )
    both = objective(problem, Local(hybrid, [5, 5], np.zeros(2)))
    both.squared = make_residuals("nse")
    losses, _, _ = both.assess(hybrid)
    residuals = both.residuals(hybrid, BOTH, both.values(BOTH))
    np.testing.assert_allclose((residuals**2).sum(1).detach(), losses["train"])
    with torch.no_grad():
        fluxes, _ = both.simulate(hybrid, BOTH, problem.run)
    part = problem.scored["train"]
    each = [
        both.loss(
            fluxes[:, part.start - problem.run.start :, k],
            problem.observed[name][:, part],
            problem.references[name],
        )
        for k, name in enumerate(("q", "et"))
    ]
    np.testing.assert_allclose(losses["train"], (each[0] + each[1]) / 2)


@pytest.mark.parametrize("output", ["mean", "instantaneous"])
def test_pretraining_targets_are_the_conceptual_fluxes(local, hybrid, problem, output):
    pretraining = Pretraining(objective(problem, local.module, output=output), hybrid)
    pet, soil = pretraining.forcing[..., 1], pretraining.states[..., 0]
    torch.testing.assert_close(pretraining.targets[..., 0], pet * soil / (soil + 60.0))


def test_pretraining_leaves_parameters_alone(local, hybrid):
    loss = Pretraining(local, hybrid).loss()
    assert loss.shape == (2,)
    loss.sum().backward()
    assert local.module.free.grad is None
    assert local.module.weights.grad.any(dim=1).all()


def test_dropout_does_not_disturb_pretraining(hybrid, problem):
    attributes = torch.zeros(problem.n_basins, 1, dtype=torch.float64)
    module = Regional(hybrid, attributes, (4,), dropout=0.5)
    regional = objective(problem, module)
    module.eval()
    pretraining = Pretraining(regional, hybrid)
    module.train()
    assert torch.equal(pretraining.loss(), pretraining.loss())
