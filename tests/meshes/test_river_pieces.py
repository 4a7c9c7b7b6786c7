import numpy as np
import pytest

from hybridwater.errors import DataError, MeshError
from hybridwater.meshes import RiverNetwork, RiverPieces, Sizing


@pytest.fixture(scope="module")
def tree():
    """Return a random tree of 200 reaches with two outlets; reaches are in no order."""
    random = np.random.default_rng(0)
    inner = [random.integers(0, i) if random.random() < 0.3 else i - 1 for i in range(2, 200)]
    to = np.array([-1, -1, *inner])
    place = random.permutation(200)
    points = np.stack([np.linspace(0, 5, 200), np.linspace(40, 45, 200)], axis=1)
    shuffled = np.empty(200, dtype=int)
    shuffled[place] = np.where(to < 0, -1, place[to])
    return RiverNetwork(
        shuffled, random.uniform(100, 4000, 200), areas=random.uniform(1, 2, 200), points=points
    )


def test_reaches_are_pieces_of_themselves(tree):
    pieces = RiverPieces.of(tree)
    np.testing.assert_allclose(pieces.network.lengths, tree.lengths[pieces.line.order])
    np.testing.assert_allclose(pieces.network.distance, tree.distance[pieces.line.order])
    np.testing.assert_allclose(pieces.network.areas, tree.areas[pieces.line.order])
    np.testing.assert_allclose(pieces.network.points, tree.points[pieces.line.order], atol=1e-12)


def test_a_wave_is_followed_and_nothing_is_lost(tree):
    base = here = RiverPieces.of(tree)
    sizing = Sizing(100.0, 5000.0, change=0.2, cells=260)
    for at in (20e3, 30e3, 40e3):
        wave = 1.0 + np.tanh((here.network.distance - at) / 2e3)
        fresh = here.resized(wave, sizing)
        assert len(fresh.line.next) <= fresh.network.size <= 260
        assert fresh.network.lengths.max() <= 5000.0 + 1e-6
        assert len(fresh.network.outlets) == 2
        assert fresh.network.lengths.sum() == pytest.approx(tree.lengths.sum(), rel=1e-12)
        assert fresh.network.areas.sum() == pytest.approx(tree.areas.sum(), rel=1e-12)
        assert fresh.network.distance.max() == pytest.approx(tree.distance.max(), rel=1e-9)
        for order in (1, 2):
            moved = here.remap_to(fresh, order=order).means(wave)
            kept = moved @ fresh.network.lengths
            assert kept == pytest.approx(wave @ here.network.lengths, rel=1e-12)
            assert wave.min() - 1e-12 <= moved.min()
            assert moved.max() <= wave.max() + 1e-12
        steep = np.abs(fresh.network.distance - at) < 2e3
        flat = np.abs(fresh.network.distance - at) > 15e3
        long = fresh.network.lengths
        assert np.median(long[steep]) < 0.5 * np.median(long[flat])
        here = fresh
    assert base.remap_to(here).means(np.ones(200)) == pytest.approx(1.0, abs=1e-12)


def test_second_order_is_exact_for_what_is_linear_along_a_river():
    river = RiverPieces.of(RiverNetwork([1, 2, 3, 4, -1], [900.0, 1100.0, 1000.0, 800.0, 1200.0]))
    finer = river.resized(np.zeros(5), Sizing(300.0, 300.0, change=1.0))
    middle = [0.5 * (p.cuts[1:] + p.cuts[:-1]) for p in (river, finer)]
    moved = river.remap_to(finer, order=2).means(middle[0])
    # the first and the last reach are flattened: nothing may exceed their own values
    inner = (finer.cuts[:-1] > 900.0) & (finer.cuts[1:] < 3800.0)
    np.testing.assert_allclose(moved[inner], middle[1][inner], rtol=1e-9)
    first = river.remap_to(finer, order=1).means(middle[0])
    assert np.abs(first - middle[1])[inner].max() > 100.0


def test_short_reaches_are_joined_and_long_ones_divided_but_confluences_stay():
    #  0 -> 1 -> 2 -> 5 -> 6;  3 -> 4 -> 5
    river = RiverNetwork([1, 2, 5, 4, 5, 6, -1], [100.0, 100.0, 100.0, 9e3, 9e3, 50.0, 50.0])
    made = RiverPieces.of(river).resized(np.zeros(7), Sizing(1000.0, 3000.0, change=1.0)).network
    assert sorted(made.lengths.round(6)) == [100.0, 300.0] + [3000.0] * 6
    below = made.lengths[made.to[made.to >= 0]]
    assert (np.bincount(made.to[made.to >= 0]) == 2).sum() == 1
    assert below.min() == pytest.approx(100.0)


def test_sizes_grow_along_the_river_no_faster_than_they_may():
    river = RiverPieces.of(RiverNetwork(np.r_[1:200, -1], np.full(200, 100.0)))
    values = np.where(np.arange(200) < 100, 0.0, 1.0)
    made = river.resized(values, Sizing(50.0, 5000.0, change=0.5, growth=1.2)).network
    step = np.diff(made.lengths) / (0.5 * (made.lengths[1:] + made.lengths[:-1]))
    long = made.lengths[1:] > 200.0  # sizes are known reach by reach of the old ones
    assert long.sum() > 10
    assert 0.15 < np.abs(step[long]).max() < 0.21
    even = river.resized(values, Sizing(50.0, 5000.0, change=0.5, growth=1.0)).network
    assert np.ptp(even.lengths) < 1e-6


def test_what_cannot_be_is_refused(tree):
    with pytest.raises(MeshError, match=r"A reach is 0\.5 m long"):
        RiverPieces.of(RiverNetwork([1, -1], [0.5, 100.0]))
    pieces, sizing = RiverPieces.of(tree), Sizing(100.0, 5000.0, change=0.1)
    with pytest.raises(MeshError, match="10 pieces are too few"):
        pieces.resized(np.zeros(200), Sizing(100.0, 5000.0, change=0.1, cells=10))
    with pytest.raises(DataError, match="first of cell 3"):
        pieces.resized(np.where(np.arange(200) == 3, np.nan, 0.0), sizing)
    with pytest.raises(MeshError, match="not of the same reaches"):
        pieces.remap_to(RiverPieces.of(tree.select(np.ones(200, dtype=bool))))
    with pytest.raises(MeshError, match="no remap of order 3"):
        pieces.remap_to(pieces, order=3)
