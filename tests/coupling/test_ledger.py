import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Aquifer, Surface
from reservoirs import Reservoir, start
from test_demand import Farm, Lake, demand

from hybridwater.components.forcing_records import ForcingRecords
from hybridwater.coupling import CoupledModel, Policy
from hybridwater.coupling import ledger as ledger_room
from hybridwater.coupling.books import Totals, guess
from hybridwater.errors import CouplingError, LedgerError
from hybridwater.meshes import latlon_mesh


def everything():
    """Non-integer ratios, masks, two orders of remap, a demand edge, and an iterated cycle."""
    fine = latlon_mesh(np.arange(0, 7.0), np.arange(40, 45.0), name="fine")
    coarse = latlon_mesh(np.arange(0, 6.5, 1.5), np.array([40, 41.5, 44]), name="coarse")
    mask = np.ones(fine.size, bool)
    mask[[3, 11]] = False
    rain = Reservoir(
        step=0.3,
        area=fine.areas,
        initial=np.linspace(1, 50, fine.size),
        mesh=fine,
        inputs={"recharge_flux": 5.0},
    )
    lake = Lake(area=coarse.areas, initial=50.0, rate=0.01, mesh=coarse, step=np.pi / 4)
    cells = {"area": coarse.areas}
    n = coarse.size
    return CoupledModel(
        {
            "rain": rain,
            "surface": Surface(leakance=2.0, step=0.5, meshes={0: coarse}, **cells),
            "aquifer": Aquifer(step=1.0, between=0.0, **cells),
            "lake": lake,
            "farm": Farm(0.5, coarse.areas / 3, step=1.7),
        },
        [
            {
                "source": "rain.runoff_flux",
                "target": "surface.precipitation_flux",
                "remap": "second order",
                "source_mask": mask,
                "share": 0.5,
            },
            {
                "source": "rain.runoff_flux",
                "target": "lake.recharge_flux",
                "remap": "conservative",
                "source_mask": ~mask,
                "share": 0.5,
                "additive": True,
            },
            {"source": "surface.leakage_flux", "target": "aquifer"},
            {"source": "aquifer.groundwater_head", "target": "surface"},
            {
                "source": "surface.runoff_flux",
                "target": "lake.recharge_flux",
                "additive": True,
                "lag": "3 d",
            },
        ],
        demands=[demand(cells=list(range(n)))],
        iteration={"tolerance": 1e-6},
        window="1 d",
    )


@pytest.mark.slow
def test_closes_over_a_thousand_steps_of_everything():
    model = everything()
    model.run("1000 d")
    ledger = model.ledger()
    assert ledger.sizes["time"] == 1000
    stored = ledger["storage"].sum("component")
    assert (abs(ledger["residual"]) <= 1e-12 * stored).all()
    assert abs(float(ledger["total_residual"])) <= 1e-12 * float(stored[-1])
    assert (ledger["total_delivered"] > 0).all()
    # The whole, from the first to the last day, is that of the boundary.
    inside = stored + ledger["in_transit"].sum("exchange")
    gained = float(inside[-1] - inside[0])
    crossed = float(ledger["external"][1:].sum() + ledger["unobserved"][1:].sum())
    assert gained == pytest.approx(crossed, rel=1e-9)


def test_has_its_dimensions_where_nothing_keeps_books(tmp_path):
    days = np.datetime64("2000-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")
    rain = xr.Dataset({"rain": ("time", np.ones(3), {"units": "mm d-1"})}, {"time": days})
    for directory in (None, tmp_path):
        model = CoupledModel({"rain": ForcingRecords(data=rain)}, directory=directory)
        model.run("2 d")
        ledger = model.ledger()
        model.close()
        assert ledger.sizes["time"] == 2
        for dimension, name in (("component", "inflow"), ("exchange", "given")):
            assert ledger[name].shape == (2, 0)
            assert ledger[f"total_{name}"].dims == (dimension,)
        assert float(ledger["total_residual"]) == 0.0


def test_is_a_dataset_with_units_and_meanings():
    model = everything()
    model.run("5 d")
    ledger = model.ledger()
    assert isinstance(ledger, xr.Dataset)
    for name in ledger.data_vars:
        if name != "time_bounds":
            assert ledger[name].attrs["units"] == "kg"
            assert ledger[name].attrs["long_name"]
    assert set(ledger["component"].values) == {"rain", "surface", "aquifer", "lake", "farm"}
    assert "lake.abstraction -> farm.irrigation_flux" in ledger["exchange"].values


def test_a_flux_that_the_source_does_not_book_is_refused():
    class Silent(Reservoir):
        def boundary_fluxes(self):
            fluxes = super().boundary_fluxes()
            if fluxes:
                fluxes["loss"] = fluxes.pop("runoff_flux")
            return fluxes

    model = CoupledModel(
        {"up": Silent(inputs={"recharge_flux": 1.0}), "down": start(cells=1)},
        [{"source": "up.runoff_flux", "target": "down.recharge_flux"}],
        ledger=Policy(on_error="record"),
    )
    model.run("2 d")
    model = CoupledModel(
        {"up": Silent(inputs={"recharge_flux": 1.0}), "down": start(cells=1)},
        [{"source": "up.runoff_flux", "target": "down.recharge_flux"}],
        ledger=Policy(),
    )
    with pytest.raises(CouplingError, match="does not book 'runoff_flux'"):
        model.run("2 d")


def test_a_component_without_books_is_unobserved():
    class Unobserved(Reservoir):
        has_storage = False

    model = CoupledModel(
        {"up": Unobserved(inputs={"recharge_flux": 1.0}), "down": start(cells=1)},
        [{"source": "up.runoff_flux", "target": "down.recharge_flux"}],
    )
    model.run("20 d")
    ledger = model.ledger()
    assert list(ledger["component"].values) == ["down"]
    assert float(ledger["total_unobserved"]) == pytest.approx(float(ledger["total_given"][0]))


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0.05, 3.0),
    st.floats(0.05, 3.0),
    st.floats(0.05, 1.0),
    st.sampled_from([None, "1 d", "2.5 d"]),
)
def test_closes_whatever_the_steps(one, other, share, lag):
    parts = {"up": start(one, inputs={"recharge_flux": 2.0}), "down": start(other, rate=0.3)}
    edge = {"source": "up.runoff_flux", "target": "down.recharge_flux", "share": share}
    if lag:
        edge["lag"] = lag
    model = CoupledModel(parts, [edge], window="3 d")
    model.run("12 d")
    ledger = model.ledger()
    moved = float(ledger["storage"].max()) + float(ledger["total_given"][0])
    assert float(abs(ledger["residual"]).max()) <= 1e-12 * moved


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=60))
def test_totals_keep_what_rounding_would_lose(values):
    import math

    totals = Totals(1)
    for value in values:
        totals.add(np.array([[value]]))
    size = math.fsum(abs(v) for v in values)
    assert abs(float(totals.values[0]) - math.fsum(values)) <= 1e-15 * size


@pytest.mark.parametrize(
    ("moved", "booked", "words"),
    [
        (1.0, -1.0, "a sign"),
        (86400.0, 1.0, "per day"),
        (1.0, 1000.0, "m3"),
        (1.07, 1.0, "areas"),
        (0.0, 1.0, ""),
    ],
)
def test_guesses(moved, booked, words):
    assert words in guess(moved, booked)


def test_a_row_does_not_depend_on_what_is_balanced_with_it():
    def chain():
        areas = np.random.default_rng(0).uniform(1e5, 1e7, (20, 3))
        parts = {f"c{i}": start(area=a, inputs={"recharge_flux": 5.0}) for i, a in enumerate(areas)}
        there = [f"c{i}.runoff_flux" for i in range(19)]
        ends = [f"c{i + 1}.recharge_flux" for i in range(19)]
        matrix = np.full((3, 3), 0.3)
        links = [
            {"source": a, "target": b, "remap": matrix} for a, b in zip(there, ends, strict=True)
        ]
        return CoupledModel(parts, links)

    together, each = chain(), chain()
    together.run("6 d", progress=False)
    for _ in range(6):
        each.step()
    xr.testing.assert_identical(together.ledger(), each.ledger())


def test_equal_areas_are_kept_once_and_others_are_not():
    areas = np.array([1e6, 2e6])
    parts = {name: start(area=areas.copy()) for name in "abc"} | {"d": start(area=areas[::-1])}
    links = [
        {"source": f"{a}.runoff_flux", "target": f"{b}.recharge_flux"} for a, b in ("ab", "bc")
    ]
    model = CoupledModel(
        {**parts, "e": start(area=areas[::-1])},
        [*links, {"source": "d.runoff_flux", "target": "e.recharge_flux"}],
    )
    first, second, other = model.links
    assert first.kg_given is first.kg_taken is second.kg_taken
    np.testing.assert_array_equal(other.kg_given, first.kg_given[::-1])
    with pytest.raises(ValueError, match="read-only"):
        first.kg_given[0] = 0.0


def test_missing_water_stops_a_run_before_long(monkeypatch):
    monkeypatch.setattr(ledger_room, "_LONGEST", 0.0)  # stands for steps of more than a second
    model = CoupledModel({"up": start(inputs={"recharge_flux": 5.0}, fault="leak")})
    with pytest.raises(LedgerError, match="lost or made"):
        model.run("9 d", progress=False)
    assert model.time <= 4 * 86400.0  # it leaks from the fourth day on


def test_bad_policies_are_refused():
    for bad in ({"tolerance": 0.0}, {"on_error": "shout"}):
        with pytest.raises(CouplingError):
            Policy(**bad)
