import numpy as np
import pytest
import torch
import xarray as xr
from runoff_case import coupler, water

from hybridwater.components import check, get_component
from hybridwater.components.learned_runoff import LearnedRunoff
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.errors import ComponentError

START = "2000-01-01"


def trained():
    """Return an exchange whose weights and offsets are not those of the beginning."""
    made = coupler(1).eval()
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(0.4 * torch.randn_like(weights))
    return made


def model(made, days=20, **options):
    """Return a coupled model in which what land gives is data."""
    given, signals = water(days)
    values = dict(zip(made.given, given.unbind(-1), strict=True))
    values |= dict(zip(made.signals, signals.unbind(-1), strict=True))
    units = {**dict.fromkeys(made.given, "kg m-2 d-1"), **made.signals}
    time = np.datetime64(START, "ns") + np.arange(days) * np.timedelta64(1, "D")
    data = xr.Dataset(
        {n: (("time", "cell"), x.numpy(), {"units": units[n]}) for n, x in values.items()},
        {"time": time},
    )
    land = get_component("forcing")(data=data)
    return CoupledModel(
        {"land": land, "runoff": LearnedRunoff(made, start=START)},
        [
            *(Exchange(f"land.{name}", "runoff") for name in made.given),
            *(
                Exchange(f"land.{name}", "runoff", water=False)
                for name in made.signals
                if name not in made.given
            ),
        ],
        outputs={"runoff": ["runoff_flux", "unobserved_flux", "coupling_store_amount"]},
        **options,
    )


def test_passes_the_checker():
    component = LearnedRunoff(trained(), start=START)
    assert {f.state for f in check(component)} <= {"ok", "skipped"}


def test_a_coupled_run_is_what_training_saw_and_its_ledger_closes():
    made = trained()
    run = model(made)
    run.run("20 d", progress=False)
    with torch.no_grad():
        expected, state = made(*water(20))
    found = run.output("runoff")
    for name, values in (
        ("runoff_flux", expected.leaving),
        ("unobserved_flux", expected.unobserved),
    ):
        np.testing.assert_allclose(found[name].values, values.numpy(), rtol=1e-4, atol=1e-5)
    held = found["coupling_store_amount"].values[-1]
    np.testing.assert_allclose(held, state.stores.sum(-1).numpy(), rtol=1e-4)
    ledger = run.ledger()
    assert "unobserved_flux" in " ".join(map(str, ledger["flux"].values))
    assert float(abs(ledger["total_residual"]) / ledger["total_inflow"].sum()) < 1e-12


def test_store_and_memory_are_in_the_checkpoint(tmp_path):
    made = trained()
    whole = model(made)
    whole.run("20 d", progress=False)
    first = model(made, directory=tmp_path)
    first.run("9 d", progress=False)
    first.checkpoint()
    first.close()
    again = model(made, directory=tmp_path)
    again.resume()
    again.run("11 d", progress=False)
    found, expected = (m.output("runoff")["runoff_flux"].values for m in (again, whole))
    np.testing.assert_array_equal(found[-1], expected[-1])


def test_cells_out_of_range_are_counted_also_after_a_checkpoint(caplog):
    made = trained()
    given, signals = water(20)
    made.acquaint(given, made.remember(signals)[0])
    component = LearnedRunoff(made, start=START)
    component.initialize()
    for more in (0.0, 0.0, 1e9):
        for k, name in enumerate(made.given):
            component.set_value(name, given[3, :, k].numpy() + more)
        for k, name in enumerate(made.signals):
            component.set_value(name, signals[3, :, k].numpy() + more)
        component.update()
    # all that land gave
    assert (component.get_value_ptr("runoff_flux") >= 2e9).all()
    assert component.fallbacks == (12, 36)
    assert caplog.text.count("out of the range of its training") == 1
    state = component.get_state()
    again = LearnedRunoff(made, start=START)
    again.initialize()
    again.set_state(state)
    assert again.fallbacks == (12, 36)


def test_a_checkpoint_of_other_weights_is_refused():
    one, other = (LearnedRunoff(made, start=START) for made in (trained(), coupler()))
    one.initialize()
    other.initialize()
    with pytest.raises(ComponentError, match="not a state of the component"):
        other.set_state(one.get_state())
