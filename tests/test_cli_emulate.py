"""The command `emulate`, as people call it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from hybridwater.cases import load_coupled
from hybridwater.cli import app
from hybridwater.components import get_component

CASE = """
[component]
name = "hybridwater.components.template:Template"
config = "template.toml"
inputs = "rain.nc"

[ports]
recharge_flux = "inflow"
runoff_flux = "q"
reservoir_amount = "store"

[model]
name = "reservoir"
forcings = { inflow = { unit = "mm d-1" } }
parameters = { k = { unit = "d-1", bounds = [1e-3, 1], default = 0.02, log = true } }
states = { store = { unit = "mm", equation = "inflow - q" } }
fluxes = { q = { unit = "mm d-1", equation = "k * store" } }

[fit]
train = ["2001-01-01", "2001-02-10"]
test = ["2001-02-11", "2001-03-01"]

[[fit.schedule]]
kind = "joint"
epochs = 30
learning_rate = 0.1
window = 15

[solver]
engine = "embedded"

[output]
directory = "run"
"""


def call(path):
    return CliRunner().invoke(app, ["emulate", str(path)])


@pytest.fixture
def case(tmp_path):
    rain = np.random.default_rng(0).gamma(0.4, 8.0, (2, 60))
    days = pd.date_range("2001-01-01", periods=60)
    xr.Dataset(
        {"recharge_flux": (("basin", "time"), rain, {"units": "mm d-1"})},
        {"basin": ["a", "b"], "time": days},
    ).to_netcdf(tmp_path / "rain.nc")
    (tmp_path / "template.toml").write_text("area = [1e6, 2e6]\nrate = 0.1\nstart = 2001-01-01\n")
    (tmp_path / "case.toml").write_text(CASE)
    return tmp_path / "case.toml"


def test_trains_tells_and_writes_a_component(case):
    result = call(case)
    assert result.exit_code == 0, result.output
    for word in ("reservoir_amount", "NSE median", "balance: closes", "times as fast"):
        assert word in result.stdout
    errors = pd.read_csv(case.parent / "run" / "emulation.csv", index_col=[0, 1])
    assert errors.loc[("runoff_flux", "test"), "NSE"] > 0.99
    surrogate = get_component("surrogate")(model=case.parent / "run", engine="embedded")
    surrogate.initialize("")
    np.testing.assert_allclose(surrogate.storage()["store"], [1e7, 2e7])


COUPLED = """
[run]
start = 2001-01-01
end = "40 d"

[components.hill]
kind = "hybridwater.components.template:Template"
area = [1e6, 2e6]
rate = 0.1
inputs = { recharge_flux = 4.0 }
use = "analytic"

[components.hill.surrogate]
model = "run"
engine = "embedded"
inputs = { recharge_flux = 4.0 }

[components.lake]
kind = "hybridwater.components.template:Template"
area = [1e6, 2e6]

[[exchange]]
source = "hill.runoff_flux"
target = "lake.recharge_flux"
"""


def test_one_word_in_a_coupled_case_swaps_what_was_emulated(case):
    assert call(case).exit_code == 0
    amounts = {}
    for word in ("analytic", "surrogate"):
        path = case.parent / f"{word}.toml"
        path.write_text(COUPLED.replace('use = "analytic"', f'use = "{word}"'))
        model = load_coupled(path).build()
        model.run("40 d")
        amounts[word] = model.component("lake").get_value_ptr("reservoir_amount").copy()
        ledger = model.ledger()
        assert abs(ledger["total_residual"]) < 1e-12 * ledger["total_inflow"].sum()
    assert amounts["surrogate"] == pytest.approx(amounts["analytic"], rel=0.02)
    assert (amounts["surrogate"] != amounts["analytic"]).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rain.nc", "snow.nc", "There is no file"),
        ("[ports]", "[port]", "The table 'port' is not known (did you mean 'ports'?)."),
        ("[fit]", '[fit]\nobserved = { q = "x" }', "outputs of the component"),
        ('runoff_flux = "q"', 'runoff_flux = "qq"', "did you mean 'q'"),
        ('runoff_flux = "q"', "runoff_flux = true", "must be text"),
        ("inputs =", "input =", "The key 'input' is not known"),
    ],
)
def test_bad_input_is_a_sentence(case, old, new, message):
    case.write_text(CASE.replace(old, new, 1))
    result = call(case)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (case.parent / "run").exists()
