import pytest
import torch

from hybridwater.mgn.layers import Size, Tail


@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("shape", [(7,), (7, 2), (0,)])
def test_is_the_sequence_of_its_layers(activation, hidden, normalise, shape):
    torch.manual_seed(0)
    tail = Tail(Size(6, hidden, activation), 4, normalise=normalise).double()
    first = torch.randn(*shape, 6, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(*shape, 4, dtype=torch.float64)
    wanted = (first, *tail.parameters())
    found = {}
    for call in (tail, tail.layers):
        given = first.detach().clone()
        out = call(first)
        found[call] = (out, *torch.autograd.grad((out * direction).sum(), wanted))
        assert torch.equal(first, given)
    (out, *grads), (plain, *expected) = found.values()
    assert torch.equal(out, plain)
    for one, other in zip(grads, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradient_with_weights_that_are_kept_as_they_are():
    torch.manual_seed(0)
    tail = Tail(Size(5, 2), 3).double().requires_grad_(False)
    first = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(tail, first)
