import dataclasses
import itertools

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
    with pytest.warns(OutsideTrainingRange, match=r"training: soil \([0-9.]+% of rec") as told:
        simulation = surrogate.simulate(wet)
    assert told[0].filename == __file__
    assert "prcp" not in simulation.attrs["outside_training_range"]  # no network sees it
    warm = wet.assign(
        pet=wet["pet"].where(wet["time"].dt.day != 3, 9.0).assign_attrs(units="mm d-1")
    )
    with pytest.warns(OutsideTrainingRange, match=r"pet \(3.3% of records\)") as told:
        surrogate.scores(warm)
    assert told[0].filename == __file__


def test_models_without_networks_do_not_extrapolate(surrogate, bucket, pair):
    flood = pair.assign(prcp=(pair["prcp"] * 50).assign_attrs(pair["prcp"].attrs))
    plain = dataclasses.replace(surrogate, ude=bucket, weights=np.zeros(0))
    for simulation in (plain.simulate(flood), surrogate.simulate(flood, conceptual=True)):
        assert "outside_training_range" not in simulation.attrs
    assert "outside_training_range" in surrogate.simulate(flood).attrs


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


def test_conceptual_counterpart_is_a_curve_over_a_relative_input(surrogate, bucket, pair):
    ude = bucket.learn(
        "et", {"soil / c": (0, 4), "pet": (0, 4)}, hidden=(4,), positive=True, scale=2.0
    )
    moved = surrogate.parameters | {"c": 1.5 * surrogate.skeleton["c"]}
    term = dataclasses.replace(surrogate, ude=ude, parameters=moved).term("et", pair)
    assert term["conceptual"].attrs["comment"] == "with the parameters of the fit"
    filled = term["soil/c"]
    np.testing.assert_allclose(term["conceptual"], term["pet"] * filled / (filled + 1), rtol=1e-12)


def test_conceptual_counterpart_borrows_what_the_hybrid_does_not_train(surrogate, pair):
    moved = surrogate.parameters | {"c": 1.5 * surrogate.skeleton["c"]}
    term = dataclasses.replace(surrogate, parameters=moved).term("et", pair)
    soil, c = term["soil"], surrogate.skeleton["c"][0]
    np.testing.assert_allclose(term["conceptual"], term["pet"] * soil / (soil + c), rtol=1e-12)
    assert "(c: of the calibrated skeleton)" in term["conceptual"].attrs["comment"]


def test_scores_have_a_row_per_basin_period_and_model(surrogate, pair):
    table = surrogate.scores(pair)
    assert list(table.columns) == ["NSE", "KGE", "log-NSE", "bias"]
    assert table.index.names == ["basin", "period", "model"]
    rows = itertools.product(["b0", "b1"], ["train", "validation"], ["hybrid", "conceptual"])
    assert list(table.index) == list(rows)
    late = slice(*surrogate.periods["validation"])
    simulated = surrogate.simulate(pair, conceptual=True)["q"].sel(basin="b1", time=late)
    observed = pair["qobs"].sel(basin="b1", time=late)
    expected = [f(simulated, observed) for f in (hw.scores.nse, hw.scores.kge)]
    expected += [f(simulated, observed) for f in (hw.scores.log_nse, hw.scores.bias)]
    np.testing.assert_array_equal(table.loc["b1", "validation", "conceptual"], expected)


def test_scores_of_one_period_basin_and_given_simulations(surrogate, pair):
    one = pair.isel(basin=1)
    runs = {"ten times": surrogate.simulate(one) * 10}
    runs["ten times"]["q"].attrs["units"] = "mm d-1"
    table = surrogate.scores(one, "train", simulations=runs)
    assert list(table.index) == [("b1", "train", "ten times")]
    plain = surrogate.scores(one, "train").loc["b1", "train", "hybrid"]
    assert float(table["bias"].iloc[0]) == pytest.approx(10 * plain["bias"] + 9)


def test_scores_of_the_periods_that_are_in_the_data(surrogate, pair):
    early = pair.sel(time=slice("2000-01", "2000-09"))
    assert set(surrogate.scores(early).index.unique("period")) == {"train"}
    with pytest.raises(DataError, match=r"no records .*validation 2000-11-01 to 2001-01-31"):
        surrogate.scores(early, "validation")
    with pytest.raises(DataError, match="no period 'tests'"):
        surrogate.scores(pair, "tests")


def test_scores_need_observations(surrogate, pair):
    with pytest.raises(DataError, match="no observations 'qobs'"):
        surrogate.scores(pair.drop_vars("qobs"))
    with pytest.raises(DataError, match="not fitted to 'et'"):
        surrogate.scores(pair, flux="et")
    nothing = pair.assign(qobs=pair["qobs"].where(pair["basin"] == "b0"))
    table = surrogate.scores(nothing, "train")
    assert table.loc["b1"].isna().all(axis=None)
    assert table.loc["b0"].notna().all(axis=None)


def test_scores_of_a_second_flux(surrogate, pair):
    et = surrogate.simulate(pair)["et"]
    both = dataclasses.replace(surrogate, observed={"q": "qobs", "et": "etobs"})
    table = both.scores(pair.assign(etobs=et), flux="et").xs("hybrid", level="model")
    np.testing.assert_allclose(table["NSE"], 1)


def test_basins_may_be_numbered_in_the_data(surrogate, pair):
    numbered = dataclasses.replace(surrogate, basins=("7", "8"))
    table = numbered.scores(pair.assign_coords(basin=[7, 8]))
    np.testing.assert_array_equal(table, surrogate.scores(pair))
    assert list(table.index.unique("basin")) == ["7", "8"]


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
    assert list(alone.scores(data).index) == [("basin", "train", "model")]
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
