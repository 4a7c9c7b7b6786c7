"""How a model is solved: the Engine contract and the engines behind it."""

from hybridwater.engines.base import (
    Engine,
    Failure,
    Gradients,
    Options,
    Pullback,
    Solution,
    Solver,
)
from hybridwater.engines.registry import get_engine

__all__ = [
    "Engine",
    "Failure",
    "Gradients",
    "Options",
    "Pullback",
    "Solution",
    "Solver",
    "get_engine",
]
