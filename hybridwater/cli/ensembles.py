"""``hybridwater ensemble``: many runs of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridwater.cli.printing import make_console, plainly


@plainly
def ensemble(
    case: Annotated[
        Path, typer.Argument(help="Case file (TOML) with [ensemble], of a fit or a coupled run.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted ensemble.")
    ] = False,
    off: Annotated[
        list[str] | None, typer.Option(help="Source to switch off; may be repeated.")
    ] = None,
    members: Annotated[
        int | None, typer.Option(help="Number, in place of the one in the case file.")
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes, or the address of a Dask scheduler.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .nc or .zarr, beside it the report.")
    ] = None,
) -> None:
    """Run a case many times, each with its own draw of what is uncertain, and write a report.

    Finished members are kept: after Ctrl-C, --resume goes on where it was.
    """
    from hybridwater.cases import load_ensemble
    from hybridwater.cases.ensemble_report import write_ensemble_report

    loaded = load_ensemble(case, off=off or (), members=members)
    file = loaded.file if out is None else out
    console = make_console()
    number = int(workers) if workers is not None and workers.isdigit() else workers
    try:
        found = loaded.run(file, workers=number, resume=resume)
    except KeyboardInterrupt as stopped:
        console.print(f"Interrupted: {stopped}.", markup=False)
        console.print(f"Go on: hybridwater ensemble {case} --resume", markup=False)
        raise typer.Exit(130) from None
    with found:
        there = int((found["failure"] == "").sum())
        console.print(
            f"Wrote {file}: {there} of {found.sizes['member']} members, "
            f"uncertain: {', '.join(loaded.ensemble.active)}.",
            markup=False,
        )
        if loaded.table.report:
            report = write_ensemble_report(loaded, found, file.with_suffix(".html"))
            console.print(f"Report: {report}", markup=False)
