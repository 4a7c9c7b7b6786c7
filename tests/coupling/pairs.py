"""A stiff pair of groundwater and surface water, and its monolithic solution."""

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.configuration import per_cell
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import cells


class Surface(DeclaredComponent):
    """Ponds with rain and runoff, which leak to an aquifer by the difference of two heads.

    Backward Euler: S' = S + dt (p - a S - q), q = L (S'/s_y - H), with the head H of the aquifer.
    """

    name = "surface"
    variables = (
        Variable("precipitation_flux", "kg m-2 d-1", "in", "rate", "rain", default=8.0),
        Variable("groundwater_head", "mm", "in", "state", "head of the aquifer", default=0.0),
        Variable("leakage_flux", "kg m-2 d-1", "out", "rate", "to the aquifer"),
        Variable("runoff_flux", "kg m-2 d-1", "out", "rate", "to the river"),
        Variable("surface_amount", "kg m-2", "out", "state", "water on the surface"),
    )

    def __init__(self, *, area=1e6, leakance=5.0, rate=0.1, initial=10.0, step=1.0, **options):
        super().__init__(step=step, **options)
        self._p = per_cell("surface", area=area, leakance=leakance, rate=rate, initial=initial)

    def _make_grids(self):
        return {0: cells(self._p["area"].size)}

    def _cell_areas(self, grid):
        return self._p["area"]

    def _configuration(self):
        return self._p

    def _reset(self):
        self._S = self._p["initial"].copy()

    def _state_arrays(self):
        return {"S": self._S}

    def _advance(self):
        v, p, dt = self._values, self._p, self._step
        L, a = p["leakance"], p["rate"]
        before = self._S.copy()
        rain, head = v["precipitation_flux"], v["groundwater_head"]
        self._S[:] = (before + dt * (rain + L * head)) / (1 + dt * (a + L))
        v["leakage_flux"][:] = L * (self._S - head)
        v["runoff_flux"][:] = rain - v["leakage_flux"] - (self._S - before) / dt
        v["surface_amount"][:] = self._S

    def storage(self):
        return {"surface": self._S * self._p["area"]}

    def boundary_fluxes(self):
        if not self._steps:
            return {}
        scale, v = self._p["area"] * self._step, self._values
        return {
            "precipitation_flux": v["precipitation_flux"] * scale,
            "leakage_flux": -v["leakage_flux"] * scale,
            "runoff_flux": -v["runoff_flux"] * scale,
        }


class Aquifer(DeclaredComponent):
    """Cells that exchange water with their neighbours and a river: (head) mm = kg m-2 / s_y."""

    name = "aquifer"
    variables = (
        Variable("leakage_flux", "kg m-2 d-1", "in", "rate", "from the surface"),
        Variable("baseflow_flux", "kg m-2 d-1", "out", "rate", "to the river"),
        Variable("groundwater_head", "mm", "out", "state", "head"),
    )

    def __init__(self, *, area=1e6, yield_=0.2, rate=0.05, between=0.02, step=1.0, **options):
        super().__init__(step=step, **options)
        self._p = per_cell("aquifer", area=area, yield_=yield_, rate=rate)
        self._between = between

    def _make_grids(self):
        return {0: cells(self._p["area"].size)}

    def _cell_areas(self, grid):
        return self._p["area"]

    def _configuration(self):
        return self._p

    def _reset(self):
        n = self._p["area"].size
        self._h = np.zeros(n)
        chain = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        chain[0, 0] = chain[-1, -1] = 1.0 if n > 1 else 0.0
        self._out = np.diag(self._p["rate"]) + self._between * chain
        self._matrix = np.linalg.inv(np.diag(self._p["yield_"]) + self._step * self._out)

    def _state_arrays(self):
        return {"h": self._h}

    def _advance(self):
        v, dt = self._values, self._step
        self._h[:] = self._matrix @ (self._p["yield_"] * self._h + dt * v["leakage_flux"])
        v["baseflow_flux"][:] = self._p["rate"] * self._h
        v["groundwater_head"][:] = self._h

    def storage(self):
        return {"aquifer": self._p["yield_"] * self._h * self._p["area"]}

    def boundary_fluxes(self):
        if not self._steps:
            return {}
        scale, v = self._p["area"] * self._step, self._values
        return {
            "leakage_flux": v["leakage_flux"] * scale,
            "baseflow_flux": -v["baseflow_flux"] * scale,
        }


def monolithic(surface, aquifer, steps):
    """Both in one linear system, backward Euler; return amounts and heads after the last step."""
    p, q, dt = surface._p, aquifer._p, surface._step
    n = p["area"].size
    L, a = np.diag(p["leakance"]), np.diag(p["rate"])
    matrix = np.block(
        [
            [np.eye(n) + dt * (a + L), -dt * L],
            [-dt * L, np.diag(q["yield_"]) + dt * (aquifer._out + L)],
        ]
    )
    state = np.concatenate([p["initial"], np.zeros(n)])
    for _ in range(steps):
        right = np.concatenate([state[:n] + dt * 8.0, q["yield_"] * state[n:]])
        state = np.linalg.solve(matrix, right)
    return state[:n], state[n:]
