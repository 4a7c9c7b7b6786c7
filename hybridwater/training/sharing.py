"""Who shares what: parameters and weights of each basin, or shared between basins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hybridwater.training.bijection import Bounded
from hybridwater.ude.model import UDE
from hybridwater.ude.program import initial_weights


class Local(nn.Module):
    """Every batch entry has its own parameters and its own weights.

    Parameters
    ----------
    ude : UDE
        The model.
    batch : int
        Basins times restarts.
    seeds : sequence of int
        One per entry, for initial weights and, but for ``first`` entries, initial parameters.
    spread : numpy.ndarray
        Shape (batch,): how far the initial parameters are scattered around their defaults (standard
        deviation of the free numbers); zero begins at the defaults.
    """

    def __init__(self, ude: UDE, seeds: list[int], spread: np.ndarray) -> None:
        super().__init__()
        self.bounded = Bounded(ude.parameters)
        defaults = torch.tensor([p.default for p in ude.parameters], dtype=torch.float64)
        free = self.bounded.free(defaults).repeat(len(seeds), 1)
        for k, seed in enumerate(seeds):
            noise = np.random.default_rng(seed).normal(size=free.shape[1])
            free[k] += torch.from_numpy(spread[k] * noise)
        self.free = nn.Parameter(free)
        weights = np.stack([initial_weights(ude.program, seed) for seed in seeds])
        self.weights = nn.Parameter(torch.from_numpy(weights))

    #: Tensors with one row per entry.
    rows = ("free", "weights")

    def forward(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return parameters (n, n_parameters) and weights (n, n_weights) of some entries."""
        return self.bounded.constrain(self.free[index]), self.weights[index]


class Shared(nn.Module):
    """Every basin has its own parameters; all basins share the weights.

    Parameters
    ----------
    ude : UDE
        The model.
    n_basins : int
        Number of basins.
    seed : int
        Seed of the initial weights.
    """

    #: Tensors with one row per entry.
    rows = ("free",)

    def __init__(self, ude: UDE, n_basins: int, seed: int) -> None:
        super().__init__()
        self.bounded = Bounded(ude.parameters)
        defaults = torch.tensor([p.default for p in ude.parameters], dtype=torch.float64)
        self.free = nn.Parameter(self.bounded.free(defaults).repeat(n_basins, 1))
        self.weights = nn.Parameter(torch.from_numpy(initial_weights(ude.program, seed)))

    def forward(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return parameters (n, n_parameters) of some basins and the weights (n_weights,)."""
        return self.bounded.constrain(self.free[index]), self.weights


class Regional(nn.Module):
    """Weights shared by all basins; parameters from static attributes by a network.

    The idea of differentiable parameter learning (Tsai et al. 2021,
    doi:10.1038/s41467-021-26107-z): ``free = default + MLP(attributes) + offset``, then bounded.
    Offsets are what the attributes do not explain about a basin; basins that are not in the fit
    have none.

    Parameters
    ----------
    ude : UDE
        The model.
    attributes : torch.Tensor
        Standardised, shape (n_basins, n_attributes).
    hidden : tuple of int
        Widths of the hidden layers of the parameter network.
    dropout : float
        Share of hidden units left out at random in training.
    offsets : bool
        Whether basins have offsets of their own.
    seed : int
        Seed of all initial weights.
    """

    start: Tensor
    attributes: Tensor

    def __init__(
        self,
        ude: UDE,
        attributes: Tensor,
        hidden: tuple[int, ...],
        dropout: float = 0.0,
        offsets: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        #: Tensors with one row per entry.
        self.rows = ("offsets",) if offsets else ()
        self.bounded = Bounded(ude.parameters)
        defaults = torch.tensor([p.default for p in ude.parameters], dtype=torch.float64)
        self.register_buffer("start", self.bounded.free(defaults))
        self.register_buffer("attributes", attributes, persistent=False)
        generator = torch.Generator().manual_seed(seed)
        n_basins, width = attributes.shape
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size, dtype=torch.float64), nn.Tanh(), nn.Dropout(dropout)]
            width = size
        layers.append(nn.Linear(width, len(ude.parameters), dtype=torch.float64))
        for layer in layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)
        with torch.no_grad():  # begin near the defaults
            layers[-1].weight *= 0.1  # type: ignore[operator]
        self.network = nn.Sequential(*layers)
        if offsets:
            zeros = torch.zeros(n_basins, len(ude.parameters), dtype=torch.float64)
            self.offsets = nn.Parameter(zeros)
        self.weights = nn.Parameter(torch.from_numpy(initial_weights(ude.program, seed)))

    def forward(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return parameters (n, n_parameters) of some basins, and the weights (n_weights,)."""
        free = self.start + self.network(self.attributes[index])
        if "offsets" in self.rows:
            free = free + self.offsets[index]
        return self.bounded.constrain(free), self.weights


def columns(ude: UDE, values: Tensor) -> Tensor:
    """Select the parameters of a model's equations: (n, all declared) -> (n, in the program)."""
    names = [p.name for p in ude.parameters]
    return values[:, [names.index(n) for n in ude.program.parameters]]


def initial_state(ude: UDE, values: Tensor) -> Tensor:
    """Return initial states (n, n_states), differentiable where they are parameters."""
    names = [p.name for p in ude.parameters]
    parts = []
    for state, size in zip(ude.states, ude.program.sizes(ude.program.states), strict=True):
        if isinstance(state.initial, str):
            start = values[:, names.index(state.initial), None]
        else:
            start = values.new_tensor(state.initial).reshape(1, -1)
        parts.append(start.expand(len(values), size))
    return torch.cat(parts, dim=1)
