"""Functions on a column: from its cells to the faces between them, and back.

A column has n cells, numbered from the top, and n + 1 faces: face i lies above cell i, the last one
below the last cell. A quantity lives on cells, on faces, or on neither (it is one number). Two
operators lead from cells to faces and back; the balance of every cell is what they make of the
flux through its two faces, ``above(q) - below(q)``: what leaves a cell enters its neighbour.
"""

from __future__ import annotations

import sympy


class Staggered(sympy.Function):
    """Base of the functions that look beyond the cell or face that they are evaluated at."""

    is_real = True


class above(Staggered):  # noqa: N801 - spelt as it is used in equations
    """What lies above each face or cell.

    Of a quantity on cells, ``above(x, boundary)`` is on faces: the value of the cell above each
    face, and ``boundary`` (one number) at the uppermost face; without it the value of the cell
    below that face. Of a quantity on faces, ``above(q)`` is on cells: the value at the face
    above each.
    """

    nargs = (1, 2)


class below(Staggered):  # noqa: N801
    """What lies below each face or cell; the mirror image of :class:`above`."""

    nargs = (1, 2)


class ends(Staggered):  # noqa: N801
    """``ends(q, first, last)``: q with other values, two numbers, at the top and at the bottom."""

    nargs = 3


class uppermost(Staggered):  # noqa: N801
    """Value of the uppermost cell or face."""

    nargs = 1


class lowermost(Staggered):  # noqa: N801
    """Value of the lowermost cell or face."""

    nargs = 1


class column_sum(Staggered):  # noqa: N801
    """Sum over all cells or faces of a column."""

    nargs = 1
