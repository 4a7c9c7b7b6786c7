"""The command line: parses, calls the library, prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import hybridwater
from hybridwater.cli import components, coupled, ensembles, julia, learned
from hybridwater.cli.printing import make_console, plainly, print_error
from hybridwater.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

app = typer.Typer(
    help="Hybrid models of the water cycle: known equations, learned terms, closed balances.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hybridwater {hybridwater.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hybrid models of the water cycle: known equations, learned terms, closed balances."""


@app.command()
@plainly
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the fitted model and its report; must be new.")
    ] = Path("hybridwater-demo"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
) -> None:
    """Fit a hybrid to real catchments and compare it with the conceptual model (minutes).

    Data: catchments of the Delaware River Basin, 1979-1980, from the package pywatershed.
    """
    from hybridwater.demo import run_demo

    console = make_console()
    result = run_demo(out, seed, say=console.print)
    console.print(result.summary(), markup=False)
    console.print(f"Report: {result.report}", markup=False)
    if result.interrupted:
        raise typer.Exit(130)


@app.command()
@plainly
def init(
    directory: Annotated[Path, typer.Argument(help="Folder to write into; made if missing.")],
    delaware: Annotated[
        bool, typer.Option("--delaware", help="The coupled run of the Delaware River Basin.")
    ] = False,
) -> None:
    """Write a commented case file to begin with; it runs as it is."""
    from hybridwater.cases import write_template

    case = write_template(directory, "delaware" if delaware else "fit")
    console = make_console()
    console.print(f"Wrote {case}{'' if delaware else ' and a README'}.", markup=False)
    console.print(f"Next: hybridwater {'run' if delaware else 'fit'} {case}", markup=False)


@app.command()
@plainly
def fit(
    case: Annotated[Path, typer.Argument(help="Case file (TOML); 'hybridwater init' writes one.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted fit.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Run directory, in place of the one in the case file.")
    ] = None,
) -> None:
    """Fit the model of a case file to its data, and write model and report.

    Ctrl-C ends the fit early and keeps the best parameters so far; --resume goes on from there.
    """
    from hybridwater.cases import load
    from hybridwater.training.rundir import is_unfinished

    loaded = load(case)
    folder = loaded.directory if out is None else out
    surrogate = loaded.fit(resume=resume, directory=out)
    console = make_console()
    row = surrogate.metrics.iloc[-1] if surrogate.metrics is not None else {}
    skills = [
        f"{name} NSE {row[f'{name}_nse']:.3f}"
        for name in ("train", "validation")
        if row.get(f"{name}_nse") is not None and row[f"{name}_nse"] == row[f"{name}_nse"]
    ]
    basins = len(surrogate.basins)
    of = f" (median of {basins} basins)" if basins > 1 else ""
    console.print(", ".join(skills) + of if skills else "", markup=False)
    console.print(f"Run directory: {folder}", markup=False)
    if loaded.report:
        console.print(f"Report: {folder / 'report.html'}", markup=False)
    if is_unfinished(folder):
        console.print("The fit was interrupted; go on with --resume.")
        raise typer.Exit(130)


@app.command()
@plainly
def simulate(
    run: Annotated[Path, typer.Argument(help="Run directory of a fit.")],
    forcing: Annotated[
        Path, typer.Argument(help="NetCDF file with forcing, or a case file whose data are read.")
    ],
    out: Annotated[Path, typer.Option(help="NetCDF file to write.")],
    basin: Annotated[
        str | None,
        typer.Option(help="Simulate this basin only; names the basin of a file that has one."),
    ] = None,
    conceptual: Annotated[
        bool, typer.Option("--conceptual", help="Run the calibrated conceptual model instead.")
    ] = False,
) -> None:
    """Simulate forcing with a fitted model and write states and fluxes."""
    import warnings

    from hybridwater.files import write_netcdf

    surrogate = hybridwater.Surrogate.load(run)
    records = _named(_read(forcing), basin)
    console = make_console(error=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        simulation = surrogate.simulate(records, conceptual=conceptual)
    for warning in caught:
        console.print(f"Note: {warning.message}", markup=False)
    written = write_netcdf(simulation, out)
    time = simulation.indexes["time"]
    make_console().print(
        f"Wrote {written}: {len(simulation.data_vars)} variables, "
        f"{simulation.sizes['basin']} basins, {time[0]:%Y-%m-%d} to {time[-1]:%Y-%m-%d}.",
        markup=False,
    )


@app.command()
@plainly
def emulate(
    case: Annotated[Path, typer.Argument(help="Emulation file (TOML): component, model, ports.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted fit.")
    ] = False,
) -> None:
    """Train a surrogate on another component's run; print its errors, balance and speed."""
    from hybridwater.cases import load_emulation

    loaded = load_emulation(case)
    emulation = loaded.emulate(resume=resume)
    console = make_console()
    console.print(emulation.summary(), markup=False)
    console.print(f"Component: surrogate, with model = '{loaded.directory}'", markup=False)


@app.command()
@plainly
def discover(
    run: Annotated[Path, typer.Argument(help="Run directory of a fit with networks.")],
    forcing: Annotated[
        Path | None,
        typer.Argument(help="As in 'simulate'; the data of the case of the run if left out."),
    ] = None,
    term: Annotated[str | None, typer.Option(help="One network only; all if left out.")] = None,
    basin: Annotated[
        str | None, typer.Option(help="Basin whose network is searched; the first if left out.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Run of the same model from another seed; may be repeated."),
    ] = None,
    max_operations: Annotated[int, typer.Option(help="Most operations of an equation.")] = 11,
    method: Annotated[
        str, typer.Option(help="sparse, or symbolic (needs 'julia install --discovery').")
    ] = "sparse",
) -> None:
    """Search for equations that say what the networks of a fit have learned, and plot them.

    A network that cannot be searched is told, the others are searched, and the exit code is 2.
    """
    from hybridwater.report import equation_front, save_figures

    fits = [hybridwater.Surrogate.load(folder) for folder in (run, *(beside or ()))]
    names = [n.name for n in fits[0].ude.networks] if term is None else [term]
    if not names:
        raise DataError("The model of the run has no network.", str(run))
    records = _read(run / "case.toml" if forcing is None else forcing)
    console = make_console()
    refused = found = False
    for name in names:
        try:
            front = hybridwater.discover(
                fits, name, records, basin=basin, max_operations=max_operations, method=method
            )
        except DataError as error:  # says something of this network only
            print_error(error)
            refused = True
            continue
        console.print(f"{front}\n", markup=False)
        if len(front):
            save_figures(run / "figures", {f"equations_{name}": equation_front(front)})
            found = True
    if found:
        console.print(
            "Fit the shortlist to the data before you believe it: "
            "hybridwater.discovery.replacements and hybridwater.compare."
        )
        console.print(f"Figures: {run / 'figures'}", markup=False)
    if refused:
        raise typer.Exit(2)


def _read(forcing: Path) -> xr.Dataset:
    if forcing.suffix.casefold() == ".toml":
        from hybridwater.cases import load

        return load(forcing).read_data()
    return hybridwater.data.read_netcdf(forcing)


def _named(records: xr.Dataset, basin: str | None) -> xr.Dataset:
    if basin is None:
        return records
    known = [str(b) for b in records["basin"].values]
    if basin in known:
        return records.sel(basin=[basin])
    if len(known) == 1:
        return records.assign_coords(basin=[basin])
    from hybridwater.errors import nearest

    raise DataError(f"The forcing has no basin '{basin}' ({nearest(basin, known)}).")


@app.command()
@plainly
def doctor() -> None:
    """Show versions and settings, and check that what is needed works.

    Ends with exit code 1 if something needed is broken. Does not start Julia.
    """
    from rich.markup import escape
    from rich.table import Table

    from hybridwater.doctor import examine

    console = make_console()
    with console.status("Looking at the installation ..."):
        findings = examine()
    marks = {"ok": "", "missing": "[yellow]missing[/]", "broken": "[bold red]broken[/]"}
    for group in dict.fromkeys(f.group for f in findings):
        table = Table(
            title=group, title_justify="left", show_header=False, box=None, pad_edge=False
        )
        for finding in findings:
            if finding.group == group:
                advice = f"\n→ {finding.advice}" if finding.advice else ""
                text = escape(f"{finding.value}{advice}")
                table.add_row(finding.name, marks[finding.state], text)
        console.print(table)
        console.print()
    broken = [f.name for f in findings if f.state == "broken"]
    if broken:
        console.print(f"[bold red]Broken:[/] {', '.join(broken)}.")
        raise typer.Exit(1)
    console.print("Everything that is needed works.")


for command in (coupled.run, coupled.couple, coupled.graph, ensembles.ensemble):
    app.command()(command)
app.command("train-coupler")(learned.train_coupler)
app.add_typer(components.app, name="component")
app.add_typer(learned.app, name="weights")
app.add_typer(julia.app, name="julia")
