"""Ready models, from all known to all learned."""

from hybridwater.ude.models.exp_hydro import exp_hydro, exp_hydro_hybrid
from hybridwater.ude.models.gr4j import gr4j
from hybridwater.ude.models.hbv import hbv
from hybridwater.ude.models.linear_reservoir import linear_reservoir
from hybridwater.ude.models.neural_ode import neural_ode
from hybridwater.ude.models.regional import regional_hybrid
from hybridwater.ude.models.richards import richards, richards_hybrid, richards_water

__all__ = [
    "exp_hydro",
    "exp_hydro_hybrid",
    "gr4j",
    "hbv",
    "linear_reservoir",
    "neural_ode",
    "regional_hybrid",
    "richards",
    "richards_hybrid",
    "richards_water",
]
