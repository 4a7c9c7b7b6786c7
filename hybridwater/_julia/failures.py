"""Failures of Julia code, translated into errors of the package in this one place."""

from __future__ import annotations

from hybridwater.errors import HybridwaterError, SolveFailed


class JuliaFailed(HybridwaterError):
    """Julia code ended with an exception.

    Parameters
    ----------
    what, where, fix : str
        As in every error of the package.
    backtrace : str
        Julia's own message and backtrace, as text.
    """

    def __init__(
        self,
        what: str,
        where: str | None = None,
        fix: str | None = None,
        backtrace: str = "",
    ) -> None:
        super().__init__(what, where, fix)
        self.backtrace = backtrace


class JuliaSolveFailed(JuliaFailed, SolveFailed):
    """A Julia solver could not go on with the numbers that it had."""


#: Julia exceptions that speak of numbers, not of a mistake in a program.
_NUMERICAL = frozenset(
    {
        "DivideError",
        "DomainError",
        "InexactError",
        "LAPACKException",
        "OverflowError",
        "PosDefException",
        "SingularException",
        "SolveFailed",
        "ZeroPivotException",
    }
)


def translate(kind: str, message: str, backtrace: str, function: str) -> Exception:
    """Turn an exception of Julia into one of Python.

    Parameters
    ----------
    kind : str
        Name of the type of the exception.
    message : str
        What Julia says about it.
    backtrace : str
        Message and backtrace as Julia shows them.
    function : str
        Name of the function that was called.

    Returns
    -------
    Exception
        To be raised.
    """
    first = message.strip().split("\n", 1)[0] or kind
    where = f"Julia, in {function}"
    if kind == "OutOfMemoryError":
        return MemoryError(f"Julia has no memory left ({function})")
    if kind in _NUMERICAL:
        fix = (
            "Try a stiff solver, a tighter tolerance, or look for parameters and forcing outside "
            "their plausible range"
        )
        return JuliaSolveFailed(f"The solve broke down: {first}", where, fix, backtrace)
    if kind == "PyException":
        fix = "Mend the function that Julia was given; its own traceback is in 'backtrace'"
        return JuliaFailed(f"A Python function failed: {first}", where, fix, backtrace)
    fix = "Look at the attribute 'backtrace' of this error, and report it with your model"
    return JuliaFailed(f"Julia failed: {first}", where, fix, backtrace)
