"""What all commands share: printing, and errors as sentences."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

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


def plainly(command: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Print errors of the library as sentences (exit code 2); let Ctrl-C end with 130."""

    @functools.wraps(command)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        try:
            logging.getLogger("hybridwater").setLevel(hybridwater.settings.current().log_level)
            return command(*args, **kwargs)
        except HybridwaterError as error:
            print_error(error)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            make_console(error=True).print("Interrupted.")
            raise typer.Exit(130) from None

    return wrapper
