"""``hybridwater component``: list components, begin a new one, check one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridwater.cli.printing import make_console, plainly

app = typer.Typer(help="Components: list, begin a new one, check.", no_args_is_help=True)


@app.command("list")
@plainly
def component_list() -> None:
    """List the components that a case can use, and the command that installs what one lacks."""
    from hybridwater.components import component_names, missing_package
    from hybridwater.components.registry import install_command

    for name in component_names():
        package = missing_package(name)
        typer.echo(name if package is None else f"{name:<24}{install_command(package)}")


@app.command("new")
@plainly
def component_new(
    name: Annotated[str, typer.Argument(help="Name, such as 'snow-bucket'.")],
    folder: Annotated[Path, typer.Option(help="Where to write the file.")] = Path("."),
) -> None:
    """Write the file of a new component, which runs as it is."""
    from hybridwater.components import new_component
    from hybridwater.components.scaffold import class_name

    path = new_component(name, folder)
    console = make_console()
    console.print(f"Wrote {path}.", markup=False)
    where = "" if folder == Path(".") else f"cd {folder} && "
    target = f"{path.stem}:{class_name(name)}"
    console.print(f"Next: {where}hybridwater component check {target}", markup=False)


@app.command("check")
@plainly
def component_check(
    name: Annotated[
        str, typer.Argument(help="A component, or 'module:Class'; modules of this folder count.")
    ],
    config: Annotated[Path | None, typer.Option(help="What its initialize gets.")] = None,
    steps: Annotated[int, typer.Option(help="How many time steps to take.", min=1)] = 4,
) -> None:
    """Run a component and look at everything that it promises.

    Ends with exit code 1 if a promise is broken.
    """
    from rich.markup import escape
    from rich.table import Table

    from hybridwater.components import check, get_component
    from hybridwater.components.registry import importable

    with importable(Path.cwd()):
        findings = check(get_component(name)(), config_file=str(config or ""), steps=steps)
    marks = {"ok": "ok", "skipped": "[yellow]skipped[/]", "failed": "[bold red]failed[/]"}
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        table.add_row(finding.rule, marks[finding.state], escape(finding.detail))
    make_console().print(table)
    if any(f.state == "failed" for f in findings):
        raise typer.Exit(1)
