import torch
from torch import nn

from hybridwater.mgn.layers import EdgeUpdate, NodeUpdate, Prolong, Restrict, Size


def test_split_layers_are_the_layer_of_the_concatenation():
    torch.manual_seed(0)
    update = EdgeUpdate(Size(4, 2)).double()
    index = torch.tensor([[0, 1, 2, 2], [1, 0, 0, 1]])
    edges, nodes = torch.randn(4, 4).double(), torch.randn(3, 4).double()
    whole = nn.Linear(12, 4).double()
    with torch.no_grad():
        parts = (update.edge, update.source, update.target)
        whole.weight.copy_(torch.cat([p.weight for p in parts], dim=1))
        whole.bias.copy_(update.edge.bias)
    plain = update.tail(whole(torch.cat([edges, nodes[index[0]], nodes[index[1]]], dim=1)))
    torch.testing.assert_close(update(edges, nodes, nodes, index), plain)


def test_nodes_read_each_relation():
    torch.manual_seed(0)
    update = NodeUpdate(Size(4, 2), ["a", "b"], "sum")
    nodes, edges = torch.randn(3, 4), torch.randn(2, 4)
    index = torch.tensor([0, 1])
    none = update(nodes, {})
    one = update(nodes, {"a": (edges, index)})
    other = update(nodes, {"b": (edges, index)})
    assert torch.equal(none[2], one[2])
    assert not torch.allclose(none[0], one[0])
    assert not torch.allclose(one[0], other[0])


def test_restriction_reads_means_by_measure():
    torch.manual_seed(0)
    layer = Restrict(Size(4, 1, "relu"))
    fine = torch.randn(3, 4)
    index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    share = torch.tensor([0.25, 0.75, 1.0])
    mean = 0.25 * fine[0] + 0.75 * fine[1]
    expected = layer.tail(layer.first(torch.stack([mean, fine[2]])))
    torch.testing.assert_close(layer(fine, index, share, 2), expected)


def test_prolongation_knows_where_a_cell_lies():
    torch.manual_seed(0)
    layer = Prolong(Size(4, 1), 2)
    fine, coarse = torch.zeros(2, 3, 4), torch.randn(1, 3, 4)
    index, place = torch.tensor([[0, 0], [0, 1]]), torch.tensor([[0.0, 0.1], [0.4, 0.0]])
    added = layer(fine, coarse, index, place)
    assert added.shape == (2, 3, 4)
    assert not torch.allclose(added[0], added[1])
