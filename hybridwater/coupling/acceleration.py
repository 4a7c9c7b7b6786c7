"""Fixed-point iterations x -> H(x), and what makes them converge in few steps.

Names are those of preCICE (Chourdakis et al., 2022, doi:10.12688/openreseurope.14445.2). All
see the same two vectors, what went into a pass and what came out of it, and return the next one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

# A column of differences that the newer ones explain up to this share says nothing new.
_FILTER = 1e-10


class Acceleration(ABC):
    """How the next iterate is made.

    Parameters
    ----------
    relaxation : float
        Share of the residual that is added where nothing better is known.
    depth : int
        How many earlier differences are kept.
    reuse : int
        From how many earlier coupling windows differences are kept (IQN-ILS only).
    """

    def __init__(self, relaxation: float, depth: int, reuse: int = 0) -> None:
        self.relaxation, self.depth, self.reuse = relaxation, depth, reuse
        self.weights = np.ones(1)

    def start(self) -> None:
        """Begin a coupling window."""
        self.weights = np.ones(1)

    @abstractmethod
    def next(self, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return the next iterate.

        Parameters
        ----------
        x, moved : numpy.ndarray
            What went in, and what came out, shape (n,).
        """

    def finish(self) -> None:  # noqa: B027 - most remember nothing
        """End a coupling window that has converged."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what outlives a window, for a checkpoint."""
        return {}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:  # noqa: B027
        """Take what outlives a window from a checkpoint."""


class Relaxation(Acceleration):
    """Relaxed fixed point: x + w r, with the residual r = H(x) - x."""

    def next(self, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return x + w r."""
        return x + self.relaxation * (moved - x)


class Aitken(Acceleration):
    """Relaxed fixed point whose factor follows the residuals.

    Source: Küttler and Wall (2008), doi:10.1007/s00466-008-0255-5, equation 44.
    """

    def start(self) -> None:
        """Begin a window with the given factor."""
        self._factor, self._last = self.relaxation, None

    def next(self, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return x + w r with w = -w_old r_old (r - r_old) / |r - r_old|^2."""
        residual = (moved - x) * self.weights
        if self._last is not None:
            change = residual - self._last
            square = float(change @ change)
            if square > 0.0:
                self._factor *= -float(self._last @ change) / square
        self._last = residual
        return x + self._factor * (moved - x)


class Anderson(Acceleration):
    """Anderson mixing: the residual is made small over the span of earlier differences.

    Source: Walker and Ni (2011), doi:10.1137/10078356X, equations 2.1 to 2.2, with mixing.
    """

    def start(self) -> None:
        """Begin a window without history."""
        self._x: list[np.ndarray] = []
        self._r: list[np.ndarray] = []

    def next(self, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return x + w r - (dX + w dR) g, where g minimises |r - dR g|."""
        r = moved - x
        self._x, self._r = [*self._x, x][-self.depth - 1 :], [*self._r, r][-self.depth - 1 :]
        change_x, change_r = _differences(self._x), _differences(self._r)
        g, kept = _least_squares(change_r, r, self.weights)
        mixed = x + self.relaxation * r
        for factor, i in zip(g, kept, strict=True):
            mixed = mixed - factor * (change_x[i] + self.relaxation * change_r[i])
        return mixed


class IqnIls(Acceleration):
    """Interface quasi-Newton with the inverse Jacobian from a least-squares model.

    Source: Degroote, Bathe and Vierendeels (2009), doi:10.1016/j.compstruc.2008.11.013; columns
    that add nothing are left out as in Haelterman et al. (2016), Computers and Structures 171.
    """

    def __init__(self, relaxation: float, depth: int, reuse: int = 0) -> None:
        super().__init__(relaxation, depth, reuse)
        self._old: list[tuple[list[np.ndarray], list[np.ndarray]]] = []

    def start(self) -> None:
        """Begin a window with the differences of earlier ones."""
        self._moved: list[np.ndarray] = []
        self._r: list[np.ndarray] = []

    def next(self, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return H(x) + W a, where a minimises |V a + r|; V, W differences of r and H(x)."""
        r = moved - x
        self._moved = [*self._moved, moved][-self.depth - 1 :]
        self._r = [*self._r, r][-self.depth - 1 :]
        w, v = _differences(self._moved), _differences(self._r)
        for old_w, old_v in reversed(self._old):
            w, v = w + old_w, v + old_v
        a, kept = _least_squares(v, -r, self.weights)
        if not kept:
            return x + self.relaxation * r
        for factor, i in zip(a, kept, strict=True):
            moved = moved + factor * w[i]
        return moved

    def finish(self) -> None:
        """Keep the differences of this window."""
        if self.reuse:
            window = (_differences(self._moved), _differences(self._r))
            self._old = [*self._old, window][-self.reuse :] if window[0] else self._old

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the differences of earlier windows."""
        found = {}
        for i, (w, v) in enumerate(self._old):
            found[f"{i:04d}"] = np.array([w, v])
        return found

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the differences of earlier windows."""
        self._old = [(list(arrays[k][0]), list(arrays[k][1])) for k in sorted(arrays)]


METHODS: dict[str, type[Acceleration]] = {
    "relaxation": Relaxation,
    "aitken": Aitken,
    "anderson": Anderson,
    "iqn-ils": IqnIls,
}


def _differences(vectors: list[np.ndarray]) -> list[np.ndarray]:
    """Return differences of vectors that follow one another, the newest first."""
    return [b - a for a, b in zip(vectors[-2::-1], vectors[:0:-1], strict=True)]


def _least_squares(
    columns: list[np.ndarray], right: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, list[int]]:
    """Solve for the columns that add something; return factors and which columns they are of."""
    basis: list[np.ndarray] = []
    kept: list[int] = []
    for i, column in enumerate(columns):
        scaled = column * weights
        rest = scaled.copy()
        for _ in range(2):  # once is not enough where columns are nearly the same
            for q in basis:
                rest -= (q @ rest) * q
        size = float(np.linalg.norm(rest))
        if size > _FILTER * float(np.linalg.norm(scaled)) and size > 0.0:
            basis.append(rest / size)
            kept.append(i)
        if len(kept) == len(right):
            break
    if not kept:
        return np.zeros(0), []
    q = np.stack(basis)
    r = q @ np.stack([columns[i] * weights for i in kept], axis=1)
    return np.linalg.solve(np.triu(r), q @ (right * weights)), kept
