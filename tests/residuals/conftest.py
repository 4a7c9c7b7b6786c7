import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # synthetic.py is imported by name

from synthetic import erring, flows, storms


@pytest.fixture(scope="session")
def pair():
    simulated = storms(4, 500)
    return flows(simulated), flows(erring(simulated))


@pytest.fixture(scope="session")
def posterior(pair):
    from hybridwater.residuals import Inference, ResidualModel

    simulated, observed = (data.isel(time=slice(0, 300)) for data in pair)
    return ResidualModel().fit(simulated, observed, inference=Inference(draws=50))
