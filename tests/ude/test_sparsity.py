import jax
import numpy as np
import pytest

from hybridwater.engines.embedded.equations import equations, join, split, unpack_weights
from hybridwater.ude.sparsity import sparsity

OUTPUTS = ("q", "total", "share")


def slopes(ude, outputs=OUTPUTS):
    """Jacobian of derivatives and outputs by JAX."""
    program = ude.program
    f = equations(program, outputs)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=program.n_weights)
    p = [ude.parameter(n).default for n in program.parameters]

    def flat(states):
        parts = split(program, program.states, states)
        d, o = f(parts, [0.3] * len(program.forcings), p, unpack_weights(program.networks, weights))
        return join([*d, *o], states)

    with jax.enable_x64(True):
        return np.asarray(jax.jacfwd(flat)(jax.numpy.asarray(rng.uniform(1, 3, program.n_states))))


def test_pattern_is_where_the_jacobian_has_numbers(layered):
    found = sparsity(layered.program, OUTPUTS)
    dense = slopes(layered)
    assert dense.shape == found.shape
    pattern = np.zeros(found.shape, bool)
    pattern[found.rows, found.columns] = True
    np.testing.assert_array_equal(pattern, dense != 0)


def test_colours_recover_the_jacobian(layered):
    outputs = ("q",)
    found, dense = sparsity(layered.program, outputs), slopes(layered, outputs)
    assert found.n_colours == 3
    compressed = dense @ found.seeds().T
    recovered = np.zeros_like(dense)
    recovered[found.rows, found.columns] = compressed[found.rows, found.colours[found.columns]]
    np.testing.assert_array_equal(recovered, dense)


def test_a_sum_over_the_cells_takes_a_colour_for_each(layered):
    assert sparsity(layered.program, ("total",)).n_colours == 6


@pytest.mark.parametrize("cells", [1, 2])
def test_few_cells(make_layered, cells):
    ude = make_layered(cells)
    found = sparsity(ude.program, ("q",))
    dense = slopes(ude, ("q",))
    assert set(zip(*np.nonzero(dense), strict=True)) <= set(
        zip(found.rows, found.columns, strict=True)
    )
