"""The embedded engine: the only sub-package that imports JAX."""

from hybridwater.engines.embedded.engine import EmbeddedEngine, EmbeddedSolver

__all__ = ["EmbeddedEngine", "EmbeddedSolver"]
