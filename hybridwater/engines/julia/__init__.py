"""The Julia engine: models compiled and solved by the Julia package HybridWater."""

from hybridwater.engines.julia.engine import JuliaEngine, JuliaSolver
from hybridwater.engines.julia.problem import SciMLProblem
from hybridwater.engines.julia.starting import dask_setup, start

__all__ = ["JuliaEngine", "JuliaSolver", "SciMLProblem", "dask_setup", "start"]
