"""Problems of SciML as components: exact over a step, balanced, restarted, coupled, refused."""

from __future__ import annotations

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.components import check
from hybridwater.components.sciml import SciMLComponent
from hybridwater.components.template import Template
from hybridwater.errors import ComponentError, ComponentFailed

WATER = {"rain": "in", "runoff": "out"}


def test_without_a_problem_it_says_what_to_give():
    with pytest.raises(ComponentError, match="problem = 'module:name'"):
        SciMLComponent().initialize()
    with pytest.raises(ComponentError, match="'math:pi' is not a problem"):
        SciMLComponent(problem="math:pi")


@pytest.fixture
def make(two_reservoirs):
    def make(**options):
        options = {"area": [2e6, 1e6], "boundary": WATER} | options
        return SciMLComponent(problem=options.pop("problem", None) or two_reservoirs(), **options)

    return make


@pytest.mark.julia
def test_cells_have_parameters_of_their_own_and_step_exactly(make):
    component = make(parameters={"k_fast": [0.3, 0.1], "k_down": 0.1}, rtol=1e-11, atol=1e-11)
    component.initialize()
    component.set_value("rain", [3.0, 5.0])
    component.update_until(7.0)
    k, rain = np.array([0.4, 0.2]), np.array([3.0, 5.0])
    exact = rain / k + (20 - rain / k) * np.exp(-7 * k)
    np.testing.assert_allclose(component.get_value_ptr("fast"), exact, rtol=1e-9)


@pytest.mark.julia
def test_it_passes_the_checker(make):
    states = {f.rule: f.state for f in check(make(start="2001-01-01"))}
    assert set(states.values()) == {"ok"}, states


@pytest.mark.julia
def test_ports_have_names_units_and_typical_values(make):
    component = make(ports={"runoff_flux": "runoff", "precipitation_flux": "rain"})
    variables = {v.name: v for v in component.variables}
    assert list(variables) == [
        "precipitation_flux", "fast", "slow", "runoff_flux", "solver_error_flux",
    ]  # fmt: skip
    rain = variables["precipitation_flux"]
    assert (rain.intent, rain.kind, rain.units, rain.default) == ("in", "rate", "mm d-1", 2.0)
    assert variables["slow"].kind == "state"


@pytest.mark.julia
def test_the_balance_closes_and_what_the_tolerance_makes_up_is_booked(ode):
    rates = ode.seval("(du, u, p, t) -> (du[1] = p[1] - 0.01 * u[1]^2; nothing)")
    problem = hw.SciMLProblem(
        ode.ODEProblem(rates, [50.0], (0.0, 1.0), [2.0]),
        states={"S": "mm"},
        forcings={"rain": "mm d-1"},
        fluxes={"runoff": "mm d-1"},
        flux_function=ode.seval("(u, p, t) -> 0.01 * u[1]^2"),
    )
    component = SciMLComponent(
        problem=problem, area=[2e6, 1e6], boundary=WATER, rtol=0.01, atol=0.1
    )
    component.initialize()
    before = sum(component.storage().values())
    for _ in range(3):
        component.update()
        fluxes = component.boundary_fluxes()
        after = sum(component.storage().values())
        np.testing.assert_allclose(sum(fluxes.values()), after - before, rtol=0, atol=1e-6)
        made_up = abs(fluxes["solver_error_flux"]) / fluxes["rain"]
        assert (made_up > 1e-9).all()
        assert (made_up < 1e-2).all()
        before = after


@pytest.mark.julia
def test_a_state_goes_on_from_where_it_was(make):
    one, other = make(), make()
    for component in (one, other):
        component.initialize()
    one.update_until(4.0)
    other.set_state(one.get_state())
    for component in (one, other):
        component.update_until(9.0)
    for name in one.get_output_var_names():
        assert np.array_equal(one.get_value_ptr(name), other.get_value_ptr(name))
    stranger = make(parameters={"k_fast": 0.2})
    stranger.initialize()
    with pytest.raises(ComponentError, match="not a state of the component"):
        stranger.set_state(one.get_state())


@pytest.mark.julia
def test_a_run_coupled_with_another_component_loses_nothing(make):
    hills = make(start="2001-01-01", ports={"runoff_flux": "runoff"})
    lake = Template(area=5e5, rate=0.02, initial=300.0, start="2001-01-01")
    model = hw.coupling.CoupledModel(
        {"hills": hills, "lake": lake},
        [{"source": "hills.runoff_flux", "target": "lake.recharge_flux", "remap": [0, 0]}],
    )
    model.run("2001-03-01")
    ledger = model.ledger()
    total = ledger["storage"].sum("component").max().item()
    assert abs(ledger["residual"]).max().item() < 1e-12 * total


AQUIFER = """
function (du, u, p, t)
    k, out = p[1], p[2]
    for i in eachindex(u)
        left = i == 1 ? 0.0 : k * (u[i - 1] - u[i])
        right = i == length(u) ? out * u[i] : k * (u[i] - u[i + 1])
        du[i] = p[2 + i] + left - right
    end
end
"""


@pytest.mark.julia
def test_the_cells_of_a_problem_are_those_of_the_component(ode):
    n = 5
    values = [0.5, 0.1, *(1.0 for _ in range(n))]
    problem = hw.SciMLProblem(
        ode.ODEProblem(ode.seval(AQUIFER), np.full(n, 10.0), (0.0, 1.0), values),
        states={"water": ("mm", range(n))},
        parameters={"k": "d-1", "out": "d-1"},
        forcings={"recharge": ("mm d-1", range(2, 2 + n))},
        fluxes={"spring": "mm d-1"},
        flux_function=ode.seval(f"(u, p, t) -> p[2] * u[{n}] / {n}"),
    )
    component = SciMLComponent(
        problem=problem,
        area=np.full(n, 1e6),
        boundary={"recharge": "in", "spring": "out"},
        step=20.0,
    )
    assert {f.state for f in check(component)} == {"ok"}
    component.initialize()
    component.set_value("recharge", [4.0, 0.0, 0.0, 0.0, 0.0])
    component.update_until(3000.0)
    # steady: all recharge passes each face, and leaves by the last cell
    np.testing.assert_allclose(component.get_value_ptr("spring"), [4.0 / n], rtol=1e-6)
    water = component.get_value_ptr("water")
    np.testing.assert_allclose(water, [72.0, 64.0, 56.0, 48.0, 40.0], rtol=1e-6)
    with pytest.raises(ComponentError, match="one of 5 cells, but 2 areas"):
        SciMLComponent(problem=problem, area=[1.0, 2.0])


@pytest.mark.julia
def test_what_does_not_fit_is_refused(make):
    for options, sentence in (
        ({"area": [-1.0]}, "An area is not a positive number"),
        ({"ports": {"q": "runof"}}, "no 'runof' here .*did you mean 'runoff'"),
        ({"boundary": {"slow": "in"}}, "no 'slow' here"),
        ({"boundary": {"rain": "up"}}, "Say 'in' or 'out'"),
        ({"storages": ["rain"]}, "no 'rain' here"),
    ):
        with pytest.raises(ComponentError, match=sentence):
            make(**options)


@pytest.mark.julia
def test_a_solve_that_fails_names_the_cell(ode):
    problem = hw.SciMLProblem(
        ode.ODEProblem(ode.seval("(u, p, t) -> p[1] .* u .^ 2"), [1.0], (0.0, 1.0), [1e-3]),
        states={"S": "mm"},
        parameters={"r": "mm-1 d-1"},
    )
    component = SciMLComponent(problem=problem, area=[1.0, 1.0], parameters={"r": [1e-3, 2.0]})
    component.initialize()
    with pytest.raises(ComponentFailed, match="cell 1"):
        component.update()
