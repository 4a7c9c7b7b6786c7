import logging

import numpy as np
import pytest
import torch
import xarray as xr

import hybridwater as hw
from hybridwater.errors import DataError, SettingsError, SolveFailed
from hybridwater.training import Stage
from hybridwater.training.losses import make_loss
from hybridwater.training.objective import Objective
from hybridwater.training.problem import make_problem
from hybridwater.training.sharing import Local

pytestmark = pytest.mark.filterwarnings("ignore::hybridwater.training.OutsideTrainingRange")

TRAIN = ("2000-01", "2000-10")
VALIDATION = ("2000-11", "2001-01")


@pytest.fixture(scope="module")
def three(make_weather, reservoir, observe) -> xr.Dataset:
    """Three reservoirs, k = 0.02, 0.1, 0.4."""
    data = make_weather(3)
    return observe(reservoir, data, k=[0.02, 0.1, 0.4])


@pytest.fixture(scope="module")
def recovered(fit, reservoir, three) -> hw.Surrogate:
    return fit(reservoir, three, train=TRAIN, schedule=[Stage("joint", 150, 0.1)], patience=50)


def test_known_parameter_is_recovered(recovered):
    np.testing.assert_allclose(recovered.parameters["k"], [0.02, 0.1, 0.4], rtol=0.01)


def test_metrics_tell_the_history(recovered):
    metrics = recovered.metrics
    assert list(metrics.columns) == ["stage", "epoch", "loss", "train_nse", "seconds"]
    assert metrics["train_nse"].iloc[-1] > 0.999
    assert (np.diff(metrics["epoch"]) > 0).all()
    assert metrics["loss"].iloc[-1] < 1e-3 * metrics["loss"].iloc[0]


def test_basins_side_by_side_equal_each_alone(fit, reservoir, three, recovered):
    schedule = [Stage("joint", 12, 0.1), Stage("joint", 4, 0.05, window=60)]
    keywords = {"train": TRAIN, "validation": VALIDATION, "schedule": schedule, "patience": 1}
    together = fit(reservoir, three, assess_every=2, **keywords)
    for k in (0, 2):
        alone = fit(reservoir, three.isel(basin=[k]), assess_every=2, **keywords)
        assert alone.basins == (f"b{k}",)
        np.testing.assert_allclose(alone.parameters["k"][0], together.parameters["k"][k], rtol=1e-9)


def test_learned_flux_is_recovered(fit, hybrid, bucket, make_weather, observe):
    data = observe(bucket, make_weather(1, 620), k=0.04, c=150.0, s0=60.0)
    surrogate = fit(
        hybrid,
        data,
        train=("2000-01", "2001-03"),
        test=("2001-04", "2001-08"),
        schedule=[
            Stage("skeleton", 1, 0.05),
            Stage("pretrain", 100, network_rate=0.03),
            Stage("joint", 200, 0.05, 0.02),
        ],
    )
    truth = hw.simulate(bucket, data, {"k": 0.04, "c": 150.0, "s0": 60.0})
    learned = surrogate.simulate(data)
    late = slice("2001-04", "2001-08")
    for name, least in (("q", 0.98), ("et", 0.9)):
        skill = hw.scores.nse(learned[name].sel(time=late), truth[name].sel(time=late))
        assert skill.item() > least
    untrained = hw.simulate(hybrid, data)["et"]
    assert hw.scores.nse(untrained.sel(time=late), truth["et"].sel(time=late)).item() < 0.5


def test_same_seed_gives_the_same_bytes(fit, hybrid, pair, fitted, tmp_path):
    weights = []
    for seed in (0, 1):
        torch.rand(3)  # the state of the global generator plays no part, and is left alone
        before = torch.get_rng_state()
        surrogate = fit(hybrid, pair, seed=seed, **fitted.keywords)
        assert torch.equal(torch.get_rng_state(), before)
        path = surrogate.save(tmp_path / f"{seed}") / "surrogate.safetensors"
        weights.append(path.read_bytes())
    first = (fitted.directory / "surrogate.safetensors").read_bytes()
    assert weights[0] == first
    assert weights[1] != first


def test_restarts_side_by_side_keep_the_best(fit, reservoir, three):
    data = three.isel(basin=[2])
    keywords = {"train": TRAIN, "validation": VALIDATION, "schedule": [Stage("joint", 3, 0.1)]}
    one = fit(reservoir, data, **keywords)
    several = fit(reservoir, data, restarts=3, **keywords)
    assert several.parameters["k"].shape == (1,)
    wrong = [abs(np.log(s.parameters["k"][0] / 0.4)) for s in (one, several)]
    assert wrong[1] < 0.9 * wrong[0]


def test_validation_chooses_the_best_and_stops_early(fit, reservoir, three):
    surrogate = fit(
        reservoir,
        three,
        train=TRAIN,
        validation=0.25,
        schedule=[Stage("joint", 200, 0.9)],
        assess_every=1,
        patience=2,
    )
    assert surrogate.metrics["epoch"].iloc[-1] < 200
    assert surrogate.periods["train"][1] < surrogate.periods["validation"][0]
    assert surrogate.periods["validation"][1] == "2000-10-31T00:00:00"
    assert "validation_nse" in surrogate.metrics


def test_lbfgs_makes_progress_over_several_entries(fit, reservoir, three):
    surrogate = fit(
        reservoir,
        three,
        train=TRAIN,
        schedule=[Stage("joint", 25, optimiser="lbfgs")],
        assess_every=5,
    )
    np.testing.assert_allclose(surrogate.parameters["k"], [0.02, 0.1, 0.4], rtol=0.02)


def test_lbfgs_does_not_mind_small_numbers(fit, reservoir, three):
    tiny = three.map(lambda v: (1e-6 * v).assign_attrs(v.attrs))
    surrogate = fit(
        reservoir,
        tiny.isel(basin=[1]),
        train=TRAIN,
        warmup=250,
        loss="mse",
        schedule=[Stage("joint", 25, optimiser="lbfgs")],
    )
    np.testing.assert_allclose(surrogate.parameters["k"], 0.1, rtol=0.02)


def test_basins_share_networks_and_train_in_windows(fit, hybrid, bucket, pair, observe):
    data = observe(bucket, pair, k=[0.02, 0.2])
    stage = Stage("joint", 6, 0.05, 0.02, window=60, batch=1)
    surrogate = fit(hybrid, data, train=TRAIN, schedule=[stage], share="networks", assess_every=2)
    nse = surrogate.metrics["train_nse"]
    assert nse.iloc[-1] > nse.iloc[0]
    assert surrogate.weights.shape == (hybrid.program.n_weights,)
    assert surrogate.parameters["k"][0] < surrogate.parameters["k"][1]


def test_gradients_reach_every_parameter_and_weight():
    ude = hw.models.exp_hydro_hybrid(hidden=(3,))
    days = 400
    rng = np.random.default_rng(0)
    time = np.datetime64("2000-01-01") + np.arange(days)
    angle = 2 * np.pi * np.arange(days) / 365
    data = xr.Dataset(
        {
            "prcp": ("time", rng.exponential(4.0, days), {"units": "mm d-1"}),
            "tmean": ("time", 4 - 12 * np.cos(angle) + rng.normal(0, 3, days), {"units": "degC"}),
            "dayl": ("time", 12 - 4 * np.cos(angle), {"units": "h"}),
            "qobs": ("time", rng.exponential(2.0, days), {"units": "mm d-1"}),
        },
        {"time": time.astype("datetime64[ns]")},
    )
    problem = make_problem(ude, data, {"q": "qobs"}, train=("2000-01", "2001-01"), warmup=30)
    module = Local(ude, [0], np.zeros(1))
    objective = Objective(
        problem,
        module,
        hw.engines.get_engine(),
        hw.engines.Options(substeps=1),
        make_loss("nse"),
        torch.arange(1),
    )
    fluxes, _ = objective.simulate(ude, torch.arange(1), problem.run)
    objective.score(fluxes, torch.arange(1), 0, problem.scored["train"]).sum().backward()
    assert (module.weights.grad != 0).all()
    used = torch.tensor([p.name in ude.used_parameters for p in ude.parameters])
    assert used.sum() == 5  # of the snow, and the initial storages
    assert ((module.free.grad[0] != 0) == used).all()


# Failures


@pytest.fixture(scope="module")
def stormy(three) -> xr.Dataset:
    """The three reservoirs, with unbearable rain on the second."""
    data = three.copy(deep=True)
    data["prcp"][1, 100] = 1000.0
    return data


def test_basin_that_cannot_be_solved_does_not_disturb_others(fit, fragile, three, stormy, caplog):
    keywords = {"train": TRAIN, "schedule": [Stage("joint", 10, 0.1), Stage("joint", 3, window=50)]}
    with caplog.at_level(logging.WARNING):
        disturbed = fit(fragile, stormy, **keywords)
    assert "No parameters were found with which b1 can be solved" in caplog.text
    calm = fit(fragile, three, **keywords)
    np.testing.assert_array_equal(disturbed.parameters["k"][[0, 2]], calm.parameters["k"][[0, 2]])
    assert np.isfinite(disturbed.parameters["k"]).all()


def test_basin_that_cannot_be_solved_does_not_disturb_lbfgs(fit, fragile, stormy):
    schedule = [Stage("joint", 15, optimiser="lbfgs")]
    surrogate = fit(fragile, stormy, train=TRAIN, schedule=schedule)
    np.testing.assert_allclose(surrogate.parameters["k"][[0, 2]], [0.02, 0.4], rtol=0.03)


@pytest.mark.parametrize("keywords", [{"share": "networks"}, {"attributes": ["slope"]}])
def test_basin_that_cannot_be_solved_does_not_stop_shared_training(fit, fragile, stormy, keywords):
    surrogate = fit(
        fragile,
        stormy,
        train=TRAIN,
        schedule=[Stage("joint", 40, 0.05, window=100)],
        attribute_hidden=(4,),
        dropout=0.0,
        **keywords,
    )
    k = surrogate.parameters["k"]
    assert k[0] < 0.04
    assert k[2] > 0.07


def test_nothing_solvable_is_an_error(fit, fragile, stormy):
    with pytest.raises(SolveFailed, match="No entry could be solved"):
        fit(fragile, stormy.isel(basin=[1]), train=TRAIN, schedule=[Stage("joint", 3)])


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"schedule": [Stage("skeleton", 1)]}, SettingsError, "no networks"),
        ({"restarts": 0}, SettingsError, "restarts=0"),
        ({"restarts": 2, "attributes": ["slope"]}, SettingsError, "restarts=2"),
        ({"share": "weights"}, SettingsError, "share='weights'"),
        ({"assess_every": 0}, SettingsError, "assess_every=0"),
        ({"patience": 1.5}, SettingsError, "patience=1.5"),
        ({"dropout": 1.0}, SettingsError, "dropout"),
        ({"resume": True}, SettingsError, "nothing to resume"),
        ({"loss": "rmse"}, SettingsError, "no loss 'rmse'"),
        ({"engine": "embeded"}, SettingsError, "did you mean 'embedded'"),
        ({"substep": 1}, hw.errors.DeclarationError, "did you mean 'substeps'"),
        ({"warmup": 365}, DataError, "warm-up of 365 records leaves nothing"),
        ({"warmup": -1}, SettingsError, "warmup=-1"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    fit, reservoir, three, tmp_path, keywords, error, says
):
    directory = None if keywords.get("resume") else tmp_path / "run"
    with pytest.raises(error, match=says):
        fit(reservoir, three, train=TRAIN, directory=directory, **keywords)
    assert not (tmp_path / "run").exists()
