"""Differentiable river routing: the Muskingum method of PRMS as a linear operator of a day.

Muskingum routing with fixed coefficients is linear, so that the 24 hours of a day, in all their
sub-steps, are one sparse matrix. It is made once; a day is then a product, and its gradient a
product with the transpose.

Source: Markstrom et al. (2015), PRMS-IV, USGS Techniques and Methods 6-B7, doi:10.3133/tm6B7,
module ``muskingum_mann``; the order of operations is that of pywatershed's PRMSChannel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from hybridwater.errors import DataError
from hybridwater.meshes import RiverNetwork
from hybridwater.mgn.gathering import sparse_tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_HOURS = 24
_LONGEST, _SHORTEST = 24.0, 0.01
"""Bounds of the travel time of a reach [h], as in PRMS."""

_STEPS = (1, 2, 3, 4, 6, 8, 12, 24)
"""Hours between two routings of a reach: divisors of a day."""


@dataclass(frozen=True, eq=False)
class Routed:
    """What has been routed.

    Attributes
    ----------
    discharge : torch.Tensor
        Shape (..., n_days, n_reaches): mean of each day at the end of each reach.
    state : torch.Tensor
        Shape (..., 2 n_reaches): where the next day begins.
    """

    discharge: Tensor
    state: Tensor


class MuskingumRouting:
    """Muskingum routing through a river network, day by day.

    Parameters
    ----------
    network : RiverNetwork
        The reaches.
    travel_time : array_like
        Shape (n_reaches,), in hours; brought between 0.01 and 24.
    weighting : array_like
        Shape (n_reaches,), Muskingum's ``x``, 0 to 0.5.

    Raises
    ------
    DataError
        If values are not one number per reach, or out of their range.

    Examples
    --------
    >>> river = RiverNetwork([1, -1], [5e3, 5e3])
    >>> routing = MuskingumRouting(river, [5.0, 30.0], [0.2, 0.2])
    >>> lateral = torch.ones(60, 2, dtype=torch.float64)
    >>> routing.route(lateral).discharge[-1].numpy().round(6)
    array([1., 2.])
    """

    def __init__(
        self,
        network: RiverNetwork,
        travel_time: np.ndarray | Sequence[float],
        weighting: np.ndarray | Sequence[float],
    ) -> None:
        self.network = network
        hours = _per_reach(travel_time, network, "travel_time", 0.0, np.inf)
        x = _per_reach(weighting, network, "weighting", 0.0, 0.5)
        hours = np.clip(hours, _SHORTEST, _LONGEST)
        self._flow, self._next = _day(network, *_coefficients(hours, x))
        self._torch = tuple(sparse_tensor(m) for m in (self._flow, self._next))

    @classmethod
    def manning(
        cls,
        network: RiverNetwork,
        *,
        roughness: np.ndarray,
        slope: np.ndarray,
        depth: np.ndarray,
        weighting: np.ndarray,
        lakes: np.ndarray | None = None,
    ) -> MuskingumRouting:
        """Make it of channel geometry: travel time at bankfull, after Manning.

        Parameters
        ----------
        network : RiverNetwork
            The reaches.
        roughness, slope, depth : array_like
            Shape (n_reaches,): Manning's roughness [s m-1/3], slope (1e-4 where below 1e-7), and
            depth [m] at bankfull.
        weighting : array_like
            As in the class.
        lakes : array_like of bool, optional
            Reaches that are lakes: a day.

        Raises
        ------
        DataError
            As the class.
        """
        n = _per_reach(roughness, network, "roughness", 0.0, np.inf)
        s = _per_reach(slope, network, "slope", -np.inf, np.inf)
        d = _per_reach(depth, network, "depth", 0.0, np.inf)
        # PRMS computes velocities before it corrects slopes: these reaches take a day.
        velocity = 3600.0 * np.sqrt(np.maximum(s, 0.0)) * d ** (2.0 / 3.0) / n
        moving = velocity > 0.0
        hours = np.where(moving, network.lengths / np.where(moving, velocity, 1.0), _LONGEST)
        if lakes is not None:
            hours = np.where(np.asarray(lakes, dtype=bool), _LONGEST, hours)
        return cls(network, hours, weighting)

    def route(self, lateral: Tensor, state: Tensor | None = None) -> Routed:
        """Route what flows into the reaches from the side.

        Parameters
        ----------
        lateral : torch.Tensor
            Shape (..., n_days, n_reaches), any flow, constant over each day.
        state : torch.Tensor, optional
            As returned; dry if left out.

        Returns
        -------
        Routed

        Raises
        ------
        DataError
            If shapes do not fit.
        """
        n = self.network.size
        if lateral.ndim < 2 or lateral.shape[-1] != n:
            raise DataError(
                f"The lateral inflow has the shape {tuple(lateral.shape)}, not (..., day, {n})."
            )
        x = lateral.double().movedim(-2, 0)
        now = x.new_zeros(*x.shape[1:-1], 2 * n) if state is None else state
        if now.shape != (*x.shape[1:-1], 2 * n):
            raise DataError(f"The state has the shape {tuple(now.shape)}, not (..., {2 * n}).")
        matrices = [m.to(x.device) for m in self._torch]
        flows = []
        for day in x:
            known = torch.cat([day, now], dim=-1).reshape(-1, 3 * n).T
            flow, after = (torch.sparse.mm(m, known).T for m in matrices)
            flows.append(flow.reshape(day.shape))
            now = after.reshape(now.shape)
        return Routed(torch.stack(flows, dim=-2), now)

    def at(self, reaches: Sequence[int] | np.ndarray, tolerance: float = 1e-9) -> GageRouting:
        """Return the routing to a few reaches, which is faster where only these are looked at.

        Parameters
        ----------
        reaches : sequence of int
            Such as those that end at gages.
        tolerance : float
            Share of the water of a day that may still be under way when it is forgotten.
        """
        n = self.network.size
        rows = np.asarray(reaches)
        into, through = self._next[:, :n].tocsr(), self._next[:, n:].tocsr()
        responses = [self._flow[rows][:, :n].toarray()]
        carried = self._flow[rows][:, n:].tocsr()
        while True:
            response = (carried @ into).toarray()
            if np.abs(response).max(initial=0.0) < tolerance:
                return GageRouting(torch.from_numpy(np.stack(responses)))
            responses.append(response)
            carried = carried @ through


class GageRouting(nn.Module):
    """Routing to some reaches as a convolution with what a day of inflow becomes there.

    Parameters
    ----------
    response : torch.Tensor
        Shape (n_lags, n_gages, n_reaches): flow at a gage that many days after a unit of inflow.
    """

    response: Tensor

    def __init__(self, response: Tensor) -> None:
        super().__init__()
        self.register_buffer("response", response.double())

    def forward(self, lateral: Tensor) -> Tensor:
        """Return the mean flow of each day at the gages.

        Parameters
        ----------
        lateral : torch.Tensor
            Shape (n_days, n_reaches); dry before.

        Returns
        -------
        torch.Tensor
            Shape (n_days, n_gages), in the unit of the inflow, in float64.
        """
        lags = len(self.response)
        kernel = self.response.flip(0).permute(1, 2, 0)
        padded = nn.functional.pad(lateral.double().T, (lags - 1, 0))
        return nn.functional.conv1d(padded[None], kernel)[0].T


def _per_reach(
    values: np.ndarray | Sequence[float], network: RiverNetwork, name: str, low: float, high: float
) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.shape != (network.size,) or not ((array >= low) & (array <= high)).all():
        raise DataError(
            f"'{name}' has the shape {array.shape} for {network.size} reaches, or a value that is "
            f"not between {low:g} and {high:g}.",
            f"river network '{network.name}'",
            "Give one number per reach",
        )
    return array


def _coefficients(hours: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps [h], shape (n,), and the three coefficients, shape (3, n).

    Reaches of less than an hour hand on what flows in.
    """
    steps = np.array(_STEPS)[np.searchsorted(_STEPS, hours, side="right") - 1]
    at_once = hours < 1.0
    steps = np.where(at_once, 1, steps)
    divisor = hours - hours * x + 0.5 * steps
    divisor = np.where(np.abs(divisor) < 1e-6, 1e-4, divisor)
    c0 = (0.5 * steps - hours * x) / divisor
    c1 = (0.5 * steps + hours * x) / divisor
    c2 = (hours - hours * x - 0.5 * steps) / divisor
    c1, c2 = c1 + np.minimum(c2, 0.0), np.maximum(c2, 0.0)  # short travel times
    c1, c0 = c1 + np.minimum(c0, 0.0), np.maximum(c0, 0.0)  # long ones
    c = np.where(at_once, np.array([[1.0], [0.0], [0.0]]), np.stack([c0, c1, c2]))
    return steps, c


def _day(network: RiverNetwork, steps: np.ndarray, c: np.ndarray) -> tuple[csr_array, csr_array]:
    """Return the mean outflow of a day and the next state, as matrices of inflow and state."""
    from scipy import sparse

    n = network.size
    one, none = sparse.eye_array(n, format="csr"), sparse.csr_array((n, n))
    lateral = sparse.hstack([one, none, none], format="csr")
    outflow = sparse.hstack([none, one, none], format="csr")
    before = sparse.hstack([none, none, one], format="csr")  # the mean inflow of yesterday
    upstream = network.connectivity
    gathered = total_in = total_out = sparse.csr_array((n, 3 * n))
    solved: dict[bytes, csr_array] = {}
    for hour in range(1, _HOURS + 1):
        routed = hour % steps == 0
        now, later = _diagonal(routed), _diagonal(~routed)
        first = _diagonal(routed * c[0] / steps)
        known = first @ (gathered + lateral) + now @ (
            _diagonal(c[1]) @ before + _diagonal(c[2]) @ outflow
        )
        key = routed.tobytes()
        if key not in solved:
            # What leaves a reach enters the next one within the hour: no circles, so a finite sum.
            solved[key] = _inverse(one - first @ upstream)
        outflow = (solved[key] @ (known + later @ outflow)).tocsr()
        inflow = lateral + upstream @ outflow
        gathered = gathered + inflow
        before = _diagonal(routed / steps) @ gathered + later @ before
        gathered = later @ gathered
        total_in, total_out = total_in + inflow, total_out + outflow
    flow = (total_out / _HOURS).tocsr()
    return flow, sparse.vstack([outflow, total_in / _HOURS], format="csr")


def _diagonal(values: np.ndarray) -> csr_array:
    from scipy import sparse

    return sparse.diags_array(np.asarray(values, dtype=float), format="csr")


def _inverse(matrix: csr_array) -> csr_array:
    """Return the inverse of one less a nilpotent matrix: the sum of all its powers."""
    from scipy import sparse

    one = sparse.eye_array(matrix.shape[0], format="csr")
    power = total = (one - matrix).tocsr()
    power.eliminate_zeros()
    while power.nnz:
        power = (power @ (one - matrix)).tocsr()
        power.eliminate_zeros()
        total = total + power
    return (one + total).tocsr()
