"""The only room that imports juliacall: finds, starts, calls and sets up Julia.

Importing it starts nothing. `available` looks without starting Julia, `start` starts it once per
process, `call` runs a function of the Julia package HybridWater, and `setup` installs.
"""

from hybridwater._julia.availability import (
    ADJOINTS,
    DIFFEQPY,
    PACKAGE,
    SYMBOLIC_REGRESSION,
    UUID,
    Availability,
    available,
    extras,
)
from hybridwater._julia.calling import call
from hybridwater._julia.failures import JuliaFailed
from hybridwater._julia.startup import obstacle, start, started

__all__ = [
    "ADJOINTS",
    "DIFFEQPY",
    "PACKAGE",
    "SYMBOLIC_REGRESSION",
    "UUID",
    "Availability",
    "JuliaFailed",
    "available",
    "call",
    "extras",
    "obstacle",
    "start",
    "started",
]
