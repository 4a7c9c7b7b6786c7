"""Simulators without a model, importable by the processes of an ensemble."""

import copy
import os
import signal
import time

import numpy as np
import xarray as xr

from hybridwater.ensembles import Batch, Parameters


class Formula:
    """Numbers of a function of parameters, with files beside it for what happened."""

    def __init__(self, function, batch=4, folder=None, trouble=(), pause=0.0):
        self.function, self.batch, self.folder = function, batch, folder
        self.trouble, self.pause = dict(trouble), pause
        self.sources = {}

    def bind(self, sources):
        bound = copy.copy(self)
        bound.sources = sources
        return bound

    def fingerprint(self):
        return self.function.__name__

    def simulate(self, members):
        rows = []
        for member in members:
            self._trouble(member.number)
            numbers = {}
            for name, source in self.sources.items():
                if isinstance(source, Parameters):
                    drawn = source.drawn(member.draws[name])
                    numbers |= {k: v for k, (v, _) in drawn.items()}
                else:
                    noise = member.draws[name].generator().standard_normal()
                    numbers[name] = noise
            rows.append(self.function(**numbers))
        time.sleep(self.pause)
        values = np.array(rows, float)
        values = np.stack([values, -values], axis=1)
        data = xr.Dataset(
            {"y": (("member", "site"), values, {"units": "m"})},
            {"member": [m.number for m in members], "site": ["a", "b"]},
        )
        return Batch(data, {})

    def _trouble(self, number):
        kind = self.trouble.get(number)
        if self.folder is not None:
            with open(os.path.join(self.folder, "log"), "a") as log:
                log.write(f"{number}\n")
        if kind == "raises":
            raise ValueError(f"member {number} cannot be")
        if kind == "interrupt" and self._first(number):
            signal.raise_signal(signal.SIGINT)
        if kind == "dies" and self._first(number):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "always dies":
            os.kill(os.getpid(), signal.SIGKILL)

    def _first(self, number):
        """Whether this happens for the first time, in any process."""
        try:
            open(os.path.join(self.folder, f"was-{number}"), "x").close()
        except FileExistsError:
            return False
        return True


def ishigami(x1, x2, x3):
    """Ishigami and Homma (1990)."""
    return np.sin(x1) + 7 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)


def additive(a, b, noise):
    return 3 * a + 2 * b + noise


def double(x):
    return 2 * x
