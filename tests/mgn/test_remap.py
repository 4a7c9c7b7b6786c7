import logging

import numpy as np
import pytest
import torch

from hybridwater.errors import DataError, WeightsError
from hybridwater.meshes import conservative_remap
from hybridwater.mgn import LearnedRemap, save_network


@pytest.fixture(scope="module")
def slope(squares):
    """Rain of coarse cells, of which the upper half of each gets three times the lower one."""

    def make(coarse, size, seed=0, samples=40):
        air, land = squares(coarse, coarse, 2 * size, "air"), squares(2 * coarse, 2 * coarse, size)
        height = np.where(land.centroids[:, 1] % (2 * size) > size, 1.0, 0.0)
        remap = conservative_remap(air, land)
        rain = np.random.default_rng(seed).exponential(1.0, (samples, air.size)) * air.areas
        truth = remap.amounts(rain) * np.where(height > 0.0, 1.5, 0.5)
        return air, land, remap, {"height": height}, rain, truth

    return make


@pytest.fixture
def random_weights():
    """Make the weights of a learned remap random."""

    def randomise(learned):
        torch.manual_seed(1)
        with torch.no_grad():
            for weights in learned.correction.parameters():
                weights.add_(torch.randn_like(weights))
        return learned

    return randomise


def error(remap, rain, truth):
    return np.sqrt(np.mean((remap.amounts(rain) - truth) ** 2))


def test_it_is_the_baseline_before_it_is_trained(slope):
    air, land, remap, static, rain, _ = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    np.testing.assert_allclose(learned.amounts(rain), remap.amounts(rain), rtol=1e-15)
    np.testing.assert_allclose(learned.means(rain / air.areas), remap.means(rain / air.areas))
    assert learned.source_fraction.tolist() == remap.source_fraction.tolist()


def test_it_learns_what_overlap_does_not_know_and_carries_it_over(slope, tmp_path):
    torch.manual_seed(0)
    air, land, remap, static, rain, truth = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, width=16)
    losses = learned.fit(rain, truth, iterations=250, progress=False)
    assert losses[-1] < 0.1 * losses[0]
    air, land, remap, static, rain, truth = slope(5, 1250.0, seed=1)
    path = learned.save(tmp_path / "remap.safetensors")
    other = LearnedRemap.of(remap, air, land, target_static=static, weights=path)
    assert other.fallbacks == 0
    moved = other.amounts(rain)
    assert (moved >= 0.0).all()
    np.testing.assert_allclose(moved.sum(axis=1), rain.sum(axis=1), rtol=1e-13)


def test_any_weights_conserve_and_keep_signs(slope, random_weights):
    air, land, remap, static, rain, _ = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    random_weights(learned)
    moved = learned.amounts(rain)
    assert not np.allclose(moved, remap.amounts(rain))
    np.testing.assert_allclose(moved.sum(axis=1), rain.sum(axis=1), rtol=1e-13)
    assert (moved >= 0.0).all()
    assert learned.imbalance(rain[0]) == pytest.approx(0.0, abs=1e-13)
    np.testing.assert_allclose(learned.amounts(2.0 * rain), 2.0 * moved, rtol=1e-5)
    assert (learned.amounts(np.zeros(9)) == 0.0).all()
    np.testing.assert_allclose(learned.amounts(rain[0]), moved[0], rtol=1e-5)


def test_out_of_its_range_it_is_the_baseline_and_says_so(slope, caplog):
    air, land, remap, static, rain, truth = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    learned.fit(rain, truth, iterations=5, progress=False)
    learned.correction.static["target"] = learned.correction.static["target"] + 100.0
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(learned.amounts(rain), remap.amounts(rain))
    assert learned.fallbacks == len(rain)
    assert "out of the range of its training" in caplog.text


def test_what_does_not_fit_is_refused(slope, tmp_path):
    air, land, remap, static, rain, truth = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    with pytest.raises(DataError, match="Given and arrived have the shapes"):
        learned.fit(rain, rain)
    with pytest.raises(DataError, match="not finite"):
        learned.fit(rain, truth * np.nan)
    with pytest.raises(DataError, match="'height' has the shape"):
        LearnedRemap.of(remap, air, land, target_static={"height": np.ones(3)})
    path = learned.save(tmp_path / "remap.safetensors")
    with pytest.raises(WeightsError, match="The weights read"):
        LearnedRemap.of(remap, air, land, weights=path)
    save_network(learned.correction.network, path)
    with pytest.raises(WeightsError, match="The weights read"):
        LearnedRemap.of(remap, air, land, target_static=static, weights=path)


@pytest.mark.parametrize("unobserved", [0.0, 0.5])
def test_masked_cells_get_nothing_and_declared_bounds_hold(slope, random_weights, unobserved):
    air, land, _, static, rain, _ = slope(3, 500.0)
    mask = np.arange(land.size) % 6 > 1
    remap = conservative_remap(air, land, target_mask=mask)
    base, most = remap.amounts(rain), 1.2 * rain.max(axis=1).mean() / air.areas[0]

    def moved(most=None):
        options = {"target_static": static, "unobserved": unobserved, "most": most, "width": 8}
        learned = random_weights(LearnedRemap.of(remap, air, land, **options))
        found = learned.amounts(rain)
        outside = learned.moment.unobserved if unobserved else np.zeros_like(found)
        assert (found >= 0.0).all()
        assert (found[:, ~mask] == 0.0).all()
        assert (outside[:, ~mask] == 0.0).all()
        np.testing.assert_allclose((found - outside).sum(axis=1), base.sum(axis=1), rtol=1e-13)
        return found

    bound = np.maximum(base, most * land.areas)
    assert (moved() > bound).any()
    bounded = moved(most)
    assert (bounded <= bound * (1.0 + 1e-14)).all()
    assert (bounded > base).any()
    for wrong in (-1.0, np.nan, np.ones(3)):
        with pytest.raises(DataError, match="one for each of the 36 target cells"):
            LearnedRemap.of(remap, air, land, target_static=static, most=wrong)
