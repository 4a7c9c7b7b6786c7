"""Candidate equations: sums of products of forms, with numbers for their constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hybridwater.discovery.forms import Form, Kind, Visited


class Evaluated(Protocol):
    """Anything with numbers for its constants that may become an equation."""

    def values(
        self, x: np.ndarray, visited: Sequence[Visited], gate: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Evaluate at inputs of shape (sample, input); shape (sample,)."""
        ...


@dataclass(frozen=True)
class Factor:
    """A form of one input, by the number of the input."""

    column: int
    form: Form


#: Factors of different inputs, in the order of the inputs; none for a constant.
Product = tuple[Factor, ...]


@dataclass(frozen=True)
class Structure:
    """What an equation looks like, whatever its constants are.

    Parameters
    ----------
    products : tuple of Product
        What is added up, each times an amplitude.
    gated : bool
        Whether the sum is multiplied by the gate of an empty store.
    plain : bool
        Whether the amplitude of the only product is one, and no constant.
    """

    products: tuple[Product, ...]
    gated: bool = False
    plain: bool = False

    @property
    def kinds(self) -> list[tuple[int, Kind]]:
        """Input and kind of each constant inside the forms, in order."""
        return [(f.column, kind) for p in self.products for f in p for kind in f.form.constants]

    @property
    def n_constants(self) -> int:
        """Number of fitted constants, amplitudes included."""
        return len(self.kinds) + (0 if self.plain else len(self.products))

    @property
    def size(self) -> int:
        """Factors and constants: a measure of complexity before an equation is written."""
        return self.n_constants + sum(map(len, self.products))

    def describe(self, inputs: Sequence[str]) -> str:
        """Name the forms, for example ``capped(soil) proportional(pet)``."""
        words = [
            " ".join(f"{f.form.name}({inputs[f.column]})" for f in p) or "constant"
            for p in self.products
        ]
        return " + ".join(words)

    def columns(self, x: np.ndarray, visited: Sequence[Visited], inner: np.ndarray) -> np.ndarray:
        """Evaluate the products without their amplitudes.

        Parameters
        ----------
        x : numpy.ndarray
            Inputs, shape (sample, input).
        visited : sequence of Visited
            One per input.
        inner : numpy.ndarray
            Constants inside the forms, in the order of :attr:`kinds`.

        Returns
        -------
        numpy.ndarray
            Shape (sample, product).
        """
        left = iter(inner)
        result = np.ones((len(x), len(self.products)))
        for k, product in enumerate(self.products):
            for factor in product:
                constants = [next(left) for _ in factor.form.constants]
                reference = visited[factor.column].origin(factor.form)
                result[:, k] *= factor.form.values(x[:, factor.column], reference, *constants)
        return result


@dataclass(frozen=True, eq=False)
class Candidate:
    """A structure with numbers.

    Parameters
    ----------
    structure : Structure
        The structure.
    inner : numpy.ndarray
        Constants inside the forms.
    amplitudes : numpy.ndarray
        One per product.
    """

    structure: Structure
    inner: np.ndarray
    amplitudes: np.ndarray

    def values(
        self, x: np.ndarray, visited: Sequence[Visited], gate: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Evaluate, shape (sample,)."""
        value = self.structure.columns(x, visited, self.inner) @ self.amplitudes
        return value * gate if self.structure.gated else value


def merged(a: Product, b: Product) -> Product:
    """Multiply two products of different inputs."""
    return tuple(sorted((*a, *b), key=lambda f: f.column))


def rounded(value: float, digits: int = 6) -> float:
    """Round to significant digits."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value
