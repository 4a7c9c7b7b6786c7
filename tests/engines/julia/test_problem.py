"""Problems of SciML under names and units: exact solutions, a model of ours, Python, refusals."""

from __future__ import annotations

import re
import runpy
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater import _julia
from hybridwater.errors import DataError, DeclarationError, SolveFailed, UnitError

pytestmark = [pytest.mark.julia, pytest.mark.slow]
ROOT = Path(__file__).parents[3]


def weather(days=20, basins=0, seed=0):
    rain = np.random.default_rng(seed).gamma(0.4, 10.0, (max(basins, 1), days))
    dims = ("basin", "time") if basins else "time"
    time = pd.date_range("2001-01-01", periods=days)
    coords = {"time": time} | ({"basin": [f"b{k}" for k in range(basins)]} if basins else {})
    return xr.Dataset({"rain": (dims, rain if basins else rain[0], {"units": "mm d-1"})}, coords)


def exact(rain, k=0.4, initial=20.0):
    """Return the content of one linear reservoir after each day of rain."""
    contents = []
    for r in rain:
        initial = r / k + (initial - r / k) * np.exp(-k)
        contents.append(initial)
    return np.array(contents)


def python_rates(du, u, p, t):
    du[0] = p[3] - (p[0] + p[1]) * u[0]
    du[1] = p[1] * u[0] - p[2] * u[1]


def test_states_and_mean_fluxes_are_exact(two_reservoirs):
    data = weather()
    problem = two_reservoirs()
    assert not problem.calls_python
    found = problem.solve(data, rtol=1e-11, atol=1e-11).isel(basin=0)
    contents = exact(data["rain"].values)
    np.testing.assert_allclose(found["fast"], contents, rtol=1e-8)
    change = np.diff(found["fast"] + found["slow"], prepend=120.0)
    np.testing.assert_allclose(found["runoff"], data["rain"] - change, rtol=1e-7)
    assert found["runoff"].attrs["cell_methods"] == "time: mean"
    assert re.match(r"\d+ steps, ", found.attrs["solver_statistics"])


def test_basins_have_weather_parameters_and_stores_of_their_own(two_reservoirs):
    data = weather(basins=3)
    k = np.array([0.2, 0.3, 0.4])
    found = two_reservoirs().solve(
        data,
        {"k_fast": k, "k_down": 0.1},
        initial={"fast": [5.0, 20.0, 50.0]},
        rtol=1e-10,
        atol=1e-10,
    )
    for b, first in enumerate((5.0, 20.0, 50.0)):
        contents = exact(data["rain"].values[b], k[b] + 0.1, first)
        np.testing.assert_allclose(found["fast"].isel(basin=b), contents, rtol=1e-7)


def test_rain_in_other_units_is_converted(two_reservoirs):
    data = weather()
    other = xr.Dataset({"rain": (data["rain"] / 86400).assign_attrs(units="kg m-2 s-1")})
    other["rain"] = (data["rain"] / 24).assign_attrs(units="mm h-1")
    problem = two_reservoirs()
    xr.testing.assert_allclose(problem.solve(other), problem.solve(data), rtol=1e-12)
    with pytest.raises(UnitError, match="cannot be converted"):
        problem.solve(data.assign(rain=data["rain"].assign_attrs(units="K")))


@pytest.mark.parametrize("method", ["tsit5", "rodas5p", "fbdf", "auto"])
def test_methods_and_algorithms(two_reservoirs, ode, method):
    data = weather()
    problem = two_reservoirs()
    expected = problem.solve(data, rtol=1e-11, atol=1e-11)["runoff"]
    found = problem.solve(data, method=method, rtol=1e-7, atol=1e-7)["runoff"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    algorithm = problem.solve(data, method=ode.Rodas5P(), rtol=1e-7, atol=1e-7)["runoff"]
    np.testing.assert_allclose(algorithm, expected, rtol=1e-4)


def test_functions_of_python_keep_its_lock_and_give_the_same(two_reservoirs):
    data = weather()
    calls = []

    def runoff(u, p, t):
        calls.append(threading.current_thread())
        return [p[0] * u[0] + p[2] * u[1]]

    expected = two_reservoirs().solve(data, rtol=1e-8, atol=1e-8)
    for how in ({"rates": python_rates}, {"flux_function": runoff}):
        problem = two_reservoirs(**how)
        assert problem.calls_python
        for method in ("tsit5", "auto", "rodas5p"):
            found = problem.solve(data, method=method, rtol=1e-8, atol=1e-8)
            for name in ("fast", "slow", "runoff"):
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
    assert set(calls) == {threading.main_thread()}


def test_other_threads_go_on_during_a_solve_by_julia_alone(two_reservoirs):
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())

    problem = two_reservoirs()
    data = weather(days=3000)
    problem.solve(data)
    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.perf_counter()
    problem.solve(data, rtol=1e-12, atol=1e-12)
    end = time.perf_counter()
    stop.set()
    thread.join()
    assert sum(begin < t < end for t in ticks) > 100 * (end - begin)


def test_an_error_in_a_function_of_python_is_told_as_such(two_reservoirs):
    def broken(du, u, p, t):
        raise ValueError("no water today")

    with pytest.raises(_julia.JuliaFailed, match=r"A Python function failed: .*no water today"):
        two_reservoirs(rates=broken).solve(weather())
    assert two_reservoirs().solve(weather()).sizes["time"] == 20


def test_julia_inside_a_function_that_julia_calls_is_refused(two_reservoirs):
    inner = two_reservoirs()

    def nested(du, u, p, t):
        inner.solve(weather(), rtol=1e-3)

    with pytest.raises(_julia.JuliaFailed, match="Julia was called by a function of Python"):
        two_reservoirs(rates=nested).solve(weather())
    assert inner.solve(weather()).sizes["time"] == 20


def test_other_shapes_of_state_and_parameters(ode):
    data = weather()
    contents = exact(data["rain"].values)
    named = ode.seval("(u, p, t) -> p.rain - p.k * u")
    record = ode.seval("(area=1.0, rain=0.0, k=0.4)")
    one = {"states": {"S": "mm"}, "parameters": {"k": "d-1"}, "forcings": {"rain": "mm d-1"}}
    scalar = hw.SciMLProblem(ode.ODEProblem(named, 20.0, (0.0, 1.0), record), **one)
    found = scalar.solve(data, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found["S"].isel(basin=0), contents, rtol=1e-7)
    cells = hw.SciMLProblem(
        ode.ODEProblem(
            ode.seval("(u, p, t) -> p[1] .- p[2] .* u"), np.full(3, 20.0), (0.0, 1.0), (0.0, 0.4)
        ),
        states={"S": ("mm", range(3))},
        forcings={"rain": "mm d-1"},
    )
    found = cells.solve(data, initial={"S": [20.0, 20.0, 0.0]}, rtol=1e-10, atol=1e-10)["S"]
    assert found.dims == ("basin", "time", "cell")
    np.testing.assert_allclose(found.isel(basin=0, cell=1), contents, rtol=1e-7)
    assert (found.isel(cell=2) < found.isel(cell=1)).all()


@pytest.mark.parametrize("method", ["rodas5p", "auto"])
def test_robertson_reaches_its_reference_and_that_of_a_model(ode, method):
    """Reference of the test set for IVP solvers (Mazzia and Magherini 2008), at 1e11 s."""
    stiff = runpy.run_path(str(ROOT / "benchmarks" / "stiff.py"))
    problem = hw.SciMLProblem(
        ode.ODEProblem(
            ode.seval("""
                (du, u, p, t) -> begin
                    du[1] = -p[1] * u[1] + p[3] * u[2] * u[3]
                    du[2] = p[1] * u[1] - p[2] * u[2]^2 - p[3] * u[2] * u[3]
                    du[3] = p[2] * u[2]^2
                end
            """),
            [1.0, 0.0, 0.0],
            (0.0, 1e11),
            [0.04, 3e7, 1e4],
        ),
        states={"A": "1", "B": "1", "C": "1"},
        time_unit="s",
    )
    tight = {"rtol": 1e-9, "atol": 1e-16}
    found = problem.solve(times=[0.0, 1e2, 1e11], method=method, **tight)
    assert found["time"].attrs["units"] == "s"
    values = np.array([found[name].values for name in "ABC"])
    np.testing.assert_allclose(values[:, -1], stiff["ROBERTSON_AT_1E11"], rtol=1e-5)
    ude = hw.UDE.from_dict(stiff["ROBERTSON"])
    options = hw.engines.Options(method="rodas5p", max_steps=100_000, fluxes=(), **tight)
    solver = hw.engines.get_engine("julia").compile(ude, options)
    rates, initial = np.array([[0.04, 3e7, 1e4]]), np.array([[1.0, 0.0, 0.0]])
    for k, end in enumerate((1e2, 1e11)):
        ours = solver.solve(rates, np.zeros(0), np.zeros((1, 1, 0)), initial, end).final_state[0]
        np.testing.assert_allclose(values[:, k], ours, rtol=1e-5)


def test_failures_name_basin_and_record(ode):
    problem = hw.SciMLProblem(
        ode.ODEProblem(ode.seval("(u, p, t) -> p[1] .* u .^ 2"), [1.0], (0.0, 1.0), [1.0]),
        states={"S": "mm"},
        parameters={"r": "mm-1 d-1"},
    )
    data = weather(basins=2).rename(rain="other")
    with pytest.raises(SolveFailed, match=r"problem 'problem', basin 'b1', record 0"):
        problem.solve(data, {"r": [1e-3, 2.0]})
    with pytest.raises(SolveFailed, match="within 1 steps"):
        problem.solve(data, {"r": 0.01}, rtol=1e-12, atol=1e-12, max_steps=1)


def test_a_callback_that_ends_the_problem_is_told(ode):
    stop = ode.DiscreteCallback(
        ode.seval("(u, t, integrator) -> t > 2"), ode.seval("integrator -> terminate!(integrator)")
    )
    problem = hw.SciMLProblem(
        ode.ODEProblem(ode.seval("(u, p, t) -> -u"), [1.0], (0.0, 9.0), callback=stop),
        states={"S": "mm"},
    )
    assert problem.solve(times=[0, 1])["S"].item() == pytest.approx(np.exp(-1), rel=1e-3)
    with pytest.raises(SolveFailed, match="A callback of the problem ended it"):
        problem.solve(times=[0, 1, 9])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"states": {"fast": "mm", "slow": "mm", "deep": "mm"}}, "'deep' is at place 2"),
        ({"forcings": {"k_fast": "d-1"}}, "Two quantities have the same name"),
        ({"fluxes": {"runoff": "mm d-1", "et": "mm d-1"}}, "'et' is at place 1"),
        ({"fluxes": {"fast": "mm d-1"}}, "Two quantities have the same name"),
    ],
)
def test_names_that_do_not_fit_are_refused(two_reservoirs, changes, sentence):
    with pytest.raises(DeclarationError, match=sentence):
        two_reservoirs(**changes)


def test_what_is_no_problem_is_refused(ode):
    for given in ("text", 3.0, ode.seval("x -> x")):
        with pytest.raises(DeclarationError, match=r"The problem cannot be used: .* ODEProblem"):
            hw.SciMLProblem(given, states={"S": "mm"})


def test_bad_input_is_refused(two_reservoirs):
    problem, data = two_reservoirs(), weather()
    with pytest.raises(DataError, match="Either forcing or times"):
        problem.solve()
    with pytest.raises(DataError, match="do not increase"):
        problem.solve(times=[0, 2, 1])
    with pytest.raises(DataError, match="rain"):
        problem.solve(data.rename(rain="rian"))
    with pytest.raises(DeclarationError, match=r"no parameter 'k_fats' \(did you mean 'k_fast'"):
        problem.solve(data, {"k_fats": 1})
    with pytest.raises(DeclarationError, match="has the shape"):
        problem.solve(data, {"k_fast": [1, 2, 3]})
    with pytest.raises(DeclarationError, match="A state is not finite"):
        problem.solve(data, initial={"fast": np.nan})
    with pytest.raises(DeclarationError, match="There is no method 'rk4' for a problem"):
        problem.solve(data, method="rk4")


def test_the_page_runs(ode, monkeypatch, capsys):
    import diffeqpy

    monkeypatch.setattr(diffeqpy, "ode", ode, raising=False)
    page = (ROOT / "docs" / "how-to" / "diffeqpy.md").read_text("utf-8")
    names: dict = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE):
        exec(compile(block, "diffeqpy.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert float(lines[-2]) < 1e-12  # the ledger
    assert lines[-1].startswith("[9.66")  # Robertson's A after a second
