"""Checks of values in a case file: each returns the value, converted, or says what was wanted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

#: A check returns the value, converted, or raises ValueError with what was wanted.
Check = Callable[[Any], Any]


def text(value: Any) -> str:
    """Take text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError('text in quotes, such as "nse"')


def flag(value: Any) -> bool:
    """Take true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def whole(value: Any) -> int:
    """Take a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a whole number")


def number(value: Any) -> float:
    """Take a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("a number")


def list_of(check: Check, wanted: str) -> Check:
    """Return a check of a list, each entry of which passes a check."""

    def every(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(wanted)
        try:
            return tuple(check(entry) for entry in value)
        except ValueError:
            raise ValueError(wanted) from None

    return every


def table_of(check: Check, wanted: str) -> Check:
    """Return a check of a table that is not empty, each value of which passes a check."""

    def every(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not value:
            raise ValueError(wanted)
        try:
            return {key: check(entry) for key, entry in value.items()}
        except ValueError:
            raise ValueError(wanted) from None

    return every


def either(first: Check, second: Check) -> Check:
    """Return a check that passes what one of two passes."""

    def check(value: Any) -> Any:
        try:
            return first(value)
        except ValueError as wanted:
            try:
                return second(value)
            except ValueError as also:
                raise ValueError(f"{wanted}, or {also}") from None

    return check


def day(value: Any) -> str:
    """Take a date, or text that stands for one."""
    return value.isoformat() if isinstance(value, date) else text(value)


_PERIOD = 'a first and a last day, such as ["1979-01", "1980-03"]'


def period(value: Any) -> tuple[str, str]:
    """Take a first and a last day."""
    if isinstance(value, list) and len(value) == 2:
        try:
            return day(value[0]), day(value[1])
        except ValueError:
            pass
    raise ValueError(_PERIOD)


def fraction(value: Any) -> float:
    """Take a fraction."""
    if isinstance(value, float) and 0 < value < 0.9:
        return value
    raise ValueError("a fraction between 0 and 0.9")


names = list_of(text, 'a list of names, such as ["01440000", "01439500"]')
wholes = list_of(whole, "a list of whole numbers, such as [16, 16]")
numbers = list_of(number, "a list of numbers, such as [-999]")
texts = table_of(text, 'a table of names to text, such as { q = "qobs" }')
weights = table_of(number, "a table of weights, such as { nse = 0.7, log_nse = 0.3 }")


def choice(*known: str) -> Check:
    """Return a check of one word out of some."""

    def check(value: Any) -> str:
        if value in known:
            return value
        raise ValueError(" or ".join(f'"{name}"' for name in known))

    return check


def table(value: Any) -> dict[str, Any]:
    """Take a table, whatever is in it."""
    if isinstance(value, dict):
        return value
    raise ValueError("a table")
