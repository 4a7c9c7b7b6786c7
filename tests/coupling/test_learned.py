"""A learned remap in the place of the conservative one, in a coupled run."""

import numpy as np
import pytest
import torch
import xarray as xr
from reservoirs import Litres, Reservoir
from scipy.sparse import csr_array

from hybridwater.cases.coupled_report import exchange_totals, ledger_table
from hybridwater.coupling import CoupledModel
from hybridwater.errors import CouplingError, WeightsError
from hybridwater.meshes import Remap, RiverNetwork, conservative_remap, latlon_mesh
from hybridwater.mgn import LearnedRemap

COARSE = latlon_mesh(np.arange(0, 7, 2.0), np.arange(40, 47, 2.0), name="coarse")
FINE = latlon_mesh(np.arange(0, 7.0), np.arange(40, 47.0), name="fine")
HEIGHT = np.linspace(0, 1, FINE.size)
STATES = {
    "source": {"reservoir_amount": "kg m-2"},
    "target": {"reservoir_amount": "kg m-2"},
}


def learned(seed, states=None, memory=0, step=86400.0, unobserved=0.0):
    """A remap whose weights are random: no training is needed for the books to close."""
    torch.manual_seed(seed + 4)  # weights that do more than a hundredth
    remap = LearnedRemap.of(
        conservative_remap(COARSE, FINE),
        COARSE,
        FINE,
        target_static={"height": HEIGHT},
        states=states,
        memory=memory,
        step=step,
        unobserved=unobserved,
        width=4,
        hidden=1,
    )
    with torch.no_grad():
        for weights in remap.correction.parameters():
            weights.add_(torch.randn_like(weights))
    return remap


def model(remap, folder=None, initial=10.0, step=0.5, iteration=None, back=False, **more):
    up = Reservoir(
        step=step,
        area=COARSE.areas,
        initial=np.linspace(1, 50, COARSE.size),
        mesh=COARSE,
        inputs={} if back else {"recharge_flux": 5.0},
    )
    down = Reservoir(step=1.0, area=FINE.areas, initial=initial, mesh=FINE)
    edges = [{"source": "up.runoff_flux", "target": "down.recharge_flux", "remap": remap, **more}]
    if back:
        edges.append(
            {"source": "down.runoff_flux", "target": "up.recharge_flux", "remap": "conservative"}
        )
    outputs = {"down": ["reservoir_amount"]}
    return CoupledModel(
        {"up": up, "down": down}, edges, directory=folder, outputs=outputs, iteration=iteration
    )


def content(run, name="down"):
    return run.component(name).get_value_ptr("reservoir_amount").copy()


def test_the_books_close_at_any_weights():
    contents = []
    for remap in (learned(0), learned(0, STATES, memory=3), "conservative"):
        run = model(remap)
        run.run("60 d")
        ledger = run.ledger()
        stored = ledger["storage"].sum("component")
        assert (abs(ledger["residual"]) <= 1e-12 * stored).all()
        assert float(ledger["total_delivered"].sum()) > 0.0
        contents.append(content(run))
        assert (contents[-1] >= 0.0).all()
        run.close()
    for moved in contents[:2]:
        assert np.abs(moved - contents[2]).max() > 0.01 * moved.max()
        # it moves water to other cells, and the same amount
        assert moved @ FINE.areas == pytest.approx(contents[2] @ FINE.areas, rel=1e-12)


@pytest.mark.parametrize("iteration", [None, {"tolerance": 1e-10}])
def test_what_nobody_observed_has_an_entry_of_its_own(iteration):
    remap, back = learned(0, STATES, 2, unobserved=0.3), iteration is not None
    run = model(remap, step=1.0 if back else 0.5, iteration=iteration, back=back)
    run.run("8 d")
    ledger = run.ledger()
    stored = ledger["storage"].sum("component")
    assert (abs(ledger["residual"]) <= 1e-12 * stored).all()
    added = ledger["added"].sum("exchange")
    np.testing.assert_allclose(ledger["unobserved"], added, rtol=1e-9)
    assert (abs(added) > 1e-3 * ledger["given"].sum("exchange")).any()
    (label,) = (name for name in ledger["exchange"].values if str(name).startswith("up."))
    own = ledger.sel(exchange=label)
    change = own["in_transit"].diff("time")
    balance = (own["given"] + own["added"] - own["delivered"])[1:] - change
    assert (abs(balance) <= 1e-12 * stored[1:]).all()
    assert (content(run) >= 0.0).all()
    totals = exchange_totals(ledger)
    assert totals.loc[label, "added"] == pytest.approx(float(own["added"].sum()) / 1e9)
    printed = ledger_table(ledger)
    assert len(printed.columns) == 1 + totals.shape[1]
    assert "[bold]added[/]" in printed.columns[2]._cells
    run.close()


def test_out_of_its_range_nothing_comes_from_outside():
    remap = learned(0, unobserved=0.3)
    given = np.ones(COARSE.size) * COARSE.areas
    moved = remap.amounts(given)
    outside = remap.moment.unobserved
    assert np.abs(outside).max() > 0.0
    assert (moved - outside).sum() == pytest.approx(given.sum(), rel=1e-12)
    assert (moved >= 0.0).all()
    remap.correction.network.normalisers["target"].gather(torch.full((4, 2), 1e6).double())
    np.testing.assert_array_equal(
        remap.amounts(given), conservative_remap(COARSE, FINE).amounts(given)
    )
    assert remap.moment.fallbacks == 1
    assert not remap.moment.unobserved.any()


def test_a_checkpoint_knows_the_weights(tmp_path):
    run = model(learned(0))
    run.run("3 d")
    run.checkpoint(tmp_path / "here.npz")
    again = model(learned(0))
    again.resume(tmp_path / "here.npz")
    assert again.time == run.time
    with pytest.raises(CouplingError):
        model(learned(1)).resume(tmp_path / "here.npz")


def test_what_moves_depends_on_the_states_of_both_ends():
    def arrives(states, initial):
        run = model(learned(0, states), initial=initial)
        run.run("1 d")
        return run.component("down").get_value_ptr("recharge_flux").copy()

    some, others = arrives(STATES, 10.0), arrives(STATES, np.where(HEIGHT > 0.5, 2, 30))
    assert np.abs(some - others).max() > 1e-4 * some.max()
    some, others = arrives(None, 10.0), arrives(None, np.where(HEIGHT > 0.5, 2, 30))
    np.testing.assert_array_equal(some, others)


def test_it_remembers_and_a_run_that_stops_goes_on_to_the_same_bytes(tmp_path):
    whole = model(learned(0, STATES, memory=3), tmp_path / "whole")
    whole.run("20 d")
    forgetful = model(learned(0, STATES, memory=3))
    part = model(learned(0, STATES, memory=3), tmp_path / "parts")
    part.run("8 d")
    part.checkpoint()
    for run in (part, forgetful):
        run.close()
    again = model(learned(0, STATES, memory=3), tmp_path / "parts")
    again.resume()
    (link,) = again._links
    assert all((values != 0).all() for values in link.remap.moment.memory.values())
    again.run("12 d")
    assert again.fallbacks == whole.fallbacks == {link.label: (0, 40)}
    for run in (whole, again):
        run.close()
    for name in ("down.nc", "ledger.nc"):
        one, other = (tmp_path / folder / name for folder in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes()
    # and what is remembered counts
    again = model(learned(0, STATES, memory=3))
    again.resume(tmp_path / "parts/checkpoint.npz")
    again._links[0].remap.moment.memory.clear()
    again.run("1 d")
    kept = xr.load_dataset(tmp_path / "whole/down.nc", engine="netcdf4")["reservoir_amount"]
    assert not np.array_equal(content(again), kept[8].values)


def test_passes_of_an_iteration_do_not_remember_what_is_done_again():
    run = model(learned(0, memory=2), step=1.0, back=True, iteration={"tolerance": 1e-10})
    run.run("5 d")
    (counts,) = run.iterations.values()
    assert max(counts) > 2
    assert run.fallbacks == {"up.runoff_flux -> down.recharge_flux": (0, 5)}


def test_steps_of_another_length_forget_as_fast():
    spans = []
    for step in (0.5, 1.0):
        run = model(learned(0, memory=2, step=43200.0), step=step)
        run.run("1 d")
        spans.append(run._links[0].remap.moment.span)
    assert spans == [1.0, 2.0]


def test_weights_are_named_beside_the_word(tmp_path):
    path = learned(0, STATES, memory=2).save(tmp_path / "rain.safetensors")
    xr.Dataset({"height": ("cell", HEIGHT), "names": ("cell", ["x"] * FINE.size)}).to_netcdf(
        tmp_path / "land.nc"
    )
    features = {"target": tmp_path / "land.nc"}
    named = {"weights": path, "features": features}
    run, same = model("learned", learned=named), model(learned(0, STATES, memory=2))
    for one in (run, same):
        one.run("5 d")
    np.testing.assert_array_equal(content(run), content(same))
    reads = ["up.reservoir_amount", "down.reservoir_amount"]
    model("learned", learned={**named, "reads": reads})
    with pytest.raises(CouplingError, match="The weights read reservoir_amount of the target"):
        model("learned", learned={**named, "reads": reads[:1]})
    with pytest.raises(CouplingError, match="no 'contents' among its outputs"):
        model("learned", learned={**named, "reads": ["up.contents"]})
    with pytest.raises(WeightsError, match="The weights read") as refused:
        model("learned", learned={"weights": path})
    assert "up.runoff_flux -> down.recharge_flux" in str(refused.value)
    with pytest.raises(WeightsError, match="no released weights 'rain'"):
        model("learned", learned={"weights": "rain"})
    with pytest.raises(CouplingError, match="no weights are named"):
        model("learned")
    with pytest.raises(CouplingError, match="did you mean 'learned'"):
        model("leaned")
    # with another word the table stays, and is not used
    model("conservative", learned={"weights": "rain"})


def test_a_feature_can_be_the_elevation(tmp_path):
    above = {"target": HEIGHT * 1000.0}
    remap = conservative_remap(COARSE, FINE)
    static = {"height": above["target"]}
    made = LearnedRemap.of(remap, COARSE, FINE, target_static=static, elevations=above, width=4)
    named = {"weights": made.save(tmp_path / "rain.safetensors"), "features": {"target": static}}
    run = model("learned", learned={**named, "elevation": "height"})
    (link,) = run._links
    for mine, theirs in zip(link.remap.imprint(), made.imprint(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(WeightsError, match="know elevations of target"):
        model("learned", learned=named)
    with pytest.raises(CouplingError, match=r"no feature 'hight' .did you mean 'height'"):
        model("learned", learned={**named, "elevation": "hight"})


def test_ends_without_meshes_are_refused():
    ends = {n: Litres(area=COARSE.areas, initial=1.0) for n in ("up", "down")}
    for component in ends.values():
        component.mesh = lambda grid: None
    edge = {"source": "up.runoff_flux", "target": "down.inflow", "remap": "learned"}
    with pytest.raises(CouplingError, match="'up' has no mesh"):
        CoupledModel(ends, [{**edge, "learned": {"weights": "rain", "baseline": "identity"}}])


def test_water_of_land_reaches_a_river_and_moves_along_it(tmp_path):
    to = np.r_[np.arange(1, 12), -1, np.arange(13, 18), 6]
    points = np.stack([np.linspace(0, 6, 18), np.linspace(40, 46, 18)], axis=1)
    river = RiverNetwork(to, np.linspace(300, 900, 18), points=points, name="river")
    drains = np.arange(36) % 18

    def build(remap, **more):
        rain = {"recharge_flux": 3.0}
        land = Reservoir(area=FINE.areas, initial=HEIGHT * 50, mesh=FINE, inputs=rain)
        reaches = Litres(area=np.full(18, 1e6), initial=5.0, mesh=river)
        edge = {"source": "land.runoff_flux", "target": "river.inflow", "remap": remap, **more}
        return CoupledModel({"land": land, "river": reaches}, [edge])

    index = csr_array((np.ones(36), (drains, np.arange(36))), shape=(18, 36))
    torch.manual_seed(0)
    baseline = Remap(index, FINE.areas, np.full(18, np.nan), np.ones(18))
    states = {"target": {"reservoir_amount": "kg m-2"}}
    made = LearnedRemap.of(baseline, FINE, river, states=states, width=4)
    with torch.no_grad():
        for weights in made.correction.parameters():
            weights.add_(torch.randn_like(weights))
    path = made.save(tmp_path / "river.safetensors")
    run = build("learned", learned={"weights": path, "baseline": drains})
    plain = build(drains)
    for one in (run, plain):
        one.run("10 d")
        ledger = one.ledger()
        assert (abs(ledger["residual"]) <= 1e-12 * ledger["storage"].sum("component")).all()
    assert np.abs(content(run, "river") - content(plain, "river")).max() > 0.01
