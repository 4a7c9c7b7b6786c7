"""What a model is: its declaration, equations, neural terms, parameters and checks."""

from hybridwater.ude.columns import Column
from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.functions import (
    cos,
    exp,
    log,
    maximum,
    minimum,
    sigmoid,
    sin,
    smooth_step,
    softplus,
    sqrt,
    tanh,
    where,
)
from hybridwater.ude.model import UDE
from hybridwater.ude.staggered import above, below, column_sum, ends, lowermost, uppermost
from hybridwater.ude.terms import (
    Constant,
    Equation,
    Flux,
    Forcing,
    Network,
    NetworkInput,
    Parameter,
    State,
)

__all__ = [
    "UDE",
    "Column",
    "Constant",
    "Declaration",
    "Equation",
    "Flux",
    "Forcing",
    "Network",
    "NetworkInput",
    "Parameter",
    "State",
    "above",
    "below",
    "column_sum",
    "cos",
    "ends",
    "exp",
    "log",
    "lowermost",
    "maximum",
    "minimum",
    "model",
    "sigmoid",
    "sin",
    "smooth_step",
    "softplus",
    "sqrt",
    "tanh",
    "uppermost",
    "where",
]
