import jax
import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from hybridwater.engines.embedded.interpolation import at, coefficients

TAU = np.linspace(0.0, 1.0, 9)


def curve(forcing, interpolation):
    """Values at TAU, shape (len(TAU), time, n_forcings, batch)."""
    with jax.enable_x64(True):
        coefs = np.asarray(coefficients(forcing, interpolation))
        records = np.moveaxis(coefs, 0, 2)  # (order, n_forcings, time, batch)
        values = [np.stack([np.asarray(v) for v in at(records, tau)]) for tau in TAU]
    return np.moveaxis(np.stack(values), 1, 2)


@pytest.fixture(scope="module")
def forcing():
    """Rain with dry spells, plateaus and turning points, shape (batch, time, n_forcings)."""
    rng = np.random.default_rng(0)
    wet = rng.gamma(0.5, 10.0, (3, 40)) * (rng.random((3, 40)) < 0.5)
    return np.stack([wet, np.round(rng.normal(0, 2, (3, 40)))], axis=-1)


def test_constant(forcing):
    values = curve(forcing, "constant")
    np.testing.assert_array_equal(
        values, np.broadcast_to(np.moveaxis(forcing, 0, -1), values.shape)
    )


def test_linear(forcing):
    values = curve(forcing, "linear")
    u = np.moveaxis(forcing, 0, -1)
    expected = u[:-1] + TAU[:, None, None, None] * (u[1:] - u[:-1])
    np.testing.assert_allclose(values[:, :-1], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("days", [2, 3, 4, 40])
def test_pchip_is_that_of_scipy(forcing, days):
    values = curve(forcing[:, :days], "pchip")
    scipys = PchipInterpolator(np.arange(days), forcing[:, :days], axis=1)
    for record in range(days - 1):
        expected = np.moveaxis(scipys(record + TAU), 0, -1)
        np.testing.assert_allclose(values[:, record], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("interpolation", ["linear", "pchip"])
@pytest.mark.parametrize("days", [1, 2, 40])
def test_the_last_value_is_held(forcing, interpolation, days):
    values = curve(forcing[:, :days], interpolation)
    last = np.moveaxis(forcing[:, days - 1], 0, -1)
    np.testing.assert_allclose(values[:, -1], np.broadcast_to(last, (len(TAU), *last.shape)))


def test_pchip_does_not_overshoot(forcing):
    values = curve(forcing, "pchip")[:, :-1]
    u = np.moveaxis(forcing, 0, -1)
    low, high = np.minimum(u[1:], u[:-1]), np.maximum(u[1:], u[:-1])
    assert (values >= low - 1e-12).all()
    assert (values <= high + 1e-12).all()
