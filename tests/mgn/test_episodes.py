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


def test_times_of_a_dataset_are_equal_steps(small):
    hours = np.datetime64("2000-01-01") + np.arange(4) * np.timedelta64(1, "h")
    depth = (("time", "cell"), np.random.default_rng(0).random((4, 6)), {"units": "m"})
    data = xr.Dataset({"depth": depth}, {"time": hours})
    episode = Episode.from_dataset(small, data, states=["depth"])
    assert (episode.units, episode.step) == (("m",), 3600.0)
    for order, message in (
        ([0, 2, 1, 3], "not sorted"),
        ([0, 1, 1, 2], "more than once"),
        ([0, 1, 3], "gap in time"),
    ):
        with pytest.raises(DataError, match=message):
            Episode.from_dataset(small, data.isel(time=order), states=["depth"])


def test_weights_are_relative(small):
    episode = Episode(small, np.ones((2, 6, 1)), weights=np.arange(6.0))
    assert episode.weights.mean() == 1.0
    assert episode.component == "land"
    assert episode.names == ("state_0",)


def test_digests_tell_data_apart(small, squares):
    one, two = (Episode(small, np.full((2, 6, 1), x)) for x in (1.0, 2.0))
    assert one.digest() == Episode(small, np.ones((2, 6, 1))).digest() != two.digest()
    other = make_graph({"land": squares(2, 3)}, levels=1)
    ones = np.ones((2, 6, 1))
    named = Episode(small, ones, names=["depth"])
    assert len({one.digest(), named.digest(), Episode(other, ones).digest()}) == 3


def test_what_does_not_fit_is_refused(small, graph):
    states = np.ones((3, 6, 1))
    for given, message in (
        ({"graph": graph}, "components land, sea, river"),
        ({"states": np.ones((3, 5, 1))}, r"'states' has the shape \(3, 5, 1\), not \(3, 6, 1\)"),
        ({"states": states[:1]}, "only one time"),
        ({"states": states * np.nan}, "18 values of 'states' are not finite"),
        ({"forcing": np.ones((3, 6, 1))}, r"'forcing' has the shape .* not \(2, 6, any\)"),
        ({"static": torch.ones(5, 1)}, "'static' has the shape"),
        ({"weights": np.zeros(6)}, "all are zero"),
        ({"weights": np.r_[-1.0, np.ones(5)]}, "A weight is negative"),
        ({"names": ["depth", "rain"]}, "2 names and 1 units of 1 states"),
        ({"units": ["m", "mm"]}, "1 names and 2 units of 1 states"),
    ):
        with pytest.raises(DataError, match=message):
            Episode(**{"graph": small, "states": states, **given})
