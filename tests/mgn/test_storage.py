import pytest
import torch
from safetensors.torch import save_file

from hybridwater.errors import WeightsError
from hybridwater.mgn import Architecture, load_network, save_network


def test_a_network_says_the_same_after_reading(tmp_path, graph, network, values):
    network(graph, values)  # the normalisers gather
    path = save_network(network.eval(), tmp_path / "net.safetensors", {"trained_on": "a test"})
    again, about = load_network(path, network.architecture)
    assert about == {"trained_on": "a test"}
    assert not again.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    torch.testing.assert_close(
        again(graph, values).nodes["land"], network(graph, values).nodes["land"]
    )


def test_weights_of_another_schema_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"schema 'none', not 'hybridwater.mgn/1'"):
        load_network(path)
    save_file({"a": torch.zeros(2)}, path, {"schema": "hybridwater.mgn/0"})
    with pytest.raises(WeightsError, match=r"schema 'hybridwater.mgn/0'"):
        load_network(path)
    save_file({"a": torch.zeros(2)}, path, {"schema": "hybridwater.mgn/1"})
    with pytest.raises(WeightsError, match="do not fit their own header"):
        load_network(path)


def test_weights_of_another_architecture_are_refused(tmp_path, network):
    path = save_network(network, tmp_path / "net.safetensors")
    wider = Architecture.from_dict({**network.architecture.to_dict(), "width": 16})
    with pytest.raises(WeightsError, match="width: 8, needed 16"):
        load_network(path, wider)


def test_damaged_and_missing_files(tmp_path, network):
    with pytest.raises(WeightsError, match="no such file"):
        load_network(tmp_path / "none.safetensors")
    path = save_network(network, tmp_path / "net.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(path)


def test_weights_that_are_not_finite_are_refused(tmp_path, network):
    with torch.no_grad():
        next(network.parameters())[0] = torch.nan
    with pytest.raises(WeightsError, match="A weight is not finite"):
        load_network(save_network(network, tmp_path / "net.safetensors"))
