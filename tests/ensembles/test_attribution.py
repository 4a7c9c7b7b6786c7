"""Variance shares against what is known, and against SciPy's indices."""

import numpy as np
import pytest
import xarray as xr
from toys import Formula, additive, ishigami

from hybridwater.ensembles import (
    Design,
    Ensemble,
    Forcing,
    Parameters,
    lognormal,
    normal,
    uniform,
    variance_shares,
)
from hybridwater.errors import EnsembleError

ANGLE = uniform(-np.pi, np.pi)
ANGLES = {n: Parameters({n: ANGLE}) for n in ("x1", "x2", "x3")}


def run(tmp_path, function, sources, design):
    runs = Formula(function, batch=2000)
    with Ensemble(runs, sources, design).run(tmp_path / "e.nc") as found:
        return found.load()


def test_ishigami(tmp_path):
    """Published: Ishigami and Homma (1990); 0.3139, 0.4424, 0 and 0.5576, 0.4424, 0.2437."""
    found = run(tmp_path, ishigami, ANGLES, Design(1024, "sobol", attribution=True))
    shares = variance_shares(found["y"], found["draw"])
    for site in ("a", "b"):
        np.testing.assert_allclose(shares["alone"].sel(site=site), [0.3139, 0.4424, 0.0], atol=0.03)
        np.testing.assert_allclose(
            shares["total"].sel(site=site), [0.5576, 0.4424, 0.2437], atol=0.03
        )
    inside = (shares["total_low"] <= shares["total"]) & (shares["total"] <= shares["total_high"])
    assert inside.all()


def test_as_scipy_has_them(tmp_path):
    import scipy.stats as st

    found = run(tmp_path, ishigami, ANGLES, Design(512, "sobol", attribution=True))
    ours = variance_shares(found["y"].sel(site="a"), found["draw"])
    law = st.uniform(-np.pi, 2 * np.pi)
    theirs = st.sobol_indices(func=lambda x: ishigami(*x), n=4096, dists=[law] * 3, rng=0)
    np.testing.assert_allclose(ours["alone"], theirs.first_order, atol=0.05)
    np.testing.assert_allclose(ours["total"], theirs.total_order, atol=0.05)


def test_groups_and_noise_that_has_only_a_seed(tmp_path):
    """Variances 9, 4 and 1 of 14: one source has a number, one two, one a seed alone."""
    sources = {
        "one": Parameters({"a": normal(0, 1)}),
        "two": Parameters({"b": normal(0, 1)}),
        "noise": Forcing("rain", factor=lognormal(0.1), time="1 d"),
    }
    for kind in ("latin-hypercube", "monte-carlo"):
        (tmp_path / kind).mkdir()
        found = run(tmp_path / kind, additive, sources, Design(600, kind, attribution=True))
        shares = variance_shares(found["y"].sel(site="a"), found["draw"])
        truth = np.array([9, 4, 1]) / 14
        np.testing.assert_allclose(shares["alone"], truth, atol=0.1)
        np.testing.assert_allclose(shares["total"], truth, atol=0.1)
        assert (shares["alone_high"] - shares["alone_low"] < 0.2).all()


def test_missing_members_and_constants(tmp_path):
    found = run(tmp_path, ishigami, ANGLES, Design(512, "sobol", attribution=True))
    lost = found["y"].where(found["member"] % 100 != 7)
    shares = variance_shares(lost, found["draw"])
    np.testing.assert_allclose(shares["alone"].sel(site="a"), [0.3139, 0.4424, 0], atol=0.1)
    assert np.isnan(variance_shares(0 * found["y"] + 5, found["draw"])["alone"]).all()


def test_a_plain_ensemble_is_refused(tmp_path):
    found = run(tmp_path, ishigami, ANGLES, Design(10))
    with pytest.raises(EnsembleError, match="attribution=True"):
        variance_shares(found["y"], found["draw"])
    assert isinstance(found, xr.Dataset)
