import numpy as np
import pytest
import xarray as xr

pytest.importorskip("pywatershed", reason="STARFIT comes with pywatershed")

from hybridwater.components import check
from hybridwater.components.forcing_records import ForcingRecords
from hybridwater.components.gr4j import Gr4j
from hybridwater.components.prms_process import quietly
from hybridwater.components.starfit import Starfit
from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentError

INFLOW = "reservoir_inflow_water_volume_transport"
OUTFLOW = "reservoir_outflow_water_volume_transport"


def inflows(n):
    return 2.0 * (1 + np.sin(np.arange(n) / 58.0)) + 6.0 * (np.arange(n) % 90 == 0)


def test_is_pywatersheds_own_run():
    ours = Starfit(filling=0.5, start="1979-01-01")
    ours.initialize()
    with quietly():
        import pywatershed as pws
        from pywatershed.base.adapter import adapter_factory

        start = np.datetime64("1979-01-01", "s")
        control = pws.Control(
            start, start + np.timedelta64(399, "D"), np.timedelta64(24, "h"), options={}
        )
        theirs = pws.Starfit(
            control=control,
            discretization=None,
            parameters=ours._all,
            lake_inflow=None,
            io_in_cfs=False,
            budget_type=None,
        )
        given = np.zeros(1)
        theirs.set_input_to_adapter("lake_inflow", adapter_factory(given, control=control))
        theirs.lake_storage[:] = 0.5 * ours._capacity
        for inflow in inflows(400):
            ours.set_value(INFLOW, [inflow])
            ours.update()
            given[:] = inflow
            control.advance()
            theirs.advance()
            theirs.calculate(1.0)
            np.testing.assert_array_equal(ours.get_value_ptr(OUTFLOW), theirs.lake_outflow)
    volume = ours.get_value_ptr("reservoir_water_volume")
    np.testing.assert_array_equal(volume, theirs.lake_storage * 1e6)


def test_begins_in_the_middle_of_its_normal_range():
    reservoirs = Starfit()
    reservoirs.initialize()
    share = reservoirs.get_value_ptr("reservoir_water_volume") / (reservoirs._capacity * 1e6)
    assert 0.1 < share[0] < 0.6


def test_a_full_reservoir_spills_and_the_balance_closes():
    reservoirs = Starfit(filling=1.0)
    reservoirs.initialize()
    before = reservoirs.storage()["reservoirs"].copy()
    reservoirs.set_value(INFLOW, [200.0])
    reservoirs.update()
    assert reservoirs.get_value_ptr("reservoir_spill_water_volume_transport")[0] > 100.0
    change = reservoirs.storage()["reservoirs"] - before
    entered = sum(reservoirs.boundary_fluxes().values())
    assert change[0] == pytest.approx(entered[0], abs=1e-9 * before[0])


def test_a_catchment_flows_into_it_in_a_coupled_run():
    days = np.datetime64("1979-01-01", "ns") + np.arange(60) * np.timedelta64(1, "D")
    rain = np.random.default_rng(3).gamma(0.4, 12.0, (60, 1))
    attributes = {"units": "kg m-2 d-1"}
    records = xr.Dataset(
        {"rain": (("time", "cell"), rain, attributes)}, {"time": days.astype("datetime64[ns]")}
    )
    pet = {"water_potential_evaporation_flux": 1.0}
    model = CoupledModel(
        {
            "weather": ForcingRecords(data=records),
            "hills": Gr4j(area=400e6, start="1979-01-01", inputs=pet),
            "dam": Starfit(filling=0.5, start="1979-01-01"),
        },
        [
            {"source": "weather.rain", "target": "hills.precipitation_flux"},
            {"source": "hills.runoff_flux", "target": f"dam.{INFLOW}"},
        ],
    )
    before = model.component("dam").storage()["reservoirs"][0]
    model.run("60 d")
    ledger = model.ledger()
    assert (abs(ledger["residual"]) <= 1e-12 * ledger["storage"].sum("component")).all()
    (came,) = (float(v) for v in ledger["total_delivered"] if INFLOW in str(v["exchange"].values))
    went = float(ledger["total_outflow"].sel(component="dam"))
    change = model.component("dam").storage()["reservoirs"][0] - before
    assert came > 1e9
    assert went > 1e9
    assert change == pytest.approx(came - went, abs=1e-9 * before)
    model.close()


def test_passes_the_checker():
    assert {f.state for f in check(Starfit())} == {"ok"}


def test_bad_input_is_refused(tmp_path):
    reservoirs = Starfit()
    reservoirs.initialize()
    reservoirs.set_value(INFLOW, [-1.0])
    with pytest.raises(ComponentError, match=r"inflow of a reservoir is -1.*as a demand"):
        reservoirs.update()
    with pytest.raises(ComponentError, match="'filling' is 2"):
        Starfit(filling=2.0).initialize()
    with pytest.raises(ComponentError, match="does not exist"):
        Starfit(parameters=tmp_path / "none.nc").initialize()
