"""The Julia engine: models compiled and solved by the Julia package HybridWater."""

from hybridwater.engines.julia.engine import JuliaEngine, JuliaSolver

__all__ = ["JuliaEngine", "JuliaSolver"]
