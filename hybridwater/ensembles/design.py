"""Designs: which draw of which source each member has.

A source has numbered draws. In a plain design member i has draw i of every source. In a design for
attribution there are two independent sets of draws, A and B, and for each source members that have
its draw from B and all others from A, so that variances can be attributed (Saltelli et al. 2010,
doi:10.1016/j.cpc.2009.09.018, table 2).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hybridwater.errors import EnsembleError, nearest

Kind = Literal["monte-carlo", "latin-hypercube", "sobol"]
KINDS = ("monte-carlo", "latin-hypercube", "sobol")


@dataclass(frozen=True)
class Design:
    """How members are drawn.

    Parameters
    ----------
    members : int
        Number of members; with ``attribution`` the number of draws in each of the two sets, and the
        ensemble has that times two more than there are sources.
    kind : {"latin-hypercube", "monte-carlo", "sobol"}
        How the numbers of the sources that have few (not noise in space and time) are drawn.
    seed : int
        The same seed gives the same members.
    attribution : bool
        Whether members are mixed so that variance can be attributed to sources.

    Raises
    ------
    EnsembleError
        If a field is not as above, or a Sobol design has not a power of two.
    """

    members: int = 100
    kind: Kind = "latin-hypercube"
    seed: int = 0
    attribution: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise EnsembleError(
                f"There is no design '{self.kind}' ({nearest(str(self.kind), KINDS)})."
            )
        if self.members < 1 or self.seed < 0:
            raise EnsembleError(
                f"{self.members} members with the seed {self.seed} were asked for.",
                fix="Ask for one or more, and give a seed of 0 or more",
            )
        if self.kind == "sobol" and self.members & (self.members - 1):
            below = 1 << (self.members.bit_length() - 1)
            raise EnsembleError(
                f"A Sobol design has a power of two of members, not {self.members}.",
                fix=f"Ask for {below} or {2 * below}",
            )

    def rows(self, sources: int) -> np.ndarray:
        """Return which draw of each source each member has, shape (member, source).

        Members of an attribution come in blocks of one draw: A, B, and the mixtures.
        """
        first = np.arange(self.members)
        if not self.attribution:
            return np.repeat(first[:, None], sources, axis=1)
        a = np.repeat(first[:, None, None], sources, axis=2)
        mixed = np.where(np.eye(sources, dtype=bool), a + self.members, a)
        return np.concatenate([a, a + self.members, mixed], axis=1).reshape(-1, sources)

    def uniforms(self, columns: int) -> np.ndarray:
        """Return numbers between 0 and 1 of every draw, shape (draw, column)."""
        from scipy.stats import qmc

        sets = 2 if self.attribution else 1
        wide = sets * columns
        rng = np.random.default_rng([self.seed, zlib.crc32(self.kind.encode())])
        if not wide:
            return np.zeros((sets * self.members, 0))
        if self.kind == "monte-carlo":
            values = rng.random((self.members, wide))
        elif self.kind == "latin-hypercube":
            values = qmc.LatinHypercube(wide, rng=rng).random(self.members)
        else:
            values = qmc.Sobol(wide, rng=rng).random(self.members)
        values = np.clip(values, 1e-12, 1 - 1e-12)  # where quantiles are finite
        return np.concatenate(np.split(values, sets, axis=1))


@dataclass(frozen=True)
class Draw:
    """One draw of one source.

    Parameters
    ----------
    row : int
        Its number.
    uniforms : numpy.ndarray
        A number between 0 and 1 for each of the source's columns.
    seed : tuple of int
        Seed of whatever else it needs at random.
    """

    row: int
    uniforms: np.ndarray
    seed: tuple[int, ...]

    def generator(self) -> np.random.Generator:
        """Return a generator of random numbers, always the same."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Member:
    """One member.

    Parameters
    ----------
    number : int
        Counted from zero.
    draws : dict of str to Draw
        By the name of the source; those that are switched off are absent.
    """

    number: int
    draws: dict[str, Draw]

    def __str__(self) -> str:
        rows = ", ".join(f"{name} {draw.row}" for name, draw in self.draws.items())
        return f"member {self.number}" + (f" (draws: {rows})" if rows else "")


def seed_of(seed: int, source: str, row: int) -> tuple[int, int, int]:
    """Return the seed of a draw, which no other source has."""
    return seed, zlib.crc32(source.encode()), row
