import pytest
import torch

from hybridwater.training.bijection import Bounded
from hybridwater.ude import Parameter

PARAMETERS = (
    Parameter("k", "d-1", (1e-3, 1.0), 0.03, log=True),
    Parameter("t", "degC", (-3.0, 3.0), 0.0),
    Parameter("big", "mm", (0.1, 0.7), 0.3),
)


@pytest.fixture
def bounded() -> Bounded:
    return Bounded(PARAMETERS)


def test_round_trip(bounded):
    values = torch.tensor([[0.03, 1.0, 0.2], [0.9, -2.9, 0.69]], dtype=torch.float64)
    torch.testing.assert_close(bounded.constrain(bounded.free(values)), values)


def test_middle_of_a_logarithmic_range_is_geometric(bounded):
    middle = bounded.constrain(torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(middle[0].item(), (1e-3 * 1.0) ** 0.5)
    assert middle[1].item() == pytest.approx(0.0)


@pytest.mark.parametrize("free", [-1e3, -40.0, 36.9, 40.0, 1e3])
def test_bounds_are_kept_to_the_last_bit(bounded, free):
    values = bounded.constrain(torch.full((3,), free, dtype=torch.float64))
    for value, parameter in zip(values.tolist(), PARAMETERS, strict=True):
        assert parameter.bounds[0] <= value <= parameter.bounds[1]


def test_values_at_or_beyond_a_bound_are_moved_inside(bounded):
    values = torch.tensor([[1e-3, 3.0, 0.9]], dtype=torch.float64)
    free = bounded.free(values)
    assert torch.isfinite(free).all()
    inside = bounded.constrain(free)
    assert inside[0, 0].item() == pytest.approx(1e-3, rel=1e-3)
    assert inside[0, 1].item() == pytest.approx(3.0, abs=1e-3)
    assert inside[0, 1].item() < 3.0
    assert inside[0, 2].item() == pytest.approx(0.7, abs=1e-4)


def test_gradients_agree_with_finite_differences(bounded):
    free = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bounded.constrain, free)


def test_no_parameters():
    assert Bounded(()).constrain(torch.zeros((2, 0), dtype=torch.float64)).shape == (2, 0)
