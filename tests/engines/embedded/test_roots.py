import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridwater.engines.embedded.roots import roots


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def kepler(mean):
    """Kepler's equation E - e sin(E) = M: the classic of a root that has no formula."""
    return roots(lambda z: [z[0] - 0.99 * jnp.sin(z[0]) - mean], [(0.0, 4.0)], [2.0], mean)[0]


def test_one_equation_in_every_lane():
    mean = jnp.linspace(0.0, 3.0, 7)
    found = kepler(mean)
    np.testing.assert_allclose(found - 0.99 * jnp.sin(found), mean, rtol=1e-14, atol=1e-15)


def test_slopes_are_those_of_the_implicit_function():
    mean = jnp.linspace(0.1, 3.0, 5)
    z = kepler(mean)
    first, second = 1 - 0.99 * jnp.cos(z), 0.99 * jnp.sin(z)
    one = jax.vmap(jax.grad(lambda m: kepler(m)))(mean)
    np.testing.assert_allclose(one, 1 / first, rtol=1e-12)
    two = jax.vmap(jax.grad(jax.grad(lambda m: kepler(m))))(mean)
    np.testing.assert_allclose(two, -second / first**3, rtol=1e-10)
    _, forward = jax.jvp(kepler, (mean,), (jnp.ones_like(mean),))
    np.testing.assert_allclose(forward, 1 / first, rtol=1e-12)


def test_the_search_stays_within_its_bounds():
    seen = []

    def watched(z):
        jax.debug.callback(lambda v: seen.append(float(v)), z[0])
        return [jnp.sqrt(z[0]) - jnp.exp(-20 * z[0])]  # NaN below zero, steep, nearly flat

    (found,) = roots(watched, [(0.0, 1e6)], [1e6], jnp.zeros(()))
    jax.effects_barrier()
    np.testing.assert_allclose(jnp.sqrt(found), jnp.exp(-20 * found), rtol=1e-12)
    assert min(seen) >= 0.0
    assert max(seen) <= 1e6


def test_roots_at_the_bounds_are_found():
    for wanted in (0.0, 1.0):
        (found,) = roots(lambda z, w=wanted: [z[0] - w], [(0.0, 1.0)], [0.3], jnp.zeros(2))
        np.testing.assert_allclose(found, wanted, atol=1e-15)


def test_no_solution_is_nan_in_its_lane_only():
    level = jnp.array([0.5, 2.0, jnp.nan])
    (found,) = roots(lambda z: [z[0] ** 2 - level], [(0.0, 1.0)], [0.5], level)
    np.testing.assert_allclose(found, [np.sqrt(0.5), np.nan, np.nan])


def circle(radius):
    """Where a circle meets the parabola y = x^2 (x > 0), from a poor guess."""
    return roots(
        lambda z: [z[0] ** 2 + z[1] ** 2 - radius**2, z[1] - z[0] ** 2],
        [(0.01, 10.0), (0.0, 10.0)],
        [9.0, 0.1],
        radius,
    )


def test_several_equations_at_once():
    radius = jnp.array([0.5, 1.0, 3.0])
    y = (-1 + jnp.sqrt(1 + 4 * radius**2)) / 2
    found = circle(radius)
    np.testing.assert_allclose(found, [jnp.sqrt(y), y], rtol=1e-13)
    slope = jax.vmap(jax.grad(lambda r: circle(r)[1]))(radius)
    np.testing.assert_allclose(slope, 2 * radius / jnp.sqrt(1 + 4 * radius**2), rtol=1e-12)


def test_several_equations_without_a_solution_within_bounds():
    found = circle(jnp.array([1.0, 1e3]))
    assert np.isfinite([f[0] for f in found]).all()
    assert np.isnan([f[1] for f in found]).all()


def test_in_float32():
    mean = jnp.linspace(0.0, 3.0, 4, dtype=jnp.float32)
    found = kepler(mean)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found - 0.99 * jnp.sin(found), mean, atol=1e-6)
