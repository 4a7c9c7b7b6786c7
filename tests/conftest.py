import os
from pathlib import Path

import pytest

# Where Julia has been set up, engine="auto" is Julia: the suite is that of the embedded engine, and
# tests of the other one name it.
os.environ.setdefault("HYBRIDWATER_ENGINE", "embedded")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data that tests use but the project does not carry."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HYBRIDWATER_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"real data are absent: no folder {folder} (set HYBRIDWATER_DATA)")
    return folder


def _energy_balance(**changes):
    """Ice that cools or warms by the sensible heat of a surface in energy balance."""
    return {
        "name": "ice",
        "forcings": {"radiation": {"unit": "W m-2"}, "air": {"unit": "K"}},
        "parameters": {"c": {"unit": "W m-2 K-1", "bounds": [1, 50], "default": 12}},
        "constants": {
            "sigma": {"unit": "W m-2 K-4", "value": 5.67e-8},
            "heat": {"unit": "W m-2 d mm-1", "value": 3865},
            "full": {"unit": "mm", "value": 100},
        },
        "fluxes": {
            "warmth": {"unit": "W m-2", "equation": "c * (surface - air)"},
            "gain": {"unit": "mm d-1", "equation": "warmth * ice / (heat * full)"},
        },
        "states": {"ice": {"unit": "mm", "initial": 500, "equation": "-gain"}},
        "unknowns": {
            "surface": {
                "unit": "K",
                "bounds": [150, 400],
                "equation": "radiation - sigma * surface**4 - warmth",
            }
        },
        **changes,
    }


def _canopy():
    """Leaves and the air between them, each at a temperature that balances its heat."""
    spec = _energy_balance(name="canopy")
    spec["parameters"]["d"] = {"unit": "W m-2 K-1", "bounds": [1, 50], "default": 20}
    spec["fluxes"]["warmth"]["equation"] = "c * (leaves - between)"
    between = {"unit": "K", "bounds": [150, 400], "equation": "warmth - d * (between - air)"}
    leaves = {"unit": "K", "bounds": [150, 400], "equation": "radiation - sigma*leaves**4 - warmth"}
    return spec | {"unknowns": {"between": between, "leaves": leaves}}


def _learned_balance(balance):
    """The energy balance with a network for the sensible heat."""
    inputs = {"surface - air": (-40, 40)}
    return balance.learn("warmth", inputs, hidden=(4, 3), scale=200, monotone={"surface - air": 1})


@pytest.fixture(scope="session")
def implicit_models():
    """Models with unknowns: one, two that are coupled, and one in the equation of a network."""
    from hybridwater.ude import UDE

    one = UDE.from_dict(_energy_balance())
    return {"one": one, "two": UDE.from_dict(_canopy()), "learned": _learned_balance(one)}


@pytest.fixture(scope="session")
def energy_balance():
    """Make plain data of a model with one unknown, changed as wanted."""
    return _energy_balance
