import warnings
from pathlib import Path

import numpy as np
import pytest



@pytest.fixture
def misbehaving(monkeypatch):
    """Make tests/components/models.py importable as 'models', here and in spawned processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def balance(component, step):
    """Take a step; return storage change, sum of boundary fluxes, and the water that moved [kg]."""
    before = sum(float(np.sum(s)) for s in component.storage().values())
    step()
    after = sum(float(np.sum(s)) for s in component.storage().values())
    fluxes = [np.asarray(f, float) for f in component.boundary_fluxes().values()]
    moved = sum(float(np.abs(f).sum()) for f in fluxes)
    return after - before, sum(float(f.sum()) for f in fluxes), moved


def import_quietly(name):
    """Import an optional package, or skip; its own warnings at import are not errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"the package {name} is not installed")
