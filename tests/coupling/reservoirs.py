"""Small components for the tests of coupling: linear reservoirs with any step, and faults."""

import os
import signal
import time

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.template import Template


class Reservoir(Template):
    """The template with any step, and faults that are injected on purpose."""

    name = "reservoir"
    checks_outputs = False  # `_refuse_broken` is left to the coupled model

    def __init__(self, *, step=1.0, fault=None, fault_at=3, **options):
        super().__init__(**options)
        self._step, self.fault, self.fault_at = float(step), fault, fault_at

    def _advance(self):
        super()._advance()
        if self._steps >= self.fault_at:
            if self.fault == "nan":
                self._values["runoff_flux"][-1] = np.nan
            if self.fault == "raises":
                raise ZeroDivisionError("a bug of someone else")
            if self.fault == "leak":
                self._content[-1] *= 0.9
            if self.fault == "hangs":
                time.sleep(600)
            if self.fault == "exits":
                os._exit(7)
            if self.fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)

    def get_current_time(self):
        time = super().get_current_time()
        late = self._steps > self.fault_at
        if self.fault == "stands" and late:
            return self.fault_at * self._step
        return -time if self.fault == "back" and late else time

    def _refuse_broken(self):
        """Leave it to the coupled model."""

    def storage(self):
        if self._steps > self.fault_at:
            if self.fault == "raises in storage":
                raise ZeroDivisionError("a bug of someone else")
            if self.fault == "killed in storage":
                os.kill(os.getpid(), signal.SIGKILL)
        return super().storage()

    def boundary_fluxes(self):
        fluxes = super().boundary_fluxes()
        if fluxes and self.fault == "sign of inflow":
            fluxes["recharge_flux"] *= -1.0
        if fluxes and self.fault == "unit of outflow":
            fluxes["runoff_flux"] /= 86400.0
        if fluxes and self.fault == "area of outflow":
            fluxes["runoff_flux"] *= 1.05
        return fluxes


class Litres(Reservoir):
    """A reservoir whose ports are volumes: transports of cells without areas."""

    name = "litres"
    variables = (
        Variable("inflow", "L h-1", "in", "rate", "water that goes in", default=0.0),
        Variable("runoff_flux", "L s-1", "out", "rate", "water that comes out"),
        Variable("reservoir_amount", "kg m-2", "out", "state", "content at the end of the step"),
    )

    def _advance(self):
        area = self._p["area"]
        self._values["recharge_flux"] = self._values["inflow"] * 24.0 / area
        super()._advance()
        self._values["runoff_flux"] *= area / 86400.0
        del self._values["recharge_flux"]

    def boundary_fluxes(self):
        if not self._steps:
            return {}
        return {
            "inflow": self._values["inflow"] * 24.0 * self._step,
            "runoff_flux": -self._values["runoff_flux"] * 86400.0 * self._step,
        }


def start(step=1.0, cells=2, **options):
    """A reservoir of some cells with rain."""
    options = {"area": [1e6 * (i + 1) for i in range(cells)], "initial": 20.0, **options}
    return Reservoir(step=step, **options)
