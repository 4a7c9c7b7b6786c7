"""``hybridwater julia``: set up Julia."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridwater.cli.printing import make_console, plainly

app = typer.Typer(help='Set up Julia, for engine = "julia".', no_args_is_help=True)

Offline = Annotated[
    bool, typer.Option("--offline", help="Use only what has been downloaded before.")
]
Adjoints = Annotated[
    bool, typer.Option("--adjoints", help="SciMLSensitivity too, for gradients by adjoints.")
]
Discovery = Annotated[
    bool,
    typer.Option("--discovery", help="SymbolicRegression too, to search for equations."),
]
Diffeqpy = Annotated[
    bool, typer.Option("--diffeqpy", help="OrdinaryDiffEq too, for 'from diffeqpy import ode'.")
]


@app.command("install")
@plainly
def julia_install(
    offline: Offline = False,
    adjoints: Adjoints = False,
    discovery: Discovery = False,
    diffeqpy: Diffeqpy = False,
) -> None:
    """Install Julia and its packages (minutes), and try to start it.

    With julia_executable and julia_project in the settings, completes that project instead.
    """
    from hybridwater._julia.setup import install

    found = install(offline=offline, adjoints=adjoints, discovery=discovery, diffeqpy=diffeqpy)
    make_console().print(found, markup=False)


@app.command("status")
@plainly
def julia_status() -> None:
    """Show which Julia would be used, and what is missing. Does not start it.

    Ends with exit code 1 if Julia is not ready.
    """
    from rich.markup import escape
    from rich.table import Table

    from hybridwater._julia import available
    from hybridwater._julia.setup import status

    table = Table(show_header=False, box=None, pad_edge=False)
    for what, value in status():
        table.add_row(what, escape(value))
    console = make_console()
    console.print(table)
    state = available()
    if not state.ready:
        console.print(f"{state.reason}.\n→ {state.fix}.", markup=False)
        raise typer.Exit(1)


@app.command("precompile")
@plainly
def julia_precompile(
    sysimage: Annotated[
        Path | None, typer.Option(help="Build this system image too, for a start in seconds.")
    ] = None,
    offline: Offline = False,
) -> None:
    """Compile the Julia packages ahead of time (minutes)."""
    from hybridwater._julia.setup import precompile

    console = make_console()
    console.print(precompile(sysimage, offline=offline), markup=False)
    if sysimage is not None:
        path = sysimage.expanduser().absolute()
        console.print(
            f'To use it, put  julia_sysimage = "{path}"  into the settings.', markup=False
        )
