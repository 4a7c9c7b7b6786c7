import numpy as np
import pytest
import spotpy.objectivefunctions as spotpy
import torch
import xarray as xr

from hybridwater import scores
from hybridwater.errors import SettingsError
from hybridwater.training.losses import LOSSES, RESIDUALS, Reference, make_loss, make_residuals


@pytest.fixture(scope="module")
def flows() -> tuple[np.ndarray, np.ndarray]:
    """Simulated and observed flow, shape (2, 200), a few observations missing."""
    rng = np.random.default_rng(3)
    observed = rng.exponential(2.0, (2, 200)) + 0.01
    simulated = observed * rng.uniform(0.6, 1.5, observed.shape) + 0.1
    observed[0, 5:20] = np.nan
    observed[1, [0, 199]] = np.nan
    return simulated, observed


def value(name: str | dict, simulated: np.ndarray, observed: np.ndarray) -> np.ndarray:
    s, o = torch.from_numpy(simulated), torch.from_numpy(observed)
    return make_loss(name)(s, o, Reference.of(o)).numpy()


def pairs(flows: tuple[np.ndarray, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(s[~np.isnan(o)], o[~np.isnan(o)]) for s, o in zip(*flows, strict=True)]


def array(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("basin", "time"), attrs={"units": "mm d-1"}).assign_coords(
        time=np.arange(values.shape[1])
    )


@pytest.mark.parametrize("name", ["kge", "log_nse"])
def test_loss_is_one_minus_score(flows, name):
    expected = 1 - getattr(scores, name)(*map(array, flows))
    np.testing.assert_allclose(value(name, *flows), expected, rtol=1e-6)


def test_kge_and_mse_agree_with_spotpy(flows):
    for k, (s, o) in enumerate(pairs(flows)):
        assert value("kge", *flows)[k] == pytest.approx(1 - spotpy.kge(o, s), rel=1e-6)
        assert value("mse", *flows)[k] == pytest.approx(spotpy.mse(o, s), rel=1e-12)


def test_nse_adds_a_tenth_of_the_mean_to_the_deviation(flows):
    for k, (s, o) in enumerate(pairs(flows)):
        expected = np.mean((s - o) ** 2) / (o.std() + 0.1 * o.mean()) ** 2
        assert value("nse", *flows)[k] == pytest.approx(expected, rel=1e-12)
        exact = (1 - spotpy.nashsutcliffe(o, s)) * (o.std() / (o.std() + 0.1 * o.mean())) ** 2
        assert value("nse", *flows)[k] == pytest.approx(exact, rel=1e-12)


def test_flow_duration_compares_sorted_flows(flows):
    for k, (s, o) in enumerate(pairs(flows)):
        expected = np.mean((np.sort(s) - np.sort(o)) ** 2) / o.var()
        assert value("flow_duration", *flows)[k] == pytest.approx(expected, rel=1e-12)


def test_flow_duration_does_not_see_timing():
    observed = np.random.default_rng(0).exponential(1.0, (1, 50))
    assert value("flow_duration", observed[:, ::-1].copy(), observed)[0] == 0.0


@pytest.mark.parametrize("name", list(LOSSES))
def test_perfect_simulation_costs_nothing(flows, name):
    observed = flows[1]
    simulated = np.where(np.isnan(observed), 7.0, observed)
    np.testing.assert_allclose(value(name, simulated, observed), 0.0, atol=2e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_simulation_where_nothing_was_observed_does_not_count(flows, name):
    simulated, observed = flows
    changed = np.where(np.isnan(observed), 1e3, simulated)
    np.testing.assert_array_equal(value(name, changed, observed), value(name, *flows))


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "mse"])
def test_losses_do_not_depend_on_the_unit(flows, name):
    simulated, observed = flows
    metres_per_second = 1e-3 / 86400
    np.testing.assert_allclose(
        value(name, simulated * metres_per_second, observed * metres_per_second),
        value(name, simulated, observed),
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize(
    ("simulated", "observed"),
    [
        (np.zeros(20), np.linspace(0, 3, 20)),
        (np.full(20, 2.0), np.linspace(0, 3, 20)),
        (np.linspace(0, 3, 20), np.zeros(20)),
        (np.zeros(20), np.zeros(20)),
        (np.linspace(-1, 3, 20), np.full(20, 1.5)),
        (np.linspace(0, 3, 20), np.r_[np.nan, np.linspace(0, 3, 19)]),
    ],
    ids=["no flow", "constant", "never observed flow", "dry", "negative", "gap"],
)
def test_values_and_gradients_are_finite(name, simulated, observed):
    s = torch.tensor(simulated[None], requires_grad=True)
    o = torch.tensor(observed[None])
    loss = LOSSES[name](s, o, Reference.of(o))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(s.grad).all()
    assert loss.item() < 1e4


@pytest.mark.parametrize("name", list(LOSSES))
def test_window_with_hardly_any_flow_does_not_explode(name):
    period = torch.from_numpy(np.random.default_rng(1).exponential(2.0, (1, 500)))
    reference = Reference.of(period)
    window = torch.full((1, 30), 1e-4, dtype=torch.float64)
    simulated = torch.full((1, 30), 0.05, dtype=torch.float64)
    assert LOSSES[name](simulated, window, reference).item() < 100


@pytest.mark.parametrize("name", list(LOSSES))
def test_window_without_observations_has_no_gradient(name):
    reference = Reference.of(torch.linspace(0, 1, 10, dtype=torch.float64)[None])
    simulated = torch.ones((1, 10), dtype=torch.float64, requires_grad=True)
    loss = LOSSES[name](simulated, torch.full((1, 10), torch.nan, dtype=torch.float64), reference)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert not simulated.grad.any()


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_agree_with_finite_differences(flows, name):
    simulated = torch.from_numpy(flows[0][:, :30]).requires_grad_()
    observed = torch.from_numpy(flows[1][:, :30])
    reference = Reference.of(observed)
    assert torch.autograd.gradcheck(lambda s: LOSSES[name](s, observed, reference), simulated)


def test_window_is_judged_against_the_period(flows):
    observed = torch.from_numpy(flows[1])
    reference = Reference.of(observed)
    simulated = torch.from_numpy(flows[0])
    for name in ("nse", "log_nse", "flow_duration"):
        window = LOSSES[name](simulated[:, 30:60], observed[:, 30:60], reference)
        again = LOSSES[name](
            simulated[:, 30:60], observed[:, 30:60], Reference.of(observed[:, 30:60])
        )
        assert not torch.allclose(window, again)


def test_selected_reference_has_the_rows():
    reference = Reference.of(torch.rand((4, 9), dtype=torch.float64))
    chosen = reference.select(torch.tensor([2, 0]))
    for part in ("mean", "std", "level", "log_std"):
        assert torch.equal(getattr(chosen, part), getattr(reference, part)[[2, 0]])


def test_weighted_sum(flows):
    total = value({"nse": 0.7, "log_nse": 0.3}, *flows)
    np.testing.assert_allclose(total, 0.7 * value("nse", *flows) + 0.3 * value("log_nse", *flows))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nsee", "did you mean 'nse'"),
        ({"nse": 1.0, "kgee": 1.0}, "did you mean 'kge'"),
        ({"nse": 0.0}, "not positive"),
        ({"nse": float("nan")}, "not positive"),
        ({"nse": float("inf")}, "not positive"),
        ({}, "empty"),
    ],
)
def test_bad_losses_are_refused(spec, says):
    with pytest.raises(SettingsError, match=says):
        make_loss(spec)


@pytest.mark.parametrize("spec", [*RESIDUALS, {"nse": 0.7, "log_nse": 0.3}])
def test_residuals_are_what_is_squared(flows, spec):
    s, o = map(torch.from_numpy, flows)
    residuals = make_residuals(spec)(s, o, Reference.of(o)).numpy()
    np.testing.assert_allclose((residuals**2).sum(1), value(spec, *flows), rtol=1e-12)


@pytest.mark.parametrize("spec", ["kge", {"nse": 1.0, "flow_duration": 0.5}])
def test_other_losses_have_no_residuals(spec):
    with pytest.raises(SettingsError, match="no sum of squares"):
        make_residuals(spec)
