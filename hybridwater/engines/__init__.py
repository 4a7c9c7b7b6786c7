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
from hybridwater.engines.steady import Equilibrium, find_equilibrium, steady_state

__all__ = [
    "Engine",
    "Equilibrium",
    "Failure",
    "Gradients",
    "Options",
    "Pullback",
    "Records",
    "Solution",
    "Solver",
    "balance_error",
    "find_equilibrium",
    "get_engine",
    "read_records",
    "simulate",
    "steady_state",
    "water_balance",
]
