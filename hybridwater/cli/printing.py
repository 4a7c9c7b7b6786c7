"""What all commands share: printing, and errors as sentences."""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer

import hybridwater
from hybridwater.errors import HybridwaterError

if TYPE_CHECKING:
    from rich.console import Console

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def make_console(*, error: bool = False) -> Console:
    """Return a console for plain sentences, which it does not break."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True)


def print_error(error: HybridwaterError) -> None:
    """Print an error of the library as a sentence."""
    console = make_console(error=True)
    console.print("[bold red]Error:[/] ", end="")
    console.print(str(error), markup=False)


def _print_warning(message: Warning | str, category: type[Warning], *place: Any) -> None:
    """Print a warning for people as a sentence, and one for programmers as Python does."""
    if not issubclass(category, UserWarning):
        print(warnings.formatwarning(message, category, *place[:2]), file=sys.stderr, end="")
        return
    console = make_console(error=True)
    console.print("[bold yellow]Warning:[/] ", end="")
    console.print(str(message), markup=False)


def plainly(command: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Print errors (exit code 2) and warnings as sentences; let Ctrl-C end with 130."""

    @functools.wraps(command)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        try:
            logging.getLogger("hybridwater").setLevel(hybridwater.settings.current().log_level)
            with warnings.catch_warnings():
                warnings.showwarning = _print_warning
                return command(*args, **kwargs)
        except HybridwaterError as error:
            print_error(error)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            make_console(error=True).print("Interrupted.")
            raise typer.Exit(130) from None

    return wrapper
