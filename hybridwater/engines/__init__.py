"""How a model is solved: the Engine contract and the engines behind it."""

from hybridwater.engines.balance import balance_error, water_balance
from hybridwater.engines.base import (
    Engine,
    Failure,
    Gradients,
    Options,
    Pullback,
    Solution,
    Solver,
)
from hybridwater.engines.records import Records, read_records
from hybridwater.engines.registry import get_engine
from hybridwater.engines.simulation import simulate

__all__ = [
    "Engine",
    "Failure",
    "Gradients",
    "Options",
    "Pullback",
    "Records",
    "Solution",
    "Solver",
    "balance_error",
    "get_engine",
    "read_records",
    "simulate",
    "water_balance",
]
