import pytest
import torch
from torch_geometric.utils import scatter

from hybridwater.mgn.gathering import aggregate, gather

INDEX = torch.tensor([0, 2, 2, 4, 0, 2])


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 3)])
def test_joins_as_pyg_does(how, shape):
    edges = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        aggregate(edges, INDEX, 5, how), scatter(edges, INDEX, 0, 5, reduce=how)
    )


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_gradients(how):
    nodes = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    edges = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: gather(x, INDEX), nodes)
    assert torch.autograd.gradcheck(lambda x: aggregate(x, INDEX, 5, how), edges)
