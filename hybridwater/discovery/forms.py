"""The forms that a law may take in one of its inputs.

Each form is dimensionless but for a power of its input, and has at most two constants of its own
with the unit of the input. They are the responses that hydrology and ecology write down again and
again: proportional, linear, power law (Wittenberg 1999, Hydrol. Process. 13, 715-726), saturation
(Michaelis and Menten 1913; Monod 1949, doi:10.1146/annurev.mi.03.100149.002103), Holling's third
form (1959, doi:10.4039/Ent91385-7), exponential (Beven and Kirkby 1979,
doi:10.1080/02626667909491834), ``tanh`` (Jassby and Platt 1976, doi:10.4319/lo.1976.21.4.0540), and
thresholds (degree-day melt, field capacity).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sympy

from hybridwater.ude.functions import sigmoid, softplus

Kind = Literal["scale", "folding", "threshold", "width", "exponent"]
Values = Callable[..., np.ndarray]

#: Powers with a fitted exponent need a base above zero to have a gradient.
DRY = 1e-6
_LARGEST = 50.0  # of the argument of an exponential
_NEAR_ZERO = 0.1  # share of the span


@dataclass(frozen=True)
class Form:
    """One response to one input.

    Parameters
    ----------
    name : str
        What it is called in tables.
    constants : tuple of str
        What its constants are: ``scale``, ``threshold``, ``width``, ``folding``
        (difference that makes a factor of e), in the unit of the input; ``exponent``.
    values : callable
        ``values(x, reference, *constants)`` with numpy arrays.
    expression : callable
        ``expression(x, reference, *constants)`` with SymPy symbols.
    power : int
        Power of the unit of the input that the value has.
    from_zero : bool
        Whether it needs an input with a true zero, and vanishes there.
    above_zero : bool
        Whether it needs an input with a true zero, though it does not vanish there.
    reference : bool
        Whether it is written relative to a value of the input.
    exponential : int
        1 or -1 if moving it along the input is multiplying it, which grows or falls with it.
    """

    name: str
    constants: tuple[Kind, ...]
    values: Values
    expression: Callable[..., Any]
    power: int = 0
    from_zero: bool = True
    above_zero: bool = False
    reference: bool = False
    exponential: int = 0


def _exp(argument: np.ndarray) -> np.ndarray:
    return np.exp(np.clip(argument, -_LARGEST, _LARGEST))


def _softplus(argument: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, argument)


def _sigmoid(argument: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * argument))


#: All forms. The simplest come first: of two that are equally good and simple the first is taken.
FORMS: tuple[Form, ...] = (
    Form("proportional", (), lambda x, r: x, lambda x, r: x, power=1),
    Form(
        "linear",
        ("scale",),
        lambda x, r, c: x + c,
        lambda x, r, c: x + c,
        power=1,
        from_zero=False,
        above_zero=True,
    ),
    Form("square", (), lambda x, r: x * x, lambda x, r: x**2, power=2),
    Form(
        "power",
        ("exponent",),
        lambda x, r, b: np.maximum(x / r, DRY) ** b,
        lambda x, r, b: sympy.Max(x / r, sympy.Float(DRY)) ** b,
        reference=True,
    ),
    Form(
        "capped",
        ("scale",),
        lambda x, r, c: np.minimum(x / c, 1.0),
        lambda x, r, c: sympy.Min(x / c, 1),
    ),
    Form("saturation", ("scale",), lambda x, r, c: x / (x + c), lambda x, r, c: x / (x + c)),
    Form("tanh", ("scale",), lambda x, r, c: np.tanh(x / c), lambda x, r, c: sympy.tanh(x / c)),
    Form(
        "one minus decay",
        ("scale",),
        lambda x, r, c: -np.expm1(-np.maximum(x / c, -_LARGEST)),
        lambda x, r, c: 1 - sympy.exp(-x / c),
    ),
    Form(
        "sigmoidal saturation",
        ("scale",),
        lambda x, r, c: x * x / (x * x + c * c),
        lambda x, r, c: x**2 / (x**2 + c**2),
    ),
    Form(
        "exponential growth",
        ("folding",),
        lambda x, r, c: _exp((x - r) / c),
        lambda x, r, c: sympy.exp((x - r) / c),
        from_zero=False,
        reference=True,
        exponential=1,
    ),
    Form(
        "capped exponential growth",
        ("threshold", "folding"),
        lambda x, r, t, c: _exp(np.minimum(x - t, 0.0) / c),
        lambda x, r, t, c: sympy.exp(sympy.Min(x - t, 0) / c),
        from_zero=False,
    ),
    Form(
        "exponential decay",
        ("folding",),
        lambda x, r, c: _exp((r - x) / c),
        lambda x, r, c: sympy.exp((r - x) / c),
        from_zero=False,
        reference=True,
        exponential=-1,
    ),
    Form(
        "excess over a threshold",
        ("threshold",),
        lambda x, r, t: np.maximum(x - t, 0.0),
        lambda x, r, t: sympy.Max(x - t, 0),
        power=1,
        from_zero=False,
    ),
    Form(
        "deficit below a threshold",
        ("threshold",),
        lambda x, r, t: np.maximum(t - x, 0.0),
        lambda x, r, t: sympy.Max(t - x, 0),
        power=1,
        from_zero=False,
    ),
    Form(
        "soft excess",
        ("threshold", "width"),
        lambda x, r, t, w: _softplus((x - t) / w),
        lambda x, r, t, w: softplus((x - t) / w),
        from_zero=False,
    ),
    Form(
        "smooth step up",
        ("threshold", "width"),
        lambda x, r, t, w: _sigmoid((x - t) / w),
        lambda x, r, t, w: sigmoid((x - t) / w),
        from_zero=False,
    ),
    Form(
        "smooth step down",
        ("threshold", "width"),
        lambda x, r, t, w: _sigmoid((t - x) / w),
        lambda x, r, t, w: sigmoid((t - x) / w),
        from_zero=False,
    ),
)


@dataclass(frozen=True)
class Visited:
    """What is known of an input from where it has been.

    Parameters
    ----------
    low, high : float
        2nd and 98th percentile of the visited values.
    reference : float
        A round number near the upper end, for forms that are written relative to one.
    has_zero : bool
        Whether the unit has a true zero and no visited value is below it.
    stored : bool
        Whether it is made of a state, whose level is not observed.
    """

    low: float
    high: float
    reference: float
    has_zero: bool
    stored: bool = False

    @classmethod
    def of(cls, x: np.ndarray, *, temperature: bool, stored: bool = False) -> Visited:
        """Look at the values of an input."""
        low, high = np.quantile(x, [0.02, 0.98])
        positive = not temperature and x.min() >= -0.01 * max(high, 0.0) and high > 0
        top = float(f"{high:.1g}") if positive else float(f"{high:.2g}")
        return cls(float(low), float(high), top, positive, stored)

    @property
    def span(self) -> float:
        """Distance between the percentiles."""
        return self.high - self.low

    def origin(self, form: Form) -> float:
        """Return the value that a form is written relative to.

        An exponential of an input that visits its zero begins there, with a factor of one.
        """
        at_zero = self.has_zero and self.low <= _NEAR_ZERO * self.span
        return 0.0 if form.exponential and at_zero else self.reference

    def allows(self, form: Form) -> bool:
        """Say whether a form makes sense for this input."""
        return self.has_zero or not (form.from_zero or form.above_zero)

    def grid(self, kind: Kind) -> np.ndarray:
        """Return the values of a constant at which a search begins."""
        if kind == "scale":
            return self.high * np.geomspace(0.1, 3.0, 9)
        if kind == "folding":
            return self.span * np.geomspace(0.1, 3.0, 9)
        if kind == "threshold":
            return self.low + self.span * np.array([0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0])
        if kind == "width":
            return self.span * np.array([0.03, 0.1, 0.3])
        return np.array([0.5, 1.5, 2.0, 3.0, 5.0])

    def limits(self, kind: Kind) -> tuple[float, float]:
        """Return how far a constant may go."""
        if kind == "scale":
            return 0.02 * self.high, 20.0 * self.high
        if kind == "folding":
            return 0.03 * self.span, 20.0 * self.span
        if kind == "threshold":
            return self.low - self.span, self.high + self.span
        if kind == "width":
            return 0.005 * self.span, 2.0 * self.span
        return 0.2, 8.0
