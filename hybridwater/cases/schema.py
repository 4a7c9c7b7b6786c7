"""What a case file may say: the keys of every table, and what each must hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from hybridwater.errors import CaseError, nearest

#: A check returns the value, converted, or raises ValueError with what was wanted.
Check = Callable[[Any], Any]


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError('text in quotes, such as "nse"')


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a whole number")


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("a number")


def _list_of(check: Check, wanted: str) -> Check:
    def every(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(wanted)
        try:
            return tuple(check(entry) for entry in value)
        except ValueError:
            raise ValueError(wanted) from None

    return every


def _table_of(check: Check, wanted: str) -> Check:
    def every(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not value:
            raise ValueError(wanted)
        try:
            return {key: check(entry) for key, entry in value.items()}
        except ValueError:
            raise ValueError(wanted) from None

    return every


def _either(first: Check, second: Check) -> Check:
    def check(value: Any) -> Any:
        try:
            return first(value)
        except ValueError as wanted:
            try:
                return second(value)
            except ValueError as also:
                raise ValueError(f"{wanted}, or {also}") from None

    return check


def _day(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else _text(value)


_PERIOD = 'a first and a last day, such as ["1979-01", "1980-03"]'


def _period(value: Any) -> tuple[str, str]:
    if isinstance(value, list) and len(value) == 2:
        try:
            return _day(value[0]), _day(value[1])
        except ValueError:
            pass
    raise ValueError(_PERIOD)


def _fraction(value: Any) -> float:
    if isinstance(value, float) and 0 < value < 0.9:
        return value
    raise ValueError("a fraction between 0 and 0.9")


_names = _list_of(_text, 'a list of names, such as ["01440000", "01439500"]')
_wholes = _list_of(_whole, "a list of whole numbers, such as [16, 16]")
_numbers = _list_of(_number, "a list of numbers, such as [-999]")
_texts = _table_of(_text, 'a table of names to text, such as { q = "qobs" }')
_weights = _table_of(_number, "a table of weights, such as { nse = 0.7, log_nse = 0.3 }")

STAGE: dict[str, Check] = {
    "kind": _text,
    "epochs": _whole,
    "learning_rate": _number,
    "network_rate": _number,
    "window": _whole,
    "batch": _whole,
    "optimiser": _text,
}

FIT: dict[str, Check] = {
    "observed": _texts,
    "train": _period,
    "validation": _either(_period, _fraction),
    "test": _period,
    "warmup": _whole,
    "begin": _text,
    "loss": _either(_text, _weights),
    "restarts": _whole,
    "share": _text,
    "attributes": _names,
    "attribute_hidden": _wholes,
    "dropout": _number,
    "assess_every": _whole,
    "patience": _whole,
    "seed": _whole,
}

SOLVER: dict[str, Check] = {
    "engine": _text,
    "method": _text,
    "substeps": _whole,
    "rtol": _number,
    "atol": _number,
    "max_steps": _whole,
    "interpolation": _text,
    "precision": _text,
}

OUTPUT: dict[str, Check] = {"directory": _text, "report": _flag, "basin": _text}

#: Of the component that is to be emulated.
COMPONENT: dict[str, Check] = {
    "name": _text,
    "config": _text,
    "inputs": _text,
    "attributes": _text,
}
PORT: Check = _either(_text, _number)

MODEL: dict[str, Check] = {"library": _text}

_CAMELS: dict[str, Check] = {
    "path": _text,
    "basins": _names,
    "start": _day,
    "end": _day,
    "attributes": _names,
}

#: Source of data to its keys.
DATA: dict[str, dict[str, Check]] = {
    "delaware": {"gages": _names},
    "camels_us": {**_CAMELS, "forcing": _text},
    "camels_netcdf": _CAMELS,
    "netcdf": {"path": _text, "rename": _texts},
    "csv": {
        "path": _text,
        "units": _texts,
        "time": _text,
        "basin": _text,
        "time_format": _text,
        "missing": _numbers,
    },
}

TABLES = ("model", "data", "fit", "solver", "output")


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of a case file, and where it is, for errors.

    Parameters
    ----------
    file : str
        Path of the case file.
    name : str
        Such as ``fit`` or ``fit.schedule[2]``.
    content : mapping
        Its keys and values.
    """

    file: str
    name: str
    content: Mapping[str, Any]

    def where(self, key: str | None = None) -> str:
        """Say where a key is."""
        return f"{self.file}, [{self.name}]" + (f", key '{key}'" if key else "")

    def require(self, key: str) -> Any:
        """Return a value that must be there.

        Raises
        ------
        CaseError
            If it is not.
        """
        if key not in self.content:
            raise CaseError(f"The key '{key}' is missing.", self.where(), f"Add '{key} = ...'")
        return self.content[key]

    def check(self, checks: Mapping[str, Check]) -> dict[str, Any]:
        """Return the values, converted.

        Raises
        ------
        CaseError
            If a key is unknown or a value has another type than it should.
        """
        values = {}
        for key, value in self.content.items():
            if key not in checks:
                raise CaseError(
                    f"The key '{key}' is not known ({nearest(key, checks)}).", self.where()
                )
            try:
                values[key] = checks[key](value)
            except ValueError as wanted:
                raise CaseError(
                    f"The key '{key}' must be {wanted}, and is {value!r}.", self.where(key)
                ) from None
        return values
