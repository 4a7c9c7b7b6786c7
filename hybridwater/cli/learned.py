"""``hybridwater train-coupler`` and ``weights``: learned exchanges."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridwater.cli.printing import make_console, plainly

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

app = typer.Typer(help="Trained weights: list those of the package, verify.", no_args_is_help=True)


@plainly
def train_coupler(
    case: Annotated[Path, typer.Argument(help="Case file of a coupled run, with [train].")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted training.")
    ] = False,
) -> None:
    """Train the learned exchanges of a case on a reference run, on discharge, or on both.

    Weights and their cards are written. Ctrl-C ends the training after the current step; --resume
    goes on from there.
    """
    from hybridwater.cases import load_coupled
    from hybridwater.cases.coupler import train_coupler

    trained = train_coupler(load_coupled(case), resume=resume)
    console = make_console()
    if len(trained.errors):
        console.print(_table("Errors", trained.errors, ("exchange", "part")))
    if trained.skill is not None:
        title = "Medians over gages, without and with the learned exchange"
        console.print(_table(title, trained.skill, ("days", "gages")))
    for path in trained.weights:
        console.print(f"Weights: {path}", markup=False)
    if trained.interrupted:
        console.print(
            f"Interrupted. Go on: hybridwater train-coupler {case} --resume", markup=False
        )
        raise typer.Exit(130)


def _table(title: str, frame: pd.DataFrame, words: Collection[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    for name in map(str, frame):
        table.add_column(name, justify="left" if name in words else "right")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row))
    return table


@app.command("list")
@plainly
def weights_list() -> None:
    """List the trained weights that come with the package."""
    from hybridwater.mgn.released import released, verify_weights

    console = make_console()
    if not released():
        console.print("No weights come with this version.")
    for name in released():
        found = verify_weights(name)
        data = (found.card or {}).get("data", {})
        about = data.get("exchange", data.get("reference", ""))
        console.print(f"{name:<24}{found.kind:<10}{found.size:>9,d} weights  {about}", markup=False)


@app.command("verify")
@plainly
def weights_verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names, or files that end in .safetensors; all of the package."),
    ] = None,
) -> None:
    """Check that weights can be read, are finite, and are those of their model card.

    Ends with exit code 1 if something is wrong.
    """
    from hybridwater.mgn.released import released, verify_weights

    console, wrong = make_console(), False
    for name in names or released():
        found = verify_weights(name)
        wrong |= bool(found.problem)
        console.print(f"{name}: {found.problem or 'ok'}", markup=False)
    if not names and not released():
        console.print("No weights come with this version.")
    if wrong:
        raise typer.Exit(1)
