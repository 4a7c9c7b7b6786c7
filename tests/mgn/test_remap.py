import logging

import numpy as np
import pytest
import torch

from hybridwater.errors import DataError, SettingsError, WeightsError
from hybridwater.meshes import conservative_remap
from hybridwater.mgn import LearnedRemap, Samples, fit_remap, save_network


@pytest.fixture(scope="module")
def slope(squares):
    """Rain of coarse cells, of which the upper half of each gets three times the lower one."""

    def make(coarse, size, seed=0, samples=40, finer=1):
        air = squares(coarse, coarse, 2 * size, "air")
        land = squares(2 * coarse * finer, 2 * coarse * finer, size / finer)
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
    path = learned.save(tmp_path / "remap.safetensors")
    # Other rain, larger and smaller ground of the same shape, and land that is 2 and 4 times finer.
    cases = ((3, 500.0, 1), (5, 1250.0, 1), (3, 125.0, 1), (3, 500.0, 2), (3, 500.0, 4))
    for coarse, size, finer in cases:
        air, land, remap, static, rain, truth = slope(coarse, size, seed=1, finer=finer)
        other = LearnedRemap.of(remap, air, land, target_static=static, weights=path)
        moved = other.amounts(rain)
        limit = 0.02 if finer == 1 else 0.2
        assert error(other, rain, truth) < limit * error(remap, rain, truth)
        assert (moved >= 0.0).all()
        np.testing.assert_allclose(moved.sum(axis=1), rain.sum(axis=1), rtol=1e-13)
        assert other.fallbacks == 0


def test_any_weights_conserve_and_keep_signs(slope, random_weights):
    air, land, remap, static, rain, _ = slope(3, 500.0)
    learned = random_weights(LearnedRemap.of(remap, air, land, target_static=static, width=8))
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


@pytest.mark.parametrize(
    ("moves", "unobserved"), [("shares", 0.0), ("fluxes", 0.0), ("shares", 0.5)]
)
def test_masked_cells_get_nothing_and_bounds_hold(slope, random_weights, moves, unobserved):
    air, land, _, static, rain, _ = slope(3, 500.0)
    mask = np.arange(land.size) % 6 > 1
    remap = conservative_remap(air, land, target_mask=mask)
    base, most = remap.amounts(rain), rain.mean() / air.areas[0]

    def moved(most=None):
        options = {"moves": moves, "unobserved": unobserved, "most": most, "width": 8}
        made = LearnedRemap.of(remap, air, land, target_static=static, **options)
        learned = random_weights(made)
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


def test_weights_of_the_first_form_are_read_and_do_the_same(slope, random_weights, tmp_path):
    air, land, remap, static, rain, _ = slope(3, 500.0)
    options = {"target_static": static, "moves": "fluxes", "width": 8}
    learned = random_weights(LearnedRemap.of(remap, air, land, **options))
    first = {k: learned.about[k] for k in ("kind", "reach", "step", "states", "unobserved")}
    path = save_network(learned.correction.network, tmp_path / "old.safetensors", first)
    old = LearnedRemap.of(remap, air, land, target_static=static, weights=path)
    np.testing.assert_array_equal(old.amounts(rain), learned.amounts(rain))


@pytest.mark.parametrize("moves", ["shares", "fluxes"])
def test_weights_that_are_not_numbers_are_the_baseline_and_counted(slope, moves):
    air, land, remap, static, rain, _ = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, moves=moves, width=8)
    with torch.no_grad():
        next(learned.correction.parameters()).mul_(torch.nan)
    np.testing.assert_array_equal(learned.amounts(rain), remap.amounts(rain))
    assert learned.fallbacks == len(rain)


def test_everything_moves_to_a_device_and_geometry_stays_in_float64(slope):
    air, land, remap, static, rain, _ = slope(3, 500.0)
    learned = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    before = learned.amounts(rain)
    correction = learned.correction.float()
    assert correction.graph["target"].measure.dtype == correction.static["target"].dtype
    np.testing.assert_array_equal(learned.amounts(rain), before)
    correction.to("meta")
    stores = (*correction.graph.node_stores, *correction.graph.edge_stores)
    held = [v for store in stores for v in store.values() if isinstance(v, torch.Tensor)]
    held += [*correction.static.values(), *correction.state_dict().values()]
    assert len(held) > 60
    assert {values.device.type for values in held} == {correction.device.type} == {"meta"}


def test_edges_know_elevations_and_levels_are_as_asked_for(slope, tmp_path):
    air, land, remap, static, _, _ = slope(3, 500.0)
    above = {"target": 100.0 * static["height"]}
    made = {"target_static": static, "elevations": above, "width": 8}
    learned = LearnedRemap.of(remap, air, land, hierarchy={"levels": 2, "least": 4}, **made)
    edges = learned.correction.graph["source", "overlaps", "target"]
    drop = -above["target"][edges.edge_index[1]]
    np.testing.assert_allclose(edges.edge_attr[:, 4] * edges.distance, drop, atol=1e-9)
    assert "target_1" in learned.correction.graph.node_types
    path = learned.save(tmp_path / "remap.safetensors")
    again = LearnedRemap.of(remap, air, land, weights=path, target_static=static, elevations=above)
    assert again.correction.graph.node_types == learned.correction.graph.node_types
    with pytest.raises(WeightsError, match="know elevations of target; given are those of neither"):
        LearnedRemap.of(remap, air, land, target_static=static, weights=path)
    for wrong, said in (
        ({"hierarchy": {"level": 2}}, "no 'level' .did you mean 'levels'"),
        ({"moves": "share"}, "no 'share' .did you mean 'shares'"),
        ({"elevations": {"land": above["target"]}}, "no end 'land'"),
    ):
        with pytest.raises(SettingsError, match=said):
            LearnedRemap.of(remap, air, land, **{**made, **wrong})


def test_weights_learn_from_several_meshes_at_once(slope):
    torch.manual_seed(0)
    air, land, remap, static, rain, truth = slope(2, 500.0)
    first = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    finer = slope(2, 500.0, seed=1, finer=2)
    other = LearnedRemap.of(finer[2], *finer[:2], target_static=finer[3], weights=first)
    others = [Samples(other, *finer[4:])]
    fit_remap(first, rain, truth, others=others, iterations=40, rate=1e-2, progress=False)
    assert error(first, rain, truth) < 0.3 * error(remap, rain, truth)
    assert error(other, *finer[4:]) < 0.3 * error(finer[2], *finer[4:])
    apart = LearnedRemap.of(remap, air, land, target_static=static, width=8)
    with pytest.raises(SettingsError, match="a remap with other weights"):
        fit_remap(apart, rain, truth, others=others, progress=False)
