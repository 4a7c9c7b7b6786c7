import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.errors import DataError, DeclarationError, SolveFailed, WeightsError
from hybridwater.ude import UDE


@pytest.fixture(scope="module")
def ude() -> UDE:
    @hw.model
    def store(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1", "rain")
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.1)
        S = m.state("storage", "mm", initial=20.0, description="water")
        q = m.flux("q", k * S, "mm d-1", "discharge")
        m.derivative(S, P - q)

    return store


@pytest.fixture(scope="module")
def learned(ude) -> UDE:
    return ude.learn("q", {"storage": (0, 100)}, hidden=(3,), positive=True)


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    rain = np.random.default_rng(0).exponential(3.0, (2, 40))
    return xr.Dataset(
        {"prcp": (("basin", "time"), rain, {"units": "mm d-1"})},
        {"basin": ["a", "b"], "time": pd.date_range("2000-01-01", periods=40)},
    )


@pytest.fixture(scope="module")
def simulation(ude, data) -> xr.Dataset:
    return hw.simulate(ude, data)


def exact(rain: np.ndarray, k: float, start: float, days: float = 1.0) -> np.ndarray:
    """Storage at the end of each record of a linear reservoir under constant rain."""
    storages, decay = [], np.exp(-k * days)
    for p in rain:
        start = start * decay + p / k * (1 - decay)
        storages.append(start)
    return np.array(storages)


def test_simulation_is_the_exact_solution(simulation, data):
    for basin in ("a", "b"):
        expected = exact(data["prcp"].sel(basin=basin).values, 0.1, 20.0)
        np.testing.assert_allclose(simulation["storage"].sel(basin=basin), expected, rtol=1e-7)


def test_hourly_records_of_a_model_in_days(ude, data):
    hourly = data.assign_coords(time=pd.date_range("2000-01-01", periods=40, freq="h"))
    result = hw.simulate(ude, hourly)
    expected = exact(data["prcp"][0].values, 0.1, 20.0, 1 / 24)
    np.testing.assert_allclose(result["storage"][0], expected, rtol=1e-9)


def test_variables_say_what_they_are(simulation):
    assert simulation["q"].dims == ("basin", "time")
    assert simulation["q"].attrs["units"] == "mm d-1"
    assert simulation["q"].attrs["cell_methods"] == "time: mean"
    assert simulation["q"].attrs["long_name"] == "discharge"
    assert simulation["storage"].attrs["cell_methods"] == "time: point"
    assert simulation["storage"].attrs["comment"] == "value at the end of the record"
    assert simulation["prcp"].attrs["units"] == "mm d-1"
    assert list(simulation["basin"].values) == ["a", "b"]
    assert simulation.attrs["model"] == "store"
    assert simulation.attrs["method"] == "rk4"
    assert simulation.attrs["engine"] == "embedded"
    assert len(simulation.attrs["model_fingerprint"]) == 16


def test_instantaneous_values_are_those_at_the_start(ude, data, simulation):
    instant = hw.simulate(ude, data, output="instantaneous")
    assert instant["q"].attrs["cell_methods"] == "time: point"
    assert instant["storage"].attrs["comment"] == "value at the start of the record"
    np.testing.assert_allclose(instant["storage"][:, 0], 20.0)
    np.testing.assert_allclose(instant["storage"][:, 1:], simulation["storage"][:, :-1])
    np.testing.assert_allclose(instant["q"], 0.1 * instant["storage"])


def test_fluxes_may_be_chosen_by_a_list(ude, data):
    result = hw.simulate(ude, data, fluxes=["q"])
    assert set(result.data_vars) == {"storage", "q"}


def test_parameters_and_initial_states_per_basin(ude, data):
    start = np.array([[5.0], [50.0]])
    result = hw.simulate(ude, data, {"k": [0.1, 0.5]}, initial_state=start)
    for i, (k, s) in enumerate(((0.1, 5.0), (0.5, 50.0))):
        expected = exact(data["prcp"][i].values, k, s)
        np.testing.assert_allclose(result["storage"][i], expected, rtol=1e-4)


def test_untrained_weights_follow_the_seed(learned, data):
    q = [hw.simulate(learned, data, seed=s)["q"].values for s in (0, 0, 1)]
    np.testing.assert_array_equal(q[0], q[1])
    assert not np.allclose(q[0], q[2])


def test_weights_per_basin(learned, data):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, learned.program.n_weights))
    together = hw.simulate(learned, data, weights=weights)
    alone = hw.simulate(learned, data.isel(basin=[1]), weights=weights[1].tolist())
    np.testing.assert_allclose(together["q"][1], alone["q"][0], rtol=1e-12)


def test_wrong_weights_are_refused(learned, data):
    with pytest.raises(WeightsError, match="weights"):
        hw.simulate(learned, data, weights=np.zeros(3))


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"methd": "rk4"}, DeclarationError, "did you mean 'method'"),
        ({"method": "rk5"}, DeclarationError, "did you mean 'rk4'"),
        ({"fluxes": ["qq"]}, DeclarationError, "did you mean 'q'"),
        ({"parameters": {"k": 7}}, DeclarationError, "outside"),
        ({"initial_state": np.zeros(1)}, DataError, r"not \(2, 1\)"),
    ],
)
def test_bad_requests_are_refused(ude, data, keywords, error, says):
    with pytest.raises(error, match=says):
        hw.simulate(ude, data, **keywords)


def test_failure_names_basin_time_and_state(ude, data):
    start = np.array([[5.0], [np.inf]])
    with pytest.raises(SolveFailed, match=r"basin 'b', record 2000-01-01.*storage = inf"):
        hw.simulate(ude, data, initial_state=start)


def test_members_are_simulated_as_if_alone():
    ude = hw.models.linear_reservoir()
    rng = np.random.default_rng(0)
    time = pd.date_range("2001-01-01", periods=40)
    rain = xr.DataArray(
        rng.gamma(0.5, 8.0, (3, 2, 40)),
        {"member": [4, 5, 6], "basin": ["a", "b"], "time": time},
        ("member", "basin", "time"),
        attrs={"units": "mm d-1"},
    )
    pet = xr.DataArray(np.full(40, 2.0), {"time": time}, ("time",), attrs={"units": "mm d-1"})
    rate = xr.DataArray([0.1, 0.2, 0.3], {"member": rain["member"]}, ("member",))
    size = xr.DataArray([100.0, 300.0], {"basin": rain["basin"]}, ("basin",))
    forcing = xr.Dataset({"prcp": rain, "pet": pet})
    together = hw.simulate(ude, forcing, {"k": rate, "capacity": size})
    assert together["q"].dims == ("member", "basin", "time")
    assert list(together["member"].values) == [4, 5, 6]
    for i, member in enumerate([4, 5, 6]):
        alone = hw.simulate(
            ude, forcing.sel(member=member), {"k": float(rate[i]), "capacity": size}
        )
        np.testing.assert_allclose(together["q"].sel(member=member), alone["q"], rtol=1e-12)
    balance = hw.engines.water_balance(ude, together)
    assert hw.engines.balance_error(balance) < 1e-12
