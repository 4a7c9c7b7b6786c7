import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.mgn import move
from hybridwater.mgn.limiter import share_out


@st.composite
def cases(draw):
    stores = draw(st.integers(2, 8))
    edges = draw(st.integers(1, 20))
    number = st.floats(-1e12, 1e12) | st.floats(-1.0, 1.0) | st.just(float("nan"))
    index = st.lists(st.integers(0, stores - 1), min_size=edges, max_size=edges)
    least = draw(st.floats(-1e6, 1e6))
    depth = draw(st.floats(1e-9, 1e6))
    share = st.lists(st.floats(0.0, 1.0), min_size=stores, max_size=stores)
    amounts = least + depth * np.array(draw(share))
    most = max(least + depth, float(amounts.max()))
    fluxes = draw(st.lists(number, min_size=edges, max_size=edges))
    return amounts, fluxes, [draw(index), draw(index)], least, most


@settings(max_examples=300, deadline=None)
@given(cases())
def test_nothing_is_lost_and_no_bound_is_left(case):
    amounts, fluxes, index, least, most = case
    start = torch.tensor(amounts)
    moved = move(
        start,
        torch.tensor(fluxes, dtype=torch.float64),
        torch.tensor(index),
        least=least,
        most=most,
    )
    assert (moved.amounts >= least).all()
    assert (moved.amounts <= most).all()
    scale = start.abs().sum() + moved.fluxes.abs().sum()
    assert abs(moved.amounts.sum() - start.sum()) <= 1e-14 * scale
    # no flux turns round or grows
    asked = torch.nan_to_num(torch.tensor(fluxes, dtype=torch.float64), nan=0.0)
    assert (moved.fluxes * asked >= 0.0).all()
    assert (moved.fluxes.abs() <= asked.abs()).all()


def test_fluxes_with_room_are_left_alone():
    moved = move(torch.tensor([4.0, 1.0]), torch.tensor([1.5]), torch.tensor([[0], [1]]))
    assert moved.amounts.tolist() == [2.5, 2.5]
    assert moved.limited.tolist() == [0.0]


def test_a_store_gives_in_proportion_to_what_is_asked():
    moved = move(
        torch.tensor([3.0, 0.0, 0.0]), torch.tensor([4.0, 2.0]), torch.tensor([[0, 0], [1, 2]])
    )
    assert moved.amounts.tolist() == pytest.approx([0.0, 2.0, 1.0], abs=1e-11)
    assert moved.amounts[0] >= 0.0
    assert moved.limited.sum().item() == pytest.approx(3.0)


def test_a_full_store_takes_no_more():
    index = torch.tensor([[0, 1], [2, 2]])
    moved = move(torch.tensor([9.0, 9.0, 1.0]), torch.tensor([6.0, 2.0]), index, most=5.0)
    assert moved.amounts.tolist() == pytest.approx([6.0, 8.0, 5.0])
    assert moved.amounts[2] <= 5.0


def test_a_flux_against_the_edge_is_limited_at_its_other_end():
    moved = move(torch.tensor([0.0, 1.0]), torch.tensor([-5.0]), torch.tensor([[0], [1]]))
    assert moved.amounts.tolist() == pytest.approx([1.0, 0.0], abs=1e-11)


def test_without_bounds_everything_moves():
    moved = move(
        torch.tensor([1.0, 0.0]), torch.tensor([5.0]), torch.tensor([[0], [1]]), least=None
    )
    assert moved.amounts.tolist() == [-4.0, 5.0]


def test_float32_fluxes_are_booked_in_float64():
    amounts = torch.tensor([1e8, 1.0])
    moved = move(amounts, torch.tensor([1e-3], dtype=torch.float32), torch.tensor([[0], [1]]))
    assert moved.amounts.dtype == torch.float64
    assert moved.amounts.sum() == amounts.double().sum()


def test_the_least_of_all_numbers_are_not_overdrawn():
    amounts = torch.tensor([6.5e-314, 5e-303, 1.0], dtype=torch.float64)
    fluxes = torch.tensor([3e-314, 1e13, 6e-314], dtype=torch.float64)
    moved = move(amounts, fluxes, torch.tensor([[0, 1, 0], [2, 2, 1]]))
    assert (moved.amounts >= 0.0).all()


def test_samples_are_limited_each_for_itself():
    index = torch.tensor([[0], [1]])
    moved = move(torch.tensor([[1.0, 0.0], [9.0, 0.0]]), torch.tensor([4.0]), index)
    assert moved.amounts.tolist() == [pytest.approx([0, 1], abs=1e-11), [5.0, 4.0]]


def test_gradients_go_through_the_limiter():
    amounts = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    fluxes = torch.tensor([5.0, 0.3, -0.2], dtype=torch.float64, requires_grad=True)
    index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    assert torch.autograd.gradcheck(
        lambda a, f: move(a, f, index, most=torch.full((3,), 5.0)).amounts, (amounts, fluxes)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(-3, 3))
def test_what_is_shared_out_stays_in_its_group_and_in_bounds(seed, exponent):
    rng = np.random.default_rng(seed)
    group, store = rng.integers(4, size=30), rng.integers(12, size=30)
    asked = 10.0**exponent * rng.normal(size=(2, 30))
    for k in np.unique(group):  # one of them may be empty
        asked[:, group == k] -= asked[:, group == k].mean(axis=1, keepdims=True)
    amounts = torch.from_numpy(rng.exponential(size=(2, 12)) * (rng.random(12) < 0.8))
    index, most = torch.from_numpy(np.stack([group, store])), amounts.max(dim=-1, keepdim=True)[0]
    after = share_out(amounts, torch.from_numpy(asked), index, 4, most=most)
    assert (after >= 0.0).all()
    assert (after <= most).all()
    np.testing.assert_allclose(after.sum(-1), amounts.sum(-1), rtol=1e-13)


def test_a_group_does_what_its_tightest_store_allows():
    amounts = torch.tensor([1.0, 3.0, 1.0, 5.0]).double()
    index = torch.tensor([[0, 0, 1, 1], [0, 1, 2, 3]])
    asked = torch.tensor([-2.0, 2.0, -0.5, 0.5]).double()
    after = share_out(amounts, asked, index, 2)
    np.testing.assert_allclose(after, [0.0, 4.0, 0.5, 5.5], atol=1e-11)
    most = torch.tensor([torch.inf, 3.5, torch.inf, torch.inf]).double()
    after = share_out(amounts, asked, index, 2, most=most)
    np.testing.assert_allclose(after, [0.5, 3.5, 0.5, 5.5], atol=1e-11)
    after = share_out(amounts, asked, index, 2, least=None)
    np.testing.assert_allclose(after, [-1.0, 5.0, 0.5, 5.5])
