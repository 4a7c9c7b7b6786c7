import tomllib

import pytest
from reservoirs import Litres, start

from hybridwater.cases.proposed import write_proposal
from hybridwater.components import get_component
from hybridwater.coupling.proposals import propose
from hybridwater.errors import CaseError, ComponentError, MissingDependency
from hybridwater.meshes import latlon_mesh


def ready(**components):
    for component in components.values():
        component.initialize("")
    return components


def certain(proposals):
    return {
        (str(p.candidates[0].source), str(p.target), p.candidates[0].remap)
        for p in proposals
        if p.certain
    }


def test_water_that_leaves_can_come_in_elsewhere():
    found = propose(ready(up=start(), down=Litres(area=[1e6, 2e6])))
    into_down = next(p for p in found if str(p.target) == "down.inflow")
    assert [str(c.source) for c in into_down.candidates] == ["up.runoff_flux"]
    assert into_down.candidates[0].remap == "identity"
    assert "L h-1" in " ".join(into_down.candidates[0].reasons)
    assert not into_down.certain  # it has a value if nobody sets it


def test_states_and_other_units_are_no_candidates():
    found = propose(ready(up=start(), down=start()))
    sources = {str(c.source) for p in found for c in p.candidates}
    assert sources == {"up.runoff_flux", "down.runoff_flux"}


def test_meshes_decide_how_values_get_there():
    def square(n, name):
        return latlon_mesh(list(range(n + 1)), [0, 1], name=name)

    two, three = square(2, "two"), square(3, "three")
    one = start(mesh=two, area=two.areas)
    other = start(cells=3, mesh=three, area=three.areas)
    found = propose(ready(one=one, other=other))
    remaps = {c.remap for p in found for c in p.candidates}
    assert remaps == {"conservative"}


def test_gr4j_and_a_reservoir(tmp_path):
    try:
        text = write_proposal(["hill=gr4j", "lake=starfit"], tmp_path / "case.toml")
    except MissingDependency:
        pytest.skip("pywatershed is not installed")
    case = tomllib.loads(text)
    assert case["exchange"] == [
        {
            "source": "hill.runoff_flux",
            "target": "lake.reservoir_inflow_water_volume_transport",
        }
    ]
    assert "# hill.precipitation_flux [kg m-2 d-1]" in text
    assert (tmp_path / "case.toml").read_text() == text
    with pytest.raises(CaseError, match="a file already"):
        write_proposal(["gr4j", "hbv"], tmp_path / "case.toml")


def test_the_parts_of_prms():
    try:
        names = ("land", "groundwater", "channel")
        parts = ready(**{n: get_component(f"prms-{n}")(compile=False) for n in names})
    except MissingDependency:
        pytest.skip("pywatershed is not installed")
    found = propose(parts)
    assert certain(found) == {
        ("land.groundwater_recharge_flux", "groundwater.groundwater_recharge_flux", "identity"),
        ("land.surface_runoff_flux", "channel.surface_runoff_flux", "identity"),
        ("land.subsurface_runoff_flux", "channel.subsurface_runoff_flux", "identity"),
        (
            "groundwater.groundwater_discharge_flux",
            "channel.groundwater_discharge_flux",
            "identity",
        ),
    }
    without = {str(p.target) for p in found if not p.candidates}
    assert "land.lwe_precipitation_rate" in without


def test_what_cannot_be_proposed():
    with pytest.raises(CaseError, match="two components or more"):
        write_proposal(["gr4j"])
    with pytest.raises(CaseError, match="no name"):
        write_proposal(["a b=gr4j", "hbv"])
    with pytest.raises(ComponentError, match="without arguments"):
        write_proposal(["gr4j", "forcing"])
    assert "[components.gr4j-2]" in write_proposal(["gr4j", "gr4j"])
