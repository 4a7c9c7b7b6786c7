import numpy as np
import pandas as pd
import pytest

from hybridwater.components import check
from hybridwater.components.hbv import Hbv
from hybridwater.errors import ComponentError

AREA = 410e6  # m2, of the oracle, whose discharge is in m3 s-1


@pytest.fixture(scope="module")
def oracle(shared_data):
    folder = shared_data / "oracles"
    days = pd.read_csv(
        folder / "hbv_daily_inputs_rrmpg.txt",
        sep="\t",
        header=None,
        names=["date", "month", "temperature", "rain"],
    )
    months = np.loadtxt(folder / "hbv_monthly_inputs_rrmpg.txt")
    month = days["month"].to_numpy() - 1
    days["mean_temperature"], days["pet"] = months[month, 0], months[month, 2]
    days["flow"] = np.loadtxt(folder / "hbv_qsim_rrmpg.csv")
    return days[1:]  # the first day is the initial state


def step(component, day):
    component.set_value("precipitation_flux", [day.rain])
    component.set_value("air_temperature", [day.temperature])
    component.set_value("climatological_air_temperature", [day.mean_temperature])
    component.set_value("water_potential_evaporation_flux", [day.pet])
    component.update()


def test_is_the_published_program(oracle):
    component = Hbv(area=AREA)
    component.initialize()
    flows = []
    for day in oracle.itertuples():
        step(component, day)
        flows.append(component.get_value_ptr("published_runoff_flux")[0])
    assert len(flows) == 3651
    cubic_metres = np.array(flows) * AREA / 1000 / 86400
    np.testing.assert_allclose(cubic_metres, oracle["flow"], rtol=0, atol=1e-9)


def test_balance_closes_with_what_left_the_reservoirs_not_with_the_published_flow(oracle):
    component = Hbv(area=AREA)
    component.initialize()
    begin = sum(s.sum() for s in component.storage().values())
    entered, published = 0.0, 0.0
    for day in oracle[:730].itertuples():
        step(component, day)
        fluxes = component.boundary_fluxes()
        entered += sum(f.sum() for f in fluxes.values())
        differ = component.get_value_ptr("published_runoff_flux") - component.get_value_ptr(
            "runoff_flux"
        )
        published += float(differ.sum()) * AREA
    change = sum(s.sum() for s in component.storage().values()) - begin
    assert change == pytest.approx(entered, abs=1e-3)  # kg, of 4e11 kg that rained
    assert abs(published) > 1e6


def test_snow_falls_below_the_threshold_and_melts_above():
    component = Hbv(tt=1.0, dd=2.0, soil=0.0, upper=0.0, lower=0.0)
    component.initialize()
    day = pd.Series({"rain": 10.0, "temperature": 0.5, "mean_temperature": 0.5, "pet": 0.0})
    step(component, day)
    assert component.get_value_ptr("surface_snow_amount")[0] == 10.0
    day["rain"], day["temperature"], day["mean_temperature"] = 0.0, 3.0, 3.0
    step(component, day)
    assert component.get_value_ptr("surface_snow_amount")[0] == 6.0
    assert component.get_value_ptr("mass_content_of_water_in_soil")[0] == 4.0


def test_passes_the_checker():
    assert {f.state for f in check(Hbv(area=[1e6, 4e6]))} == {"ok"}


def test_rates_that_empty_more_than_there_is_are_refused():
    with pytest.raises(ComponentError, match=r"'k0 \+ k1 \+ kp' is 1.1, which is outside \[0, 1\]"):
        Hbv(k0=0.5, k1=0.5, kp=0.1)
