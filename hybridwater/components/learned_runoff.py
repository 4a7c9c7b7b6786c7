"""A learned exchange from land to rivers, as a component between them."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.components.base import Kind, Variable
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.delaware_exchange import WEIGHTS, delaware_coupler
from hybridwater.components.grids import Grid, cells
from hybridwater.errors import UnitError

if TYPE_CHECKING:
    from hybridwater.mgn import RunoffCoupler

logger = logging.getLogger(__name__)

_DAILY, _AMOUNT = "kg m-2 d-1", "kg m-2"
RUNOFF, UNOBSERVED, HELD = "runoff_flux", "unobserved_flux", "coupling_store_amount"


class LearnedRunoff(DeclaredComponent):
    """What a trained `RunoffCoupler` does between land and rivers, day by day.

    It takes the runoff that land gives, and reads the other signals of the coupler: exchanges of
    these are no water that moves (``water = false``). Its store, its memory and what was not
    observed are part of the ledger and of checkpoints. Where a cell is out of the range of the
    training, all that it gives goes on to the rivers, as without a learned exchange; the component
    says so once, and counts.

    Parameters
    ----------
    coupler : RunoffCoupler, optional
        Trained, or as `RunoffCoupler.load` read it; of the Delaware, with ``weights``, if left
        out.
    weights : str or path-like
        A file, or the name of weights that come with the package.
    start : str or date, optional
        Date of time zero.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the land.
    """

    name = "learned-runoff"
    title = "learned exchange from land to rivers"

    def __init__(
        self,
        coupler: RunoffCoupler | None = None,
        *,
        weights: str | Path = WEIGHTS,
        start: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(step=1.0, start=start, inputs=inputs, meshes={0: mesh})
        self.coupler = coupler = delaware_coupler(weights) if coupler is None else coupler
        self._area = coupler.graph["land"].measure.numpy()
        self._others = {n: u for n, u in coupler.signals.items() if n not in coupler.given}
        self.variables = (
            *(
                Variable(name, _DAILY, "in", "rate", "runoff that land gives", typical=1.0)
                for name in coupler.given
            ),
            *(
                Variable(name, unit, "in", _kind(unit), "read by the network", typical=1.0)
                for name, unit in self._others.items()
            ),
            Variable(RUNOFF, _DAILY, "out", "rate", "what goes to the rivers"),
            Variable(UNOBSERVED, _DAILY, "out", "rate", "what nobody observed, from outside"),
            Variable(HELD, _AMOUNT, "out", "state", "runoff that is held back"),
        )

    def _make_grids(self) -> dict[int, Grid]:
        return {0: cells(self._area.size)}

    def _cell_areas(self, grid: int) -> np.ndarray:
        return self._area

    def _configuration(self) -> dict[str, Any]:
        weights = {k: v.numpy() for k, v in self.coupler.state_dict().items()}
        return {"area": self._area, **weights}

    def _reset(self) -> None:
        signals, scales = len(self.coupler.signals), len(self.coupler.memory)
        self._memory = np.zeros((self._area.size, signals, scales))
        self._stores = np.zeros((self._area.size, 2))
        self._unknown = np.zeros((), np.int64)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"memory": self._memory, "stores": self._stores, "unknown": self._unknown}

    @property
    def fallbacks(self) -> tuple[int, int]:
        """How often a cell was out of the range of the training, and cells times days."""
        return int(self._unknown), int(self._steps) * self._area.size

    def _advance(self) -> None:
        import torch

        from hybridwater.mgn import CouplerState

        values, coupler = self._values, self.coupler
        given, signals = (
            torch.from_numpy(np.stack([values[n] for n in names], axis=-1)[None])
            for names in (coupler.given, coupler.signals)
        )
        memory, stores = torch.from_numpy(self._memory), torch.from_numpy(self._stores)
        state = CouplerState(memory, stores) if self._steps else None
        with torch.no_grad():
            done, after = coupler(given, signals, state)
        if not bool(done.known.all()):
            if not self._unknown:
                logger.warning(
                    "What the learned exchange '%s' reads is out of the range of its training: "
                    "of such cells, runoff goes on to the rivers as it is. They are counted.",
                    self.name,
                )
            self._unknown[()] += int((~done.known).sum())
        self._memory[:], self._stores[:] = after.memory.numpy(), after.stores.numpy()
        values[RUNOFF][:] = done.leaving[0].numpy()
        values[UNOBSERVED][:] = done.unobserved[0].numpy()
        values[HELD][:] = self._stores.sum(axis=1)

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water that is held back [kg], shape (cell,)."""
        return {"coupling store": self._stores.sum(axis=1) * self._area}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], each of shape (cell,)."""
        if not self._steps:
            return {}
        values, area = self._values, self._area
        return {
            **{name: values[name] * area for name in self.coupler.given},
            UNOBSERVED: values[UNOBSERVED] * area,
            RUNOFF: -values[RUNOFF] * area,
        }


def _kind(unit: str) -> Kind:
    """Return whether a signal is a rate, which is averaged over a step, or a state."""
    try:
        units.convert(1.0, unit, _DAILY, "signal")
    except UnitError:
        return "state"
    return "rate"
