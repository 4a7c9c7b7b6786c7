import numpy as np
import pytest

import hybridwater as hw
from hybridwater.errors import DeclarationError, UnitError
from hybridwater.ude.staggered import above, below, column_sum, ends, lowermost

NAME = "m2 d-1"


def diffusion(cells=5, thickness=0.5):
    """Diffusion of a stored amount, fed at the top, held at the bottom."""

    @hw.model
    def rod(m):
        feed = m.forcing("feed", "m d-1")
        rod = m.column("rod", thickness, "m", count=cells)
        S = m.state("S", "m", initial=0.1, on=rod)
        D = m.parameter("D", NAME, bounds=(0.01, 10), default=0.3)
        level = m.constant("level", 0.2, "1")
        c = m.flux("c", S / rod.thickness, "1")
        loss = m.flux("loss", D * (lowermost(c) - level) / lowermost(rod.distance), "m d-1")
        inner = D * (above(c) - below(c)) / rod.distance
        q = m.flux("q", ends(inner, feed, loss), "m d-1")
        m.derivative(S, above(q) - below(q))

    return rod


@pytest.fixture(scope="module")
def rod():
    return diffusion()


def test_places_follow_from_the_equations(rod):
    places = {name: place.dimension for name, place in rod.places.items()}
    assert places["S"] == places["c"] == places["rod_depth"] == "rod"
    assert places["q"] == places["rod_distance"] == "rod_face"
    assert "loss" not in places
    assert rod.program.n_states == 5
    assert rod.program.sizes(("c", "q", "loss")) == (5, 6, 1)


def test_geometry_of_uneven_cells():
    column = diffusion(3, (1.0, 2.0, 4.0)).columns[0]
    geometry = {name: values.tolist() for name, (_, values) in column.geometry.items()}
    assert geometry["rod_depth"] == [0.5, 2.0, 5.0]
    assert geometry["rod_distance"] == [0.5, 1.5, 3.0, 2.0]
    assert column.face_depths.tolist() == [0.0, 1.0, 3.0, 7.0]


@pytest.mark.parametrize("thickness", [0.5, (0.25, 0.5, 1.0, 1.0, 2.0)])
def test_both_spellings_give_one_object(thickness):
    model = diffusion(5, thickness)
    assert hw.UDE.from_dict(model.to_dict()) == model
    assert "below(c)" in str(model)
    assert model.fingerprint != diffusion(4).fingerprint


def test_scalar_models_do_not_mention_columns():
    written = hw.models.exp_hydro().to_dict()
    assert "columns" not in written
    assert all("on" not in state for state in written["states"].values())


def test_what_moves_between_cells_cancels(rod):
    assert rod.boundary == {"feed": ("in", 1.0), "loss": ("out", 1.0)}


def change(section, key, **changes):
    data = diffusion().to_dict()
    data[section][key] = data[section][key] | changes
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (change("states", "S", equation="above(q) - q"), "side by side"),
        (change("states", "S", equation="q"), "The derivative has values on the faces of 'rod'"),
        (change("states", "S", on="road"), "There is no column 'road'"),
        (change("states", "S", initial=[1, 2]), "There are 2 initial values for 5 cell"),
        (change("states", "S", on=""), "the state is one number"),
        (change("fluxes", "loss", equation="above(feed)"), "takes what is the same in all cells"),
        (change("fluxes", "q", equation="ends(q, c, feed)"), "circle"),
        (
            change("fluxes", "q", equation="ends(D*above(c)/rod_distance, feed, D*c/rod_distance)"),
            "side by side",
        ),
        (
            change("fluxes", "c", equation="above(above(S, 0), 0) / rod_thickness"),
            "every cell has a face above",
        ),
        (change("fluxes", "c", equation="above(S, S) / rod_distance"), "at an end of the column"),
        (change("columns", "rod", count=0), "for 0 cells"),
        (change("columns", "rod", count=10**9), "count of 1 to"),
        (change("columns", "rod", thickness=[1, 2]), "2 thicknesses are given for 5 cells"),
        (change("columns", "rod", thickness=-1), "The thickness of cell 0 is -1"),
        (change("columns", "rod", depth=3), "The key 'depth' is not known"),
    ],
)
def test_bad_declarations(data, message):
    with pytest.raises(DeclarationError) as caught:
        hw.UDE.from_dict(data)
    assert message in str(caught.value)


def test_names_that_belong_to_the_column():
    data = diffusion().to_dict()
    data["forcings"]["rod_depth"] = {"unit": "m"}
    with pytest.raises(DeclarationError, match="and by the column 'rod'"):
        hw.UDE.from_dict(data)
    data = change("fluxes", "c", equation="S / rod")
    with pytest.raises(DeclarationError, match="'rod' is not declared"):
        hw.UDE.from_dict(data)


def test_units_are_checked_through_the_functions():
    with pytest.raises(UnitError):
        hw.UDE.from_dict(change("fluxes", "q", equation="ends(above(c), feed, loss)"))
    with pytest.raises(UnitError, match="no length"):
        hw.UDE.from_dict(change("columns", "rod", unit="d"))


def test_sums_over_parts_of_a_balance():
    @hw.model
    def soil(m):
        rain = m.forcing("rain", "mm d-1")
        layers = m.column("layers", 10.0, "mm", count=4)
        W = m.state("W", "mm", initial=np.arange(4.0), on=layers)
        pond = m.state("pond", "mm")
        k = m.parameter("k", "d-1", bounds=(0, 1))
        enter = m.flux("enter", k * pond, "mm d-1")
        uptake = m.flux("uptake", k * W, "mm d-1")
        m.flux("transpiration", column_sum(uptake), "mm d-1")
        q = m.flux("q", ends(k * above(W), enter, k * lowermost(W)), "mm d-1")
        m.flux("drainage", lowermost(q), "mm d-1")
        m.derivative(pond, rain - enter)
        m.derivative(W, above(q) - below(q) - uptake)

    roles = {"rain": ("in", 1.0), "drainage": ("out", 1.0), "transpiration": ("out", 1.0)}
    assert soil.boundary == roles
    assert soil.states[0].initial == (0.0, 1.0, 2.0, 3.0)
