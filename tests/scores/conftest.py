import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # made.py is imported by name

from made import flow


@pytest.fixture(scope="module")
def calibrated():
    """Forecast and truth from one distribution, 3 gages."""
    rng = np.random.default_rng(0)
    centre = rng.gamma(2.0, 5.0, (3, 800))
    members = centre * np.exp(0.3 * rng.standard_normal((50, 3, 800)))
    truth = centre * np.exp(0.3 * rng.standard_normal((3, 800)))
    return flow(members, ("member", "gage", "time")), flow(truth, ("gage", "time"))
