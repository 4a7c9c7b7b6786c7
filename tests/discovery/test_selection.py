"""The rule of recommendation, on errors made by hand."""

from __future__ import annotations

import numpy as np

from hybridwater.discovery.selection import held_out, judge

BLOCK = np.repeat(np.arange(8), 25)
CONSTANT = np.ones(200)


def errors(*levels: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    shared = rng.gamma(4.0, 0.25, 200)
    return np.array([level * shared for level in levels])


def rule(levels, complexity, noise=0.0):
    return judge(errors(*levels), np.array(complexity), CONSTANT, BLOCK, noise, 0.01)


def test_held_out_blocks():
    searched, block = held_out(1000, 0)
    assert 0.6 < searched.mean() < 0.75
    assert all(len(set(searched[block == b])) == 1 for b in np.unique(block))
    assert (held_out(1000, 1)[0] != searched).any()


def test_simplest_below_the_floor():
    assert rule([0.5, 0.009, 0.004, 0.003], [2, 4, 8, 12]).chosen == 1


def test_a_steep_step_is_taken_a_slow_decline_is_not():
    assert rule([0.5, 0.15, 0.003, 0.002, 0.001], [2, 5, 6, 8, 12], noise=0.2).chosen == 2
    assert rule([0.5, 0.009, 1e-9], [2, 5, 6]).chosen == 1  # below the tolerance nothing counts


def test_nothing_that_explains_too_little():
    judged = rule([0.95, 0.9, 0.85], [2, 4, 8])
    assert judged.chosen is None
    assert "No equation is recommended" in judged.why


def test_nothing_that_is_good_in_one_block_only():
    bad = np.where(BLOCK == 0, 0.0, 1.01)[None]
    constant = np.where(BLOCK == 0, 20.0, 1.0)
    judged = judge(bad, np.array([3]), constant, BLOCK, 0.0, 0.01)
    assert judged.chosen is None
    assert "12% of the blocks" in judged.why


def test_no_candidate():
    assert judge(np.empty((0, 200)), np.empty(0), CONSTANT, BLOCK, 0.0, 0.01).chosen is None
