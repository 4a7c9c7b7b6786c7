import numpy as np
import torch
from scipy import stats

from hybridwater.residuals.persistence import Persistence
from hybridwater.residuals.posterior import run_chain


def chain(members, times, coefficients):
    persistence = Persistence(2)
    terms = torch.stack([torch.ones(1, times), (torch.arange(times) % 7 == 0)[None]]).double()
    generator = torch.Generator().manual_seed(0)
    wanted = torch.tensor([coefficients], dtype=torch.float64).expand(members, 1, -1)
    alone = torch.eye(1, dtype=torch.float64)
    memory, innovation = persistence.draw_steps(terms, wanted, alone, generator)
    start = torch.randn((members, 1), generator=generator, dtype=torch.float64)
    return persistence, terms, wanted, run_chain(memory, innovation, None, None, start)


def test_single_errors_stay_standard_normal_whatever_the_chain_does():
    _, _, _, n = chain(4000, 30, [1.0, -4.0, 1.0, -4.0, 6.0, 4.0, 0.0])
    for t in (0, 7, 29):
        assert stats.kstest(n[:, 0, t].numpy(), "norm").pvalue > 1e-3


def test_the_density_of_a_step_is_what_steps_do():
    persistence, terms, wanted, n = chain(20000, 3, [0.5, 0.0, 0.2, 0.0, 5.0, 3.0, 0.0])
    before, now = n[:, 0, 1].numpy(), n[:, 0, 2].numpy()
    near = np.abs(before - 1.0) < 0.05
    grid = torch.linspace(-5, 5, 801, dtype=torch.float64)
    density = persistence.log_step(
        torch.ones(1, 801, dtype=torch.float64),
        grid[None],
        terms[:, :, 2:].expand(-1, -1, 801),
        wanted[0],
    ).exp()
    below = np.cumsum(density[0].numpy()) * 0.0125
    assert abs(below[-1] - 1) < 1e-6
    found = stats.kstest(now[near], lambda x: np.interp(x, grid.numpy(), below))
    assert found.pvalue > 1e-3


def test_innovations_are_standard_normal_and_independent():
    persistence, terms, wanted, n = chain(8000, 6, [0.5, -2.0, 0.3, 1.0, 5.0, 3.0, -1.0])
    found = persistence.innovations(n[..., :-1], n[..., 1:], terms[..., 1:], wanted)[:, 0].numpy()
    assert stats.kstest(found[:, 2], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(found[:, 1:].T)[~np.eye(4, dtype=bool)]).max() < 0.04
