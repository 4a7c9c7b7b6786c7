"""The command line: parses, calls the library, prints."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer

import hybridwater
from hybridwater.errors import DataError, HybridwaterError

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

app = typer.Typer(
    help="Hybrid models of the water cycle: known equations, learned terms, closed balances.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _console(*, error: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True)


def _plainly(command: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Print errors of the library as sentences (exit code 2); let Ctrl-C end with 130."""

    @functools.wraps(command)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        try:
            logging.getLogger("hybridwater").setLevel(hybridwater.settings.current().log_level)
            return command(*args, **kwargs)
        except HybridwaterError as error:
            console = _console(error=True)
            console.print("[bold red]Error:[/] ", end="")
            console.print(str(error), markup=False)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _console(error=True).print("Interrupted.")
            raise typer.Exit(130) from None

    return wrapper


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
@_plainly
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

    console = _console()
    result = run_demo(out, seed, say=console.print)
    console.print(result.summary(), markup=False)
    console.print(f"Report: {result.report}", markup=False)
    if result.interrupted:
        raise typer.Exit(130)


@app.command()
@_plainly
def init(
    directory: Annotated[Path, typer.Argument(help="Folder to write into; made if missing.")],
) -> None:
    """Write a commented case file to begin with; it runs as it is."""
    from hybridwater.cases import write_template

    case = write_template(directory)
    console = _console()
    console.print(f"Wrote {case} and a README.", markup=False)
    console.print(f"Next: hybridwater fit {case}", markup=False)


@app.command()
@_plainly
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
    console = _console()
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
@_plainly
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
    console = _console(error=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        simulation = surrogate.simulate(records, conceptual=conceptual)
    for warning in caught:
        console.print(f"Note: {warning.message}", markup=False)
    written = write_netcdf(simulation, out)
    time = simulation.indexes["time"]
    _console().print(
        f"Wrote {written}: {len(simulation.data_vars)} variables, "
        f"{simulation.sizes['basin']} basins, {time[0]:%Y-%m-%d} to {time[-1]:%Y-%m-%d}.",
        markup=False,
    )


@app.command()
@_plainly
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
    console = _console()
    console.print(emulation.summary(), markup=False)
    console.print(f"Component: surrogate, with model = '{loaded.directory}'", markup=False)


@app.command()
@_plainly
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
) -> None:
    """Search for equations that say what the networks of a fit have learned, and plot them."""
    from hybridwater.report import equation_front, save_figures

    fits = [hybridwater.Surrogate.load(folder) for folder in (run, *(beside or ()))]
    names = [n.name for n in fits[0].ude.networks] if term is None else [term]
    if not names:
        raise DataError("The model of the run has no network.", str(run))
    records = _read(run / "case.toml" if forcing is None else forcing)
    console = _console()
    for name in names:
        front = hybridwater.discover(fits, name, records, basin=basin)
        console.print(f"{front}\n", markup=False)
        if len(front):
            save_figures(run / "figures", {f"equations_{name}": equation_front(front)})
    console.print(f"Figures: {run / 'figures'}", markup=False)


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
@_plainly
def doctor() -> None:
    """Show versions and settings, and check that what is needed works.

    Ends with exit code 1 if something needed is broken. Does not start Julia.
    """
    from rich.markup import escape
    from rich.table import Table

    from hybridwater.doctor import examine

    console = _console()
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


component = typer.Typer(help="Components: list, begin a new one, check.", no_args_is_help=True)
app.add_typer(component, name="component")


@component.command("list")
@_plainly
def component_list() -> None:
    """List the components that a case can use, and the command that installs what one lacks."""
    from hybridwater.components import component_names, missing_package

    for name in component_names():
        package = missing_package(name)
        typer.echo(name if package is None else f"{name:<24}pip install {package}")


@component.command("new")
@_plainly
def component_new(
    name: Annotated[str, typer.Argument(help="Name, such as 'snow-bucket'.")],
    folder: Annotated[Path, typer.Option(help="Where to write the file.")] = Path("."),
) -> None:
    """Write the file of a new component, which runs as it is."""
    from hybridwater.components import new_component
    from hybridwater.components.scaffold import class_name

    path = new_component(name, folder)
    console = _console()
    console.print(f"Wrote {path}.", markup=False)
    where = "" if folder == Path(".") else f"cd {folder} && "
    target = f"{path.stem}:{class_name(name)}"
    console.print(f"Next: {where}hybridwater component check {target}", markup=False)


@component.command("check")
@_plainly
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
    import sys

    from rich.markup import escape
    from rich.table import Table

    from hybridwater.components import check, get_component

    if "" not in sys.path:
        sys.path.insert(0, "")
    findings = check(get_component(name)(), config_file=str(config or ""), steps=steps)
    marks = {"ok": "ok", "skipped": "[yellow]skipped[/]", "failed": "[bold red]failed[/]"}
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        table.add_row(finding.rule, marks[finding.state], escape(finding.detail))
    _console().print(table)
    if any(f.state == "failed" for f in findings):
        raise typer.Exit(1)


julia = typer.Typer(help='Set up Julia, for engine = "julia".', no_args_is_help=True)
app.add_typer(julia, name="julia")

Offline = Annotated[
    bool, typer.Option("--offline", help="Use only what has been downloaded before.")
]
Adjoints = Annotated[
    bool, typer.Option("--adjoints", help="SciMLSensitivity too, for gradients by adjoints.")
]


@julia.command("install")
@_plainly
def julia_install(offline: Offline = False, adjoints: Adjoints = False) -> None:
    """Install Julia and its packages (minutes), and try to start it.

    With julia_executable and julia_project in the settings, completes that project instead.
    """
    from hybridwater._julia.setup import install

    _console().print(install(offline=offline, adjoints=adjoints), markup=False)


@julia.command("status")
@_plainly
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
    console = _console()
    console.print(table)
    state = available()
    if not state.ready:
        console.print(f"{state.reason}.\n→ {state.fix}.", markup=False)
        raise typer.Exit(1)


@julia.command("precompile")
@_plainly
def julia_precompile(
    sysimage: Annotated[
        Path | None, typer.Option(help="Build this system image too, for a start in seconds.")
    ] = None,
    offline: Offline = False,
) -> None:
    """Compile the Julia packages ahead of time (minutes)."""
    from hybridwater._julia.setup import precompile

    console = _console()
    console.print(precompile(sysimage, offline=offline), markup=False)
    if sysimage is not None:
        path = sysimage.expanduser().absolute()
        console.print(
            f'To use it, put  julia_sysimage = "{path}"  into the settings.', markup=False
        )
