import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hybridwater.errors import DeclarationError
from hybridwater.residuals.transforms import TRANSFORMS, get_transform

FLOWS = torch.logspace(-8, 3, 60, dtype=torch.float64)[None]


def parameters(name):
    return torch.tensor(TRANSFORMS[name].start, dtype=torch.float64)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_inverse_undoes_it(name):
    transform = get_transform(name)
    z = transform.forward(FLOWS, parameters(name))
    assert bool((z.diff() > 0).all())
    np.testing.assert_allclose(transform.inverse(z, parameters(name)), FLOWS, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_slope_is_the_derivative(name):
    transform = get_transform(name)
    flow = FLOWS.clone().requires_grad_()
    transform.forward(flow, parameters(name)).sum().backward()
    np.testing.assert_allclose(
        transform.log_slope(FLOWS, parameters(name)), flow.grad.log(), rtol=1e-6, atol=1e-9
    )


@given(st.floats(0.05, 1.0), st.floats(1e-3, 100))
def test_box_cox_is_scipys(power, flow):
    z = get_transform("box-cox").forward(
        torch.tensor([[flow]], dtype=torch.float64), torch.tensor([power, 1e-9])
    )
    assert float(z) == pytest.approx(float(stats.boxcox([flow], power)[0]), rel=1e-5, abs=1e-6)


def test_box_cox_of_power_zero_is_the_logarithm():
    transform, p = get_transform("box-cox"), torch.tensor([0.0, 0.01], dtype=torch.float64)
    z = transform.forward(FLOWS, p)
    np.testing.assert_allclose(z, torch.log(FLOWS + 0.01))
    np.testing.assert_allclose(transform.inverse(z, p), FLOWS, rtol=1e-7, atol=1e-12)


def test_log_sinh_is_the_published_one():
    a, b = 0.05, 0.5
    z = get_transform("log-sinh").forward(FLOWS, torch.tensor([np.log(a), np.log(b)]))
    np.testing.assert_allclose(z, np.log(np.sinh(a + b * FLOWS.numpy())) / b, rtol=1e-9)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_lies_below_zero_flow_is_dry_and_nothing_overflows(name):
    transform = get_transform(name)
    z = torch.tensor([[-1e6, -50.0, 20.0, 60.0]], dtype=torch.float64)
    flow = transform.inverse(z, parameters(name))
    assert bool(torch.isfinite(flow).all())
    assert float(flow[0, 0]) == 0.0


def test_an_unknown_transform_is_refused():
    with pytest.raises(DeclarationError, match="did you mean 'box-cox'"):
        get_transform("boxcox")
