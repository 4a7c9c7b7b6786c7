import numpy as np
import pytest
import xarray as xr

from hybridwater.errors import DataError, DeclarationError, UnitError
from hybridwater.residuals import Inference, ResidualModel
from hybridwater.residuals.pairing import read_attributes, read_covariates, read_pair, read_records

FAR = np.timedelta64(9000, "D")


def test_units_and_labels_are_matched(pair):
    simulated, observed = pair
    shuffled = (observed.isel(gage=[3, 1, 0, 2], time=slice(10, 400)) * 1000).assign_attrs(
        units="L s-1"
    )
    _, values = read_pair(simulated, shuffled)
    np.testing.assert_allclose(values[:, 10:400], observed.values[:, 10:400])
    assert np.isnan(values[:, :10]).all()
    assert np.isnan(values[:, 400:]).all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s, o: (s, o.where(o["time"] < o["time"][30])), "has 30 observations"),
        (lambda s, o: (s * 0 + 2, o), "is constant"),
        (lambda s, o: (s, o * 0), "no observed flow at all"),
        (lambda s, o: (1.2 * o.sel(gage=s.gage), o), "no errors to learn from"),
        (lambda s, o: (s.where(s > s.min()), o), "missing"),
        (lambda s, o: (s, -o), "negative"),
        (lambda s, o: (s, o.where(o < o.max(), np.inf)), "infinite"),
        (lambda s, o: (s, o.isel(gage=[0, 1])), "not among the observed"),
        (lambda s, o: (s, o.shift(time=0).assign_coords(time=o.time + FAR)), "in common"),
        (lambda s, o: (s, o.convert_calendar("noleap", use_cftime=True)), "dates"),
        (lambda s, o: (s.expand_dims(member=2), o), "dimensions"),
        (lambda s, o: (s.isel(time=slice(None, None, -1)), o), "not sorted"),
        (lambda s, o: (s.drop_vars("gage"), o), "no coordinate"),
    ],
)  # fmt: skip
def test_bad_pairs_are_refused(pair, spoil, message):
    simulated, observed = (data.copy() for data in pair)
    simulated, observed = spoil(simulated, observed)
    keep = {"units": "m3 s-1"}
    with pytest.raises(DataError, match=message):
        read_pair(simulated.assign_attrs(keep), observed.assign_attrs(keep))


def test_what_rounding_left_below_zero_is_zero(pair):
    dry = pair[0].copy()
    dry[0, 3] = -1e-17
    assert read_records(dry, "simulation").values[0, 3] == 0.0
    assert dry[0, 3] == -1e-17  # what was given stays as it is
    dry[0, 3] = -1e-6 * dry[0].mean()
    with pytest.raises(DataError, match="negative"):
        read_records(dry, "simulation")


def test_bad_units_are_refused(pair):
    simulated, observed = pair
    with pytest.raises(UnitError, match="cannot be converted"):
        read_pair(simulated, observed.assign_attrs(units="mm d-1"))
    with pytest.raises(UnitError, match="no units"):
        read_pair(simulated, observed.drop_attrs())


def test_attributes_are_matched_by_site(pair):
    simulation = read_records(pair[0], "simulation")
    gages = ["g3", "g2", "g1", "g0"]
    given = xr.Dataset({"area": ("gage", [4.0, 3.0, 2.0, 1.0])}, {"gage": gages})
    table, names = read_attributes(given, simulation)
    np.testing.assert_array_equal(table[:, 0], [1, 2, 3, 4])
    assert names == ["area"]
    with pytest.raises(DataError, match="of site 'g0' is missing"):
        read_attributes(given.isel(gage=slice(0, 3)), simulation)


def test_covariates_need_every_time(pair):
    simulation = read_records(pair[0], "simulation")
    rain = (pair[0].isel(gage=0, drop=True) * 0 + 3).rename("rain")
    assert read_covariates(rain.to_dataset(), simulation)["rain"].shape == (4, 500)
    with pytest.raises(DataError, match="'rain' is missing at site"):
        read_covariates(rain.isel(time=slice(1, None)).to_dataset(), simulation)


def test_unknown_terms_and_choices_are_refused(pair):
    with pytest.raises(DeclarationError, match="did you mean 'season'"):
        ResidualModel(bias=["seasons"]).fit(*pair)
    with pytest.raises(DeclarationError, match="did you mean 'svi'"):
        Inference(method="svii")
    with pytest.raises(DeclarationError, match="weight"):
        ResidualModel(weight=0.0)
