import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridwater.coupling.buffer import FluxBuffer, StateBuffer

steps = st.floats(1e-3, 1e5)


def fill(buffer, step, n, values):
    for i in range(n):
        buffer.put((i + 1) * step, step, values[i])


@given(steps, steps, st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_two_steps_keep_the_integral(source, target, n, seed):
    values = np.random.default_rng(seed).normal(size=(n, 3)) * 10.0 ** (seed % 7)
    buffer = FluxBuffer(0.0, 1e-9 * min(source, target))
    fill(buffer, source, n, values)
    taken, k = np.zeros(3), 0
    while buffer.pieces and buffer.covers((k + 1) * target) and k < 200:
        k += 1
        taken += buffer.take(k * target, target) * target
    given_ = values.sum(axis=0) * source
    gross = np.abs(values).sum() * source
    assert np.abs(given_ - taken - buffer.in_transit()).max() <= 1e-13 * gross


@given(steps, st.integers(1, 30))
def test_constant_flux_stays_constant(source, n):
    values = np.full((n, 2), 0.1)
    buffer = FluxBuffer(0.0, 1e-9 * source)
    fill(buffer, source, n, values)
    total = n * source
    for end, length in ((total * 0.3, total * 0.3), (total, total * 0.7)):
        assert buffer.take(end, length) == pytest.approx(0.1, rel=1e-12)


def test_all_substeps_count_not_the_last_one():
    buffer = FluxBuffer(0.0, 1e-9)
    fill(buffer, 1.0, 3, np.array([[3.0], [0.0], [0.0]]))
    assert buffer.take(3.0, 3.0)[0] == 1.0


def test_equal_steps_hand_on_the_same_bits():
    values = np.random.default_rng(0).normal(size=(50, 4))
    buffer = FluxBuffer(0.0, 1e-5)
    for i in range(50):
        buffer.put((i + 1) * 86400 / 7, 86400 / 7, values[i])
        assert (buffer.take((i + 1) * 86400 / 7, 86400 / 7) == values[i]).all()
    assert buffer.in_transit() == 0.0


def test_what_is_lent_is_copied_before_its_giver_changes_it():
    buffer, values = FluxBuffer(0.0, 1e-9), np.array([1.0, 2.0])
    buffer.put(1.0, 1.0, values, lent=True)
    buffer.own()
    values += 10.0
    buffer.put(2.0, 1.0, values, lent=True)
    kept = buffer.kept()
    values += 10.0
    assert buffer.take(2.0, 2.0).tolist() == [6.0, 7.0]
    buffer.restore(kept)
    assert buffer.in_transit().tolist() == [12.0, 14.0]


def test_what_is_lent_and_taken_is_not_copied():
    buffer, values = FluxBuffer(0.0, 1e-9), np.array([1.0])
    buffer.put(1.0, 1.0, values, lent=True)
    assert buffer.take(1.0, 1.0) is values
    buffer.own()
    assert buffer.in_transit() == 0.0


def test_far_from_time_zero_no_digit_is_lost():
    buffer = FluxBuffer(0.0, 1e-9)
    step, taken = 600.0, 0.0
    for i in range(1000):
        buffer.put(1e10 + (i + 1) * step, step, np.array([1.0 + i % 3]))
    for i in range(2000):
        taken += float(buffer.take(1e10 + (i + 1) * 299.9, 299.9)[0]) * 299.9
    left = float(np.sum(buffer.in_transit()))
    assert taken + left == pytest.approx(600.0 * sum(1.0 + i % 3 for i in range(1000)), rel=1e-13)


def states(mean):
    buffer = StateBuffer(0.0, 1e-9, mean)
    before = np.zeros(1)
    for end in (1.0, 2.0, 3.0):  # the line y = t
        buffer.put(end, 1.0, np.array([end]), before)
        before = np.array([end])
    return buffer


@pytest.mark.parametrize("end", [0.25, 1.0, 1.7, 3.0])
def test_state_at_a_time(end):
    assert states(mean=False).take(end, 0.1)[0] == pytest.approx(end)


def test_mean_of_a_state_is_that_of_its_line():
    buffer = states(mean=True)
    assert buffer.take(1.5, 1.5)[0] == pytest.approx(0.75)
    assert buffer.take(3.0, 1.5)[0] == pytest.approx(2.25)


@pytest.mark.parametrize(
    "make", [lambda: FluxBuffer(0.0, 1e-9), lambda: StateBuffer(0.0, 1e-9, True)]
)
def test_arrays_hold_everything(make):
    one, other = make(), make()
    fill(one, 1.0, 4, np.arange(8.0).reshape(4, 2))
    one.take(1.3, 1.3)
    other.set_arrays(one.arrays())
    assert (one.take(3.1, 1.8) == other.take(3.1, 1.8)).all()
    other.restore(one.kept())
    assert (one.take(4.0, 0.9) == other.take(4.0, 0.9)).all()
