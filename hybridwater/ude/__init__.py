"""What a model is: its declaration, equations, neural terms, parameters and checks."""

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
    "Constant",
    "Declaration",
    "Equation",
    "Flux",
    "Forcing",
    "Network",
    "NetworkInput",
    "Parameter",
    "State",
    "cos",
    "exp",
    "log",
    "maximum",
    "minimum",
    "model",
    "sigmoid",
    "sin",
    "smooth_step",
    "softplus",
    "sqrt",
    "tanh",
    "where",
]
