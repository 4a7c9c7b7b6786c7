"""Handing on the 41 methods of BMI to a model that is somewhere else."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from bmipy import Bmi

Class = TypeVar("Class", bound=type[Bmi])

#: All methods of BMI 2.0.
METHODS: frozenset[str] = frozenset(Bmi.__abstractmethods__)

#: Those whose first argument is the name of a variable.
BY_VARIABLE = frozenset(
    name for name in METHODS if name.startswith(("get_var_", "get_value", "set_value"))
)


def hand_on(call: Callable[..., Any]) -> Callable[[Class], Class]:
    """Make a class decorator that fills in the methods of BMI which the class does not write.

    Parameters
    ----------
    call : callable
        Called with the object, the name of the method and its arguments. Names and signatures of
        the filled methods are those of `bmipy.Bmi`.
    """

    def fill(cls: Class) -> Class:
        for name in METHODS & cls.__abstractmethods__:
            setattr(cls, name, _method(name, call))
        abc.update_abstractmethods(cls)
        return cls

    return fill


def _method(name: str, call: Callable[..., Any]) -> Any:
    def forwarded(self: Any, *arguments: Any) -> Any:
        return call(self, name, *arguments)

    functools.update_wrapper(forwarded, getattr(Bmi, name))
    delattr(forwarded, "__isabstractmethod__")  # copied with the rest
    return forwarded
