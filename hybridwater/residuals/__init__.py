"""What a simulation gets wrong, as a distribution: residual models of one or many sites.

A residual model works on any pair of simulated and observed flow; it needs to know nothing of the
model that made the simulation.

Examples
--------
>>> from hybridwater.residuals import ResidualModel
>>> posterior = ResidualModel().fit(simulated, observed)  # doctest: +SKIP
>>> ensemble = posterior.sample(simulated, members=100)  # doctest: +SKIP
"""

from hybridwater.residuals.inference import Diagnostics, Inference, NotConverged
from hybridwater.residuals.model import ResidualModel
from hybridwater.residuals.posterior import ResidualPosterior
from hybridwater.residuals.terms import TERMS

__all__ = [
    "TERMS",
    "Diagnostics",
    "Inference",
    "NotConverged",
    "ResidualModel",
    "ResidualPosterior",
]
