import numpy as np
import pytest
import torch
from scipy import stats

from hybridwater.errors import DeclarationError
from hybridwater.residuals.tails import TAILS, get_tails

X = torch.linspace(-6, 8, 41, dtype=torch.float64)[None]
SHAPES = {
    "normal": torch.zeros(1, 0, dtype=torch.float64),
    "sinh-arcsinh": torch.tensor([[0.3, -0.25]], dtype=torch.float64),
    "student-t": torch.tensor([[np.log(3.0)]], dtype=torch.float64),
}


@pytest.mark.parametrize("name", TAILS)
def test_there_and_back(name):
    tails = get_tails(name)
    n, _ = tails.to_normal(X, SHAPES[name])
    np.testing.assert_allclose(tails.from_normal(n, SHAPES[name]), X, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", TAILS)
def test_the_slope_is_the_derivative(name):
    x = X.clone().requires_grad_()
    n, slope = get_tails(name).to_normal(x, SHAPES[name])
    n.sum().backward()
    np.testing.assert_allclose(slope.detach(), x.grad.log(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sites", [1, 3])
def test_derivatives_of_sinh_arcsinh_are_those_of_differences(sites):
    rng = np.random.default_rng(0)
    x = torch.tensor(3 * rng.standard_normal((sites, 7)), requires_grad=True)
    shape = torch.tensor(rng.normal(0.2, 0.3, (sites, 2)), requires_grad=True)
    assert torch.autograd.gradcheck(get_tails("sinh-arcsinh").to_normal, (x, shape))


def test_student_t_has_the_density_of_scipy():
    n, slope = get_tails("student-t").to_normal(X, SHAPES["student-t"])
    log_density = -0.5 * n * n - 0.5 * np.log(2 * np.pi) + slope
    np.testing.assert_allclose(log_density, stats.t(5).logpdf(X.numpy()), rtol=1e-10)


def test_degrees_of_freedom_have_a_gradient():
    from hybridwater.residuals.student import student_to_normal

    freedom = torch.full_like(X, 4.0).requires_grad_()
    student_to_normal(X, freedom).sum().backward()
    step = 1e-3
    above, below = (student_to_normal(X, torch.full_like(X, 4.0 + s)) for s in (step, -step))
    np.testing.assert_allclose(freedom.grad, (above - below) / (2 * step), atol=1e-6)


def test_sinh_arcsinh_is_scipys_johnson_su_family_in_the_symmetric_normal_case():
    shape = torch.zeros(1, 2, dtype=torch.float64)
    n, slope = get_tails("sinh-arcsinh").to_normal(X, shape)
    np.testing.assert_allclose(n, X, rtol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-12)


def test_unknown_tails_are_refused():
    with pytest.raises(DeclarationError, match="did you mean 'student-t'"):
        get_tails("student")
