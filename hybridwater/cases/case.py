"""A case: a model, its data and its fit, ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridwater.cases.sources import Source
from hybridwater.ude import UDE

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.training import Surrogate


@dataclass(frozen=True)
class Case:
    """What a case file says, checked.

    Parameters
    ----------
    path : pathlib.Path
        The case file.
    ude : UDE
        The model.
    source : Source
        Where data come from.
    fit_arguments : mapping
        Arguments of :func:`hybridwater.fit`.
    solver : mapping
        Engine and solver options.
    directory : pathlib.Path
        Run directory.
    report : bool
        Whether to write the report and the figures after the fit.
    basin : str or None
        The basin that the report shows in detail; its own choice if ``None``.
    """

    path: Path
    ude: UDE
    source: Source
    fit_arguments: Mapping[str, Any]
    solver: Mapping[str, Any]
    directory: Path
    report: bool = True
    basin: str | None = None

    def read_data(self) -> xr.Dataset:
        """Read forcing, observations and attributes.

        Raises
        ------
        DataError, UnitError, MissingDependency
            As the reader does.
        """
        return self.source.read()

    def fit(self, *, resume: bool = False, directory: str | Path | None = None) -> Surrogate:
        """Read the data, fit the model, and write the run directory and its report.

        Parameters
        ----------
        resume : bool
            Whether to go on from the checkpoint in the run directory.
        directory : str or pathlib.Path, optional
            Run directory, if another one than the case file says.

        Returns
        -------
        Surrogate

        Raises
        ------
        HybridwaterError
            If the data cannot be used, nothing can be solved, or files cannot be written.
        """
        import hybridwater
        from hybridwater.files import write_bytes
        from hybridwater.report.fitted import fitted_report

        folder = self.directory if directory is None else Path(directory)
        records = self.read_data()
        surrogate = hybridwater.fit(
            self.ude,
            records,
            directory=folder,
            resume=resume,
            **self.fit_arguments,
            **self.solver,
        )
        write_bytes(folder / "case.toml", self.path.read_bytes())
        if self.report:
            fitted_report(
                surrogate,
                folder / "report.html",
                records,
                basin=self.basin,
                figures_directory=folder / "figures",
            )
        return surrogate
