"""Coupling: components that run together, exchange water between their cells, and lose none.

Declare what goes from where to where as exchanges, and hand them with the components to a
:class:`CoupledModel`.
"""

from hybridwater.coupling.demand import Demand
from hybridwater.coupling.exchange import Exchange, Learned
from hybridwater.coupling.iteration import Iteration
from hybridwater.coupling.ledger import Policy
from hybridwater.coupling.model import CoupledModel
from hybridwater.coupling.outputs import Output
from hybridwater.coupling.stand_ins import StandIn

__all__ = [
    "CoupledModel",
    "Demand",
    "Exchange",
    "Iteration",
    "Learned",
    "Output",
    "Policy",
    "StandIn",
]
