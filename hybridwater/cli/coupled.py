"""``hybridwater run``, ``couple`` and ``graph``: coupled cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridwater.cli.printing import make_console, plainly

CaseFile = Annotated[Path, typer.Argument(help="Case file (TOML) of a coupled run.")]


@plainly
def run(
    case: CaseFile,
    restart: Annotated[
        Path | None, typer.Option(help="Checkpoint to go on from, as an earlier run wrote it.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End, in place of the one in the case file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory, in place of the one in the case file.")
    ] = None,
) -> None:
    """Run the components of a case file together, and write outputs, ledger and report.

    Ctrl-C ends the run after the current step and leaves a checkpoint; --restart goes on from it.
    """
    from hybridwater.cases import load_coupled
    from hybridwater.cases.coupled_report import ledger_table, write_coupled_report

    loaded = load_coupled(case)
    folder = loaded.directory if out is None else out
    console = make_console()
    checkpoint = folder / "checkpoint.npz"
    try:
        model = loaded.run(directory=folder, restart=restart, until=until)
    except KeyboardInterrupt:
        if checkpoint.is_file():
            console.print(
                f"Interrupted. Go on: hybridwater run {case} --restart {checkpoint}",
                markup=False,
            )
            raise typer.Exit(130) from None
        raise
    console.print(ledger_table(model.ledger()))
    for label, (count, calls) in model.fallbacks.items():
        console.print(
            f"Learned exchange {label}: as its baseline in {count} of {calls} steps.",
            markup=False,
        )
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in model.seconds.items())
    console.print(f"Time on this computer: {spent}.", markup=False)
    console.print(f"Run directory: {folder}", markup=False)
    if loaded.report:
        report_file = write_coupled_report(loaded, model, folder)
        console.print(f"Report: {report_file}", markup=False)
    model.close()


@plainly
def couple(
    components: Annotated[
        list[str],
        typer.Argument(
            help="Components, or 'module:Class', or NAME=COMPONENT; two or more. Modules in the "
            "folder of the case file count."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Case file to write; it is shown if left out.")
    ] = None,
) -> None:
    """Propose the exchanges between components, from names, units and cells.

    Writes a case file to edit: what is certain as exchanges, what is not as comments.
    """
    from hybridwater.cases.proposed import write_proposal

    text = write_proposal(components, out)
    console = make_console()
    if out is None:
        typer.echo(text)
    else:
        console.print(f"Wrote {out}. Look at it, and at its comments.", markup=False)
        console.print(f"Next: hybridwater graph {out}", markup=False)


@plainly
def graph(
    case: CaseFile,
    out: Annotated[
        Path | None, typer.Option(help="Picture to write: .png, .svg or .pdf (graph.png).")
    ] = None,
) -> None:
    """Draw the components of a case file and what they exchange."""
    from hybridwater.cases import load_coupled
    from hybridwater.report.files import save_figure
    from hybridwater.report.graph import coupling_graph

    loaded = load_coupled(case)
    written = save_figure(coupling_graph(*loaded.graph()), out or Path("graph.png"))
    make_console().print(f"Wrote {written}.", markup=False)
