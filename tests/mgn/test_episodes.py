import numpy as np
import pytest
import torch
import xarray as xr

from hybridwater.errors import DataError
from hybridwater.mgn import Episode, make_graph


@pytest.fixture(scope="module")
def small(squares):
    return make_graph({"land": squares(3, 2)}, levels=1)


def test_an_episode_of_a_dataset(small):
    rng = np.random.default_rng(0)
    data = xr.Dataset(
        {
            "depth": (("cell", "time"), rng.random((6, 4))),
            "rain": (("time", "cell"), rng.random((4, 6))),
            "slope": ("cell", rng.random(6)),
        }
    )
    episode = Episode.from_dataset(
        small, data, states=["depth"], forcing=["rain"], static=["slope"]
    )
    assert episode.sizes == (1, 1, 1)
    assert episode.names == ("depth", "rain", "slope")
    np.testing.assert_array_equal(episode.states[:, :, 0], data.depth.T)
    np.testing.assert_array_equal(episode.forcing[:, :, 0], data.rain[:-1])
    with pytest.raises(DataError, match="'dept' is missing: did you mean 'depth'"):
        Episode.from_dataset(small, data, states=["dept"])
    with pytest.raises(DataError, match="dimensions of 'slope'"):
        Episode.from_dataset(small, data, states=["slope"])


def test_weights_are_relative(small):
    episode = Episode(small, np.ones((2, 6, 1)), weights=np.arange(6.0))
    assert episode.weights.mean() == 1.0
    assert episode.component == "land"
    assert episode.names == ("state_0",)


def test_digests_tell_data_apart(small):
    one, two = (Episode(small, np.full((2, 6, 1), x)) for x in (1.0, 2.0))
    assert one.digest() == Episode(small, np.ones((2, 6, 1))).digest() != two.digest()


def test_what_does_not_fit_is_refused(small, graph):
    states = np.ones((3, 6, 1))
    for given, message in (
        ({"graph": graph}, "components land, sea, river"),
        ({"states": np.ones((3, 5, 1))}, r"'states' has the shape \(3, 5, 1\), not \(3, 6, 1\)"),
        ({"states": states[:1]}, "only one time"),
        ({"states": states * np.nan}, "18 values of 'states' are not finite"),
        ({"forcing": np.ones((3, 6, 1))}, r"'forcing' has the shape .* not \(2, 6, any\)"),
        ({"static": torch.ones(5, 1)}, "'static' has the shape"),
    ):
        with pytest.raises(DataError, match=message):
            Episode(**{"graph": small, "states": states, **given})
