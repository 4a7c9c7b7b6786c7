import importlib
import os
import signal
from pathlib import Path

import pytest

# Where Julia has been set up, engine="auto" is Julia: the suite is that of the embedded engine, and
# tests of the other one name it.
os.environ.setdefault("HYBRIDWATER_ENGINE", "embedded")

# The suite has a process for each core. A second thread in one would wait, spinning, for a core
# that another process has: training in a notebook then takes 20 times as long, or longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore Ctrl-C, and so would the tests of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs Julia, with the reason, unless it has been set up on this machine.

    The mark may name packages that are not installed without being asked for.
    """
    mark = item.get_closest_marker("julia")
    if mark is not None:
        from hybridwater import _julia

        found = _julia.available()
        if not found.ready:
            pytest.skip(f"no Julia: {found.reason} ({found.fix})")
        for extra in _julia.extras(found.project):
            if extra.name in mark.args and extra.version is None:
                pytest.skip(f"no Julia package {extra.name} ({extra.command})")


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


def _layered(cells=6):
    """Soil layers below a pond, with a network in every layer and uptake shared by all."""
    import hybridwater as hw
    from hybridwater.ude.staggered import above, below, column_sum, ends, lowermost, uppermost

    @hw.model
    def layered(m):
        rain = m.forcing("rain", "mm d-1")
        layers = m.column("layers", [10.0 + 2.0 * k for k in range(cells)], "mm")
        W = m.state("W", "mm", initial=3.0, on=layers)
        pond = m.state("pond", "mm", initial=1.0)
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.4)
        d = m.parameter("d", "mm2 d-1", bounds=(1, 100), default=20)
        deep = m.constant("deep", 50.0, "mm")
        wet = m.flux("wet", W / layers.thickness, "1")
        enter = m.flux("enter", k * pond * hw.ude.exp(-uppermost(wet)), "mm d-1")
        roots = hw.ude.exp(-layers.depth / deep)
        uptake = m.network(
            "uptake", {wet: (0, 1), roots: (0, 1), rain: (0, 5)}, "mm d-1",
            hidden=(3,), positive=True, zero_when_empty=W, empty_scale=1.0,
        )  # fmt: skip
        total = m.flux("total", column_sum(uptake), "mm d-1")
        m.flux("share", uptake / total, "1")
        mixed = d * (above(wet) - below(wet, 0.1)) / layers.distance
        inner = mixed + k * (above(W) + below(W)) / 2
        q = m.flux("q", ends(inner, enter, k * lowermost(W) * lowermost(wet)), "mm d-1")
        m.derivative(W, above(q) - below(q) - uptake)
        m.derivative(pond, rain - enter)

    return layered


@pytest.fixture(scope="session")
def make_layered():
    """Make a model with a column of a given number of cells."""
    return _layered


@pytest.fixture(scope="session")
def layered():
    return _layered()


@pytest.fixture(scope="session")
def ode():
    """Return ``diffeqpy.ode``, or, where the project lacks its packages, what is needed of it.

    diffeqpy itself would add them to the project.
    """
    from hybridwater._julia import DIFFEQPY
    from hybridwater._julia.availability import available, manifest
    from hybridwater.engines import julia

    julia.start()
    if {name for name, _ in DIFFEQPY} <= set(manifest(available().project) or ()):
        return importlib.import_module("diffeqpy.ode")
    import juliacall

    return juliacall.Main.seval("""
        let box = Module(:_diffeqpy_ode)
            loaded = Base.loaded_modules
            found = loaded[only(id for id in keys(loaded) if id.name == "HybridWater")]
            for name in (:ODEProblem, :DAEProblem, :DiscreteCallback, :solve, :terminate!)
                Core.eval(box, :(const $name = $(getproperty(found.SciMLBase, name))))
            end
            for name in (:Tsit5, :Rodas5P, :FBDF)
                Core.eval(box, :(const $name = $(getproperty(found, name))))
            end
            box
        end
    """)


RESERVOIRS = """
function rates!(du, u, p, t)
    fast, slow = u
    k_fast, k_down, k_slow, rain = p
    du[1] = rain - (k_fast + k_down) * fast
    du[2] = k_down * fast - k_slow * slow
    return nothing
end
"""


@pytest.fixture(scope="session")
def two_reservoirs(ode):
    """Make two reservoirs in a row as a problem of SciML, under names and units."""
    import hybridwater as hw

    def two_reservoirs(rates=None, flux_function=None, p=(0.3, 0.1, 0.02, 2.0), **changes):
        rates = ode.seval(RESERVOIRS) if rates is None else rates
        runoff = "(u, p, t) -> (p[1] * u[1] + p[3] * u[2],)"
        problem = ode.ODEProblem(rates, [20.0, 100.0], (0.0, 365.0), list(p))
        return hw.SciMLProblem(
            problem,
            **{
                "states": {"fast": "mm", "slow": "mm"},
                "parameters": {"k_fast": "d-1", "k_down": "d-1", "k_slow": "d-1"},
                "forcings": {"rain": "mm d-1"},
                "fluxes": {"runoff": "mm d-1"},
                "flux_function": ode.seval(runoff) if flux_function is None else flux_function,
                **changes,
            },
        )

    return two_reservoirs


@pytest.fixture(scope="session")
def fragile():
    """A store whose equation has no value if rain is heavier than it can bear."""
    import hybridwater as hw

    @hw.model
    def fragile(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.05, log=True)
        limit = m.constant("limit", 500.0, "mm d-1")
        S = m.state("storage", "mm", initial=50)
        q = m.flux("q", k * S * hw.ude.sqrt((limit - P) / limit), "mm d-1")
        m.derivative(S, P - q)

    return fragile
