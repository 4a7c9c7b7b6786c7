"""A coupled run in a process of its own that kills itself in a step, or goes on.

python killed.py FOLDER STEP: SIGKILL in that step of a component; STEP 0 goes on to the end.
"""

import datetime as dt
import os
import signal
import sys
from pathlib import Path

import numpy as np
from pairs import Aquifer, Surface
from reservoirs import Reservoir, start

from hybridwater.coupling import CoupledModel

CELLS = {"area": np.full(5, 1e6)}


class Mortal(Reservoir):
    """Kills the whole process, as if the power had gone, in one of its steps."""

    kill_at = 0

    def _advance(self):
        super()._advance()
        if int(self._steps) == self.kill_at - 1:
            os.kill(os.getpid(), signal.SIGKILL)


def make(folder, kill_at=0, **options):
    """Steps that do not fit, a lag, an iterated pair, outputs and frequent checkpoints."""
    late = Mortal(step=0.3, area=np.full(5, 1e6))
    late.kill_at = kill_at
    return CoupledModel(
        {
            "rain": start(0.7, area=np.full(5, 1e6), inputs={"recharge_flux": 4.0}, rate=0.3),
            "surface": Surface(leakance=2.0, step=0.5, **CELLS),
            "aquifer": Aquifer(step=1.0, **CELLS),
            "late": late,
        },
        [
            {
                "source": "rain.runoff_flux",
                "target": "surface.precipitation_flux",
                "remap": np.eye(5) * 0.9,
            },
            {"source": "surface.leakage_flux", "target": "aquifer"},
            {"source": "aquifer.groundwater_head", "target": "surface"},
            {"source": "surface.runoff_flux", "target": "late.recharge_flux", "lag": "2 d"},
        ],
        iteration={"reuse": 2, "relaxation": 0.3},
        outputs={
            "surface": {"variables": ["surface_amount", "runoff_flux"], "every": "1.5 d"},
            "rain": {"variables": ["runoff_flux"], "every": "7 d"},
            "late": {
                "variables": ["reservoir_amount", "runoff_flux"],
                "sites": {"reservoir_amount": [3, 0]},
            },
        },
        directory=folder,
        checkpoint_every="5 d",
        **options,
    )


DAYS = 60

if __name__ == "__main__":
    folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    model = make(folder, kill_at)
    if (folder / "checkpoint.npz").exists():
        model.resume()
    model.run(dt.timedelta(days=DAYS, seconds=-model.time), progress=False)
    model.close()
