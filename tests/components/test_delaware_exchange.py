import numpy as np
import pytest
import torch

pytest.importorskip("pywatershed", reason="the Delaware case comes with pywatershed")

from hybridwater.components.delaware_exchange import (
    GIVEN,
    SIGNALS,
    delaware_coupler,
    delaware_place,
)
from hybridwater.mgn import RunoffCoupler
from hybridwater.mgn.released import verify_weights


@pytest.fixture(scope="module")
def coupler():
    return delaware_coupler()


def test_the_weights_are_those_of_their_card():
    found = verify_weights("delaware-runoff")
    assert (found.problem, found.kind) == ("", "runoff")
    assert found.card["data"]["script"] == "benchmarks/mgn_delaware.py"
    assert len(found.card["data"]["held_out"]) == 20


def test_the_weights_know_the_hydrologic_response_units(coupler):
    assert float(coupler.offsets.detach().std(dim=0).min()) > 0.01


def test_a_storm_comes_later_and_all_of_it_is_accounted_for(coupler):
    given = torch.full((30, 765, len(GIVEN)), 0.1, dtype=torch.float64)
    given[10, :, 0] = 20.0
    usual = torch.expm1(coupler.network.normalisers["land"].mean[: len(SIGNALS)])
    with torch.no_grad():
        done, state = coupler(given, usual.expand(30, 765, -1))
    came = (given.sum(-1) + done.unobserved).sum(0)
    torch.testing.assert_close(came, done.leaving.sum(0) + state.stores.sum(-1), rtol=1e-12, atol=0)
    mean = done.leaving.mean(dim=1)
    assert float(mean[11]) > 5 * float(mean[9])
    assert float(mean[11]) > float(mean[14]) > float(mean[9])


def test_rivers_lead_all_water_to_the_outlets():
    place = delaware_place()
    lateral = torch.zeros(120, 456, dtype=torch.float64)
    lateral[0] = 1.0
    out = place.routing.route(lateral).discharge[:, place.routing.network.outlets]
    assert float(out.sum()) == pytest.approx(456.0, rel=1e-9)
    assert place.drains.shares.shape == (456, 765)
    assert np.isfinite(place.graph["land", "overlaps", "river"].edge_attr.numpy()).all()


def test_untrained_weights_begin_the_same_everywhere():
    place = delaware_place()
    made = RunoffCoupler.of(
        place.graph, place.drains.shares, given=GIVEN, signals=SIGNALS, static=place.static
    )
    assert float(made.offsets.detach().abs().max()) == 0.0
