"""The ensemble of a case: of a fit that has been made, or of a coupled run."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.cases.coupled_simulator import CoupledSimulator
from hybridwater.cases.ensemble_tables import EnsembleTable, read_ensemble_table
from hybridwater.cases.reading import load
from hybridwater.cases.tables import Table, read_tables
from hybridwater.ensembles import Ensemble, Fits, ModelSimulator
from hybridwater.errors import CaseError, HybridwaterError, nearest

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class EnsembleCase:
    """What ``[ensemble]`` of a case file says, checked and ready to run.

    Parameters
    ----------
    path : pathlib.Path
        The case file.
    name : str
        What it is called.
    ensemble : Ensemble
        What runs.
    table : EnsembleTable
        What the file says.
    observed : mapping of str to xarray.DataArray
        Output to what was observed of it.
    directory : pathlib.Path
        Run directory of the case.
    """

    path: Path
    name: str
    ensemble: Ensemble
    table: EnsembleTable
    observed: Mapping[str, xr.DataArray]
    directory: Path

    def run(
        self,
        file: str | Path | None = None,
        *,
        workers: int | str | None = None,
        resume: bool = False,
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Run all members; see :meth:`hybridwater.ensembles.Ensemble.run`.

        Parameters
        ----------
        file : path-like, optional
            File to write, if another one than the case file says.
        workers : int or str, optional
            Number of processes or address of a cluster, if not as the case file says.
        resume : bool
            Whether to go on with an ensemble that was interrupted.
        progress : bool, optional
            Whether to show a progress bar; as in the settings if left out.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        HybridwaterError
            As :meth:`hybridwater.ensembles.Ensemble.run`.
        """
        options: dict[str, Any] = dict(self.table.options)
        if workers is not None:
            options["workers"] = workers
        where = self.file if file is None else Path(file)
        return self.ensemble.run(where, resume=resume, progress=progress, **options)

    @property
    def file(self) -> Path:
        """The file that the case file names."""
        return self.directory / self.table.file


def load_ensemble(
    path: str | Path, *, off: Collection[str] = (), members: int | None = None
) -> EnsembleCase:
    """Read the ensemble of a case file.

    Parameters
    ----------
    path : str or pathlib.Path
        Case file of a fit or of a coupled run, with the table ``[ensemble]``. The fit must have
        been made.
    off : collection of str
        Sources to switch off, besides those that the file says.
    members : int, optional
        Number of members, if another one than the file says.

    Returns
    -------
    EnsembleCase

    Raises
    ------
    CaseError
        If the file cannot be read, says what cannot be, or the fit has not been made.
    HybridwaterError
        If data or fit cannot be used.
    """
    path = Path(path).expanduser().absolute()
    tables = read_tables(path)
    if "ensemble" not in tables:
        raise CaseError(
            "The case has no ensemble.",
            str(path),
            "Add [ensemble] with members, and [ensemble.sources.NAME] with what is uncertain",
        )
    table = Table(str(path), "ensemble", tables["ensemble"])
    if not isinstance(table.content, dict):
        raise CaseError("'ensemble' must be a table.", str(path), "Write [ensemble]")
    make = _of_coupled if "components" in tables else _of_fit
    case = make(path, table, off, members)
    if case.table.report and len(case.ensemble) < 2:
        raise CaseError(
            "There is one member, and a report needs two.",
            table.where("members"),
            "Ask for more, or write report = false",
        )
    return case


def _of_fit(path: Path, table: Table, off: Collection[str], members: int | None) -> EnsembleCase:
    from hybridwater.training import Surrogate

    case = load(path)
    said = _changed(read_ensemble_table(table, case.ude), members)
    if said.observed:
        raise CaseError("Observations of a fit are those of [fit].", table.where("observed"))
    fits = [s for s in said.sources.values() if isinstance(s, Fits)]
    if not fits and not (case.directory / "surrogate.json").is_file():
        raise CaseError(
            "The fit of this case has not been made.",
            str(case.directory),
            f"Make it: hybridwater fit {path.name}",
        )
    model = fits[0].fits[0] if fits else Surrogate.load(case.directory)
    data = model.with_basins(case.read_data())
    if said.period is not None:
        data = data.sel(time=slice(*said.period))
    if said.warmup >= data.sizes["time"]:
        raise CaseError(
            f"A warmup of {said.warmup} records leaves none of {data.sizes['time']}.",
            table.where("warmup"),
        )
    outputs = said.outputs or tuple(model.observed)
    try:
        engine = case.solver.get("engine")
        runs = ModelSimulator(model, data, outputs=outputs, engine=engine, batch=said.batch)
        ensemble = Ensemble(runs, said.sources, said.design, off=_off(said, off))
    except HybridwaterError as error:
        raise table.within(error) from error
    observed = {f: data[n] for f, n in model.observed.items() if f in outputs and n in data}
    return EnsembleCase(path, path.stem, ensemble, said, observed, case.directory)


def _of_coupled(
    path: Path, table: Table, off: Collection[str], members: int | None
) -> EnsembleCase:
    said = _changed(read_ensemble_table(table, None), members)
    for key in ("outputs", "period"):
        if key in table.content:
            raise CaseError(
                f"The key '{key}' is one of the ensemble of a fit.",
                table.where(key),
                "A coupled case has its outputs in [output.variables], and its time in [run]",
            )
    observed, sites = {}, {}
    if said.observed:
        output = said.observed["output"]
        observed[output], sites[output] = _observed(said, table)
    try:
        runs = CoupledSimulator(path, sites=sites, batch=said.batch or 1)
        ensemble = Ensemble(runs, said.sources, said.design, off=_off(said, off))
    except CaseError:
        raise
    except HybridwaterError as error:
        raise table.within(error) from error
    return EnsembleCase(path, runs.case.name, ensemble, said, observed, runs.case.directory)


def _observed(said: EnsembleTable, table: Table) -> tuple[xr.DataArray, xr.DataArray]:
    """Return what was observed at sites, and the indices of their cells."""
    import xarray as xr

    file, wanted = said.observed["file"], [said.observed[k] for k in ("variable", "index")]
    with xr.open_dataset(file) as opened:
        for name in wanted:
            if name not in opened:
                raise CaseError(
                    f"There is no variable '{name}' ({nearest(name, map(str, opened.variables))}).",
                    f"{table.where('observed')}, {file}",
                )
        values, index = (opened[name].load() for name in wanted)
    if index.ndim != 1 or set(values.dims) != {*index.dims, "time"}:
        raise CaseError(
            f"'{wanted[0]}' has the dimensions {values.dims}, and '{wanted[1]}' {index.dims}.",
            f"{table.where('observed')}, {file}",
            "Give (site, time), and the index of the cell of each site (site)",
        )
    if not np.isfinite(index).all() or (index < 0).any() or (index % 1 != 0).any():
        raise CaseError(
            f"'{wanted[1]}' has indices of cells that are no whole numbers of 0 or more.",
            f"{table.where('observed')}, {file}",
            "Count cells from 0; leave out sites that lie in none",
        )
    return values, index.astype(int)


def _changed(said: EnsembleTable, members: int | None) -> EnsembleTable:
    if members is None:
        return said
    return dataclasses.replace(said, design=dataclasses.replace(said.design, members=members))


def _off(said: EnsembleTable, more: Collection[str]) -> list[str]:
    return [*said.off, *(name for name in more if name not in said.off)]
