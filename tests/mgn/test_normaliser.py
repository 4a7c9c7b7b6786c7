import numpy as np
import torch

from hybridwater.mgn.normaliser import FAR, Normaliser


def test_means_and_spreads_are_those_of_numpy():
    x = np.random.default_rng(0).normal([1e3, -2.0], [3.0, 0.1], (500, 2))
    normaliser = Normaliser(2)
    for part in np.split(x, 5):
        normaliser(torch.from_numpy(part).float())
    np.testing.assert_allclose(normaliser.mean, x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(normaliser.spread, x.std(axis=0), rtol=1e-4)
    back = normaliser.restore(normaliser.eval()(torch.from_numpy(x)))
    np.testing.assert_allclose(back, x)


def test_it_gathers_only_in_training_and_up_to_its_most():
    normaliser = Normaliser(1, most=10)
    normaliser(torch.ones(10, 1))
    normaliser(torch.full((10, 1), 5.0))
    assert normaliser.mean.item() == 1.0
    fresh = Normaliser(1).eval()
    assert fresh(torch.tensor([[3.0]])).item() == 3.0


def test_what_does_not_vary_is_not_blown_up():
    normaliser = Normaliser(2)
    assert normaliser(torch.full((9, 2), 0.3)).abs().max() < 1e-7


def test_sums_stay_in_float64():
    normaliser = Normaliser(1).to(torch.float32)
    assert normaliser.total.dtype == torch.float64


def test_out_of_range_is_what_is_far_from_the_mean():
    x = torch.zeros(1000, 2)
    x[:, 1] = torch.linspace(-1.0, 1.0, 1000)
    x[0, 0] = 50.0  # more than thirty standard deviations from the mean
    normaliser = Normaliser(2)
    assert not normaliser.far(torch.tensor([1e30, 0.0])).any()  # nothing was seen
    normaliser(x)
    assert (50.0 - normaliser.mean[0]) / normaliser.spread[0] > FAR
    found = normaliser.far(torch.tensor([[50.0, 0.0], [10.0, 1.5], [-1.0, 9.0]]))
    assert found.tolist() == [[True, False], [False, False], [False, True]]
    within = normaliser.within(torch.tensor([[51.0, 1.5], [-1.0, -9.0]]))
    expected = torch.tensor([[normaliser.mean[0], 1.5], [-1.0, normaliser.mean[1]]])
    torch.testing.assert_close(within, expected, check_dtype=False)


def test_what_never_varied_is_out_of_range_where_it_is_other():
    normaliser = Normaliser(2)
    normaliser(torch.tensor([0.0, 0.3]).expand(1000, 2))  # no snow in the training
    found = normaliser.far(torch.tensor([[9.0, 0.3], [1e-9, 0.3 + 1e-7], [0.0, 0.31]]))
    assert found.tolist() == [[True, False], [False, False], [False, True]]
    assert normaliser.within(torch.tensor([9.0, 0.3]))[0] == 0.0


def test_a_small_change_of_a_large_value_is_seen():
    heads = 1000.0 + 1e-3 * torch.linspace(-1.0, 1.0, 1001, dtype=torch.float64).unsqueeze(-1)
    normaliser = Normaliser(1)
    normaliser(heads)
    torch.testing.assert_close(normaliser(heads)[-1].item(), 3**0.5, rtol=0.01, atol=0.0)
