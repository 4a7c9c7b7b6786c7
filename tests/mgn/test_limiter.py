import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.mgn import move


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
