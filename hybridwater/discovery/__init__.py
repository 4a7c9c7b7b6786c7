"""From a learned term to an equation, and back into the model."""

from hybridwater.discovery.comparing import Comparison, compare, replacements
from hybridwater.discovery.discovering import discover, search_term
from hybridwater.discovery.front import Front, Proposal
from hybridwater.discovery.sampling import sample_term

__all__ = [
    "Comparison",
    "Front",
    "Proposal",
    "compare",
    "discover",
    "replacements",
    "sample_term",
    "search_term",
]
