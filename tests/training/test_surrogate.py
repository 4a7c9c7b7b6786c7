import dataclasses

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.engines import balance_error
from hybridwater.errors import DataError, DeclarationError
from hybridwater.training import OutsideTrainingRange, Stage

pytestmark = pytest.mark.filterwarnings("ignore::hybridwater.training.OutsideTrainingRange")


@pytest.fixture(scope="module")
def surrogate(fitted) -> hw.Surrogate:
    return fitted.surrogate


def test_simulation_has_the_skill_that_training_reported(surrogate, pair):
    simulation = surrogate.simulate(pair)
    late = slice(*surrogate.periods["validation"])
    nse = hw.scores.nse(simulation["q"].sel(time=late), pair["qobs"].sel(time=late))
    joint = surrogate.metrics.query("stage == 'joint'")
    assert float(nse.median()) == pytest.approx(joint["validation_nse"].max(), abs=0.02)


def test_basins_are_matched_by_name(surrogate, pair):
    both = surrogate.simulate(pair.sel(time="2000"))
    turned = surrogate.simulate(pair.sel(time="2000").isel(basin=[1, 0]))
    np.testing.assert_allclose(turned["q"].sel(basin="b0"), both["q"].sel(basin="b0"), rtol=1e-12)
    scalar = surrogate.simulate(pair.sel(time="2000").isel(basin=1))
    np.testing.assert_allclose(scalar["q"][0], both["q"].sel(basin="b1"), rtol=1e-12)
    assert list(scalar["basin"].values) == ["b1"]


def test_unknown_and_unnamed_basins_are_refused(surrogate, pair):
    with pytest.raises(DataError, match="'xx' is not among those of the fit"):
        surrogate.simulate(pair.assign_coords(basin=["b0", "xx"]))
    with pytest.raises(DataError, match="does not say which basin"):
        surrogate.simulate(pair.isel(basin=0, drop=True))


def test_conceptual_skeleton_runs_with_its_own_parameters(surrogate, bucket, pair):
    assert set(surrogate.skeleton) == {"k", "c", "s0"}
    conceptual = surrogate.simulate(pair, conceptual=True)
    expected = hw.simulate(bucket, pair, surrogate.skeleton, substeps=1)
    np.testing.assert_allclose(conceptual["q"], expected["q"], rtol=1e-12)
    assert not np.allclose(conceptual["et"], surrogate.simulate(pair)["et"])


def test_options_of_the_fit_may_be_changed(surrogate, pair):
    data = pair.sel(time="2000")
    assert surrogate.simulate(data).attrs["method"] == "rk4"
    finer = surrogate.simulate(data, substeps=2)
    np.testing.assert_allclose(finer["q"], surrogate.simulate(data)["q"], rtol=1e-3)
    with pytest.raises(DeclarationError, match="did you mean 'substeps'"):
        surrogate.simulate(data, substep=2)


def test_leaving_the_training_range_is_told(surrogate, pair):
    wet = pair.sel(time="2000").copy(deep=True)
    wet["prcp"][1, 200] = 500.0
    with pytest.warns(OutsideTrainingRange, match=r"prcp \(0.1% of records\), soil") as told:
        simulation = surrogate.simulate(wet)
    assert told[0].filename == __file__
    assert "prcp" in simulation.attrs["outside_training_range"]


def test_water_balance_closes(surrogate, pair):
    for conceptual in (False, True):
        simulation = surrogate.simulate(pair, conceptual=conceptual)
        balance = surrogate.water_balance(simulation)
        assert balance_error(balance) < 1e-10
        assert {"prcp", "et", "q", "storage_change", "residual"} == set(balance.data_vars)


def test_term_beside_its_conceptual_counterpart(surrogate, pair):
    term = surrogate.term("et", pair, basin="b1", samples=50)
    assert term.sizes["sample"] == 50
    assert term.attrs["term"] == "et"
    assert term.attrs["basin"] == "b1"
    assert term["learned"].attrs["units"] == "mm d-1"
    assert term["soil"].attrs["units"] == "mm"
    assert term["pet"].attrs["units"] == "mm d-1"
    pet, soil, c = term["pet"], term["soil"], surrogate.skeleton["c"][1]
    np.testing.assert_allclose(term["conceptual"], pet * soil / (soil + c), rtol=1e-12)
    instant = surrogate.simulate(pair, output="instantaneous").sel(basin="b1")
    np.testing.assert_allclose(term["learned"][[0, -1]], instant["et"][[0, -1]], rtol=1e-12)
    np.testing.assert_allclose(term["soil"][[0, -1]], instant["soil"][[0, -1]], rtol=1e-12)


def test_unknown_terms_and_basins_are_refused(surrogate, pair):
    with pytest.raises(DeclarationError, match="no network 'ett'"):
        surrogate.term("ett", pair)
    with pytest.raises(DataError, match="no basin 'b7'"):
        surrogate.term("et", pair, basin="b7")


def test_parameter_table_has_units_and_bounds(surrogate):
    table = surrogate.parameter_table()
    assert set(table.data_vars) == {"k", "s0"}  # c is of the equation that et replaced
    assert table["k"].attrs == {
        "units": "d-1",
        "long_name": "k",
        "valid_min": 1e-3,
        "valid_max": 0.5,
    }
    assert list(table["basin"].values) == ["b0", "b1"]


def test_parameters_of_a_dataset(surrogate, pair):
    values = surrogate.parameters_of(pair.isel(basin=[1]))
    assert values["k"] == surrogate.parameters["k"][1]


def test_repr_is_short(surrogate):
    assert repr(surrogate) == "<Surrogate of 'bucket': local, 2 basins>"


def test_without_a_skeleton_there_is_no_conceptual_simulation(fit, reservoir, pair):
    data = pair.isel(basin=0, drop=True)
    alone = fit(reservoir, data, train=("2000-01", "2000-06"), schedule=[Stage("joint", 1)])
    assert alone.basins == ("basin",)
    assert alone.simulate(data)["q"].sizes == {"basin": 1, "time": 400}
    with pytest.raises(DeclarationError, match="No conceptual skeleton"):
        alone.simulate(data, conceptual=True)


def test_term_beside_a_network_without_a_counterpart(surrogate, hybrid, pair):
    both = hybrid.learn("q", {"soil": (0, 200)}, hidden=(2,), positive=True)
    document = both.to_dict()
    del document["networks"]["q"]["conceptual"]
    half = dataclasses.replace(
        surrogate,
        ude=hw.UDE.from_dict(document),
        weights=np.random.default_rng(0).normal(size=(2, both.program.n_weights)),
        skeleton={},  # cannot be calibrated
    )
    term = half.term("et", pair)
    soil, c = term["soil"], surrogate.parameters["c"][0]
    np.testing.assert_allclose(term["conceptual"], term["pet"] * soil / (soil + c), rtol=1e-12)
