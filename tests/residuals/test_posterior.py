import json

import numpy as np
import pytest

from hybridwater import scores
from hybridwater.errors import DataError, UnitError, WeightsError
from hybridwater.residuals import Inference, ResidualModel, ResidualPosterior

HALF_A_DAY = np.timedelta64(12, "h")


def later(pair):
    return [data.isel(time=slice(300, 500)) for data in pair]


def test_an_ensemble_covers_what_it_should_in_years_not_fitted(pair, posterior):
    simulated, observed = later(pair)
    ensemble = posterior.sample(simulated, 200)
    assert ensemble.dims == ("member", "gage", "time")
    assert ensemble.attrs["units"] == "m3 s-1"
    assert float(ensemble.min()) >= 0
    assert float(scores.coverage(ensemble, observed).mean()) == pytest.approx(0.9, abs=0.06)


def test_updating_is_sharper_and_as_calibrated(pair, posterior):
    simulated, observed = later(pair)
    free = posterior.sample(simulated, 200)
    updated = posterior.sample(simulated, 200, observed=observed, lead=1)
    gain = scores.skill(scores.crps(updated, observed), scores.crps(free, observed))
    assert float(gain.mean()) > 0.25  # AR(1) of 0.8: innovations are 0.6 as large
    assert float(scores.coverage(updated, observed).mean()) == pytest.approx(0.9, abs=0.05)
    errors = [
        float(scores.crps(posterior.sample(simulated, 100, observed=observed, lead=k), observed)
              .mean())
        for k in (1, 3, 20)
    ]  # fmt: skip
    assert errors[0] < errors[1] < errors[2]
    assert errors[2] == pytest.approx(float(scores.crps(free, observed).mean()), rel=0.05)


def test_a_forecast_starts_at_the_last_observation(pair, posterior):
    simulated, observed = later(pair)
    known = observed.isel(time=slice(0, 100))
    ensemble = posterior.sample(simulated, 100, observed=known)
    np.testing.assert_allclose(
        ensemble.isel(time=slice(0, 100)), known.expand_dims(member=100), rtol=1e-12
    )
    spread = ensemble.std("member") / simulated
    tomorrow, far = (spread.isel(time=t).mean() for t in (100, slice(150, 200)))
    assert float(tomorrow) < 0.8 * float(far)


def test_the_same_seed_gives_the_same_members(pair, posterior):
    simulated, _ = later(pair)
    first, second, other = (posterior.sample(simulated, 5, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_some_sites_in_another_unit(pair, posterior):
    simulated, _ = later(pair)
    part = (simulated.isel(gage=[2, 0]) * 1000).assign_attrs(units="L s-1")
    ensemble = posterior.sample(part, 400)
    assert list(ensemble["gage"].values) == ["g2", "g0"]
    whole = posterior.sample(simulated, 400)
    ratio = ensemble.median("member") / whole.sel(gage=["g2", "g0"]).median("member")
    np.testing.assert_allclose(ratio.mean("time"), 1, rtol=0.1)


def test_saved_and_loaded_it_is_the_same(pair, posterior, tmp_path):
    simulated, observed = later(pair)
    posterior.save(tmp_path / "residuals")
    loaded = ResidualPosterior.load(tmp_path / "residuals")
    assert loaded.model == posterior.model
    assert loaded.diagnostics == posterior.diagnostics
    for data in ({}, {"observed": observed, "lead": 2}):
        np.testing.assert_array_equal(
            loaded.sample(simulated, 7, **data), posterior.sample(simulated, 7, **data)
        )


@pytest.mark.parametrize("name", ["residuals.json", "residuals.safetensors"])
def test_damaged_files_are_refused(posterior, tmp_path, name):
    posterior.save(tmp_path)
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(WeightsError):
        ResidualPosterior.load(tmp_path)
    file.unlink()
    with pytest.raises(WeightsError, match="There is no"):
        ResidualPosterior.load(tmp_path)


def test_another_time_step_than_that_of_the_fit_is_refused(pair, posterior):
    simulated, _ = later(pair)
    halves = simulated["time"].values[0] + np.arange(200) * HALF_A_DAY
    with pytest.raises(DataError, match="every 43200 s, and the fit had one every 86400 s"):
        posterior.sample(simulated.assign_coords(time=halves))


@pytest.mark.parametrize("schema", [1, 2, 4])
def test_a_file_of_another_version_is_refused(posterior, tmp_path, schema):
    posterior.save(tmp_path)
    file = tmp_path / "residuals.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": schema}))
    with pytest.raises(WeightsError, match=f"has schema {schema}.*reads 3.*Fit again"):
        ResidualPosterior.load(tmp_path)


def test_parameters_are_named(posterior):
    table = posterior.parameters()
    assert list(table["bias_term"].values) == [
        "constant", "capped level", "fall", "recent", "wetness",
    ]  # fmt: skip
    chain = list(table["persistence_term"].values)
    assert chain[:2] == ["slowest_constant", "slowest_rise"]
    assert chain[5:7] == ["slow_constant", "slow_rise"]
    assert chain[10:] == ["slowest_memory", "slow_memory", "fast_memory"]
    assert table["bias"].dims == ("draw", "gage", "bias_term")


def test_one_series_without_sites(pair):
    simulated, observed = (data.isel(gage=1, drop=True) for data in pair)
    model = ResidualModel(bias=[], scale=[], tails="normal", autocorrelated=False)
    fitted = model.fit(simulated, observed, inference=Inference(draws=20))
    assert fitted.sample(simulated, 3).dims == ("member", "time")
    with pytest.raises(DataError, match="not autocorrelated"):
        fitted.sample(simulated, observed=observed)


def test_bad_requests_are_refused(pair, posterior):
    simulated, observed = later(pair)
    with pytest.raises(DataError, match="was not fitted"):
        posterior.sample(simulated.assign_coords(gage=["g0", "g1", "g2", "h3"]))
    with pytest.raises(DataError, match="members"):
        posterior.sample(simulated, 0)
    with pytest.raises(DataError, match="lead"):
        posterior.sample(simulated, lead=1)
    with pytest.raises(DataError, match=r"lead of 201 records.* 200 records"):
        posterior.sample(simulated, observed=observed, lead=201)
    with pytest.raises(UnitError):
        posterior.sample(simulated.assign_attrs(units="mm d-1"))
