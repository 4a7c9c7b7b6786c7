"""The ensemble of the coupled basin: how wrong its discharge may be, and whether that is right."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.report import Section

LEARNED_FROM = ("1979-02-01", "1979-12-31")
"""Days that the residual model is fitted to; in January the model still forgets its first state."""

RESIDUAL_WEIGHT = 0.3
"""Of each observation: the one that gives months of 1979, left out in turn, a coverage of 90 %."""

RESIDUAL_BIAS = ("fall", "recent", "wetness")
"""What the mean error depends on. Not on the level of flow: one year does not tell for another."""

CASE = "delaware-ensemble.toml"


@dataclass(frozen=True)
class Forecast:
    """What the ensemble of the coupled run made, scored on days that it did not learn from.

    Parameters
    ----------
    members : int
        How many runs.
    coverage : xarray.DataArray
        Share of observations within the central 90 % [1], (gage,).
    skill : xarray.DataArray
        CRPS skill against the discharge of the days it learned from [1], (gage,).
    closure : float
        The most that was missing in a day of any member, relative to what moved and was there.
    case : pathlib.Path
        The case file, which ``hybridwater ensemble`` runs again.
    sections : list of Section
        Its parts of the report.
    """

    members: int
    coverage: xr.DataArray
    skill: xr.DataArray
    closure: float
    case: Path
    sections: list[Section]

    def summary(self) -> str:
        """Return it in a few lines."""
        return (
            f"Ensemble of the coupled run, {self.members} members, days it did not learn from:\n"
            f"  {100 * float(self.coverage.median()):.0f} % of the observations within the central "
            f"90 % (median gage), CRPS skill {float(self.skill.median()):.3f} against climatology; "
            f"{self.closure:.0e} of the water missing at most.\n"
            f"  Again, or with other sources: hybridwater ensemble {self.case}"
        )


def run_forecast(
    out: str | Path,
    discharge: xr.Dataset,
    *,
    case: str | Path | None = None,
    members: int | None = None,
    show_progress: bool | None = None,
) -> Forecast:
    """Fit what the coupled run gets wrong, run its ensemble, and score it.

    Parameters
    ----------
    out : str or pathlib.Path
        Folder to write the case, the observations, the residual model and the members into.
    discharge : xarray.Dataset
        As of :func:`hybridwater.cases.delaware.gage_discharge`.
    case : str or pathlib.Path, optional
        Case file to copy into the folder, if another one than that of the package. It finds the
        residual model in ``residuals`` and the observations in ``gages.nc``, beside it.
    members : int, optional
        How many; as in the case file if left out.
    show_progress : bool, optional
        As in the settings if left out.

    Returns
    -------
    Forecast

    Raises
    ------
    HybridwaterError
        As :meth:`hybridwater.residuals.ResidualModel.fit` and
        :meth:`hybridwater.ensembles.Ensemble.run`.
    """
    from hybridwater import scores
    from hybridwater.cases import load_ensemble
    from hybridwater.cases.coupled_simulator import LEDGER
    from hybridwater.cases.delaware import DISCHARGE
    from hybridwater.cases.ensemble_report import ensemble_sections
    from hybridwater.files import write_bytes, write_netcdf
    from hybridwater.report import Section, skill_map
    from hybridwater.residuals import ResidualModel

    out = Path(out)
    fitted = discharge.sel(time=slice(*LEARNED_FROM))
    model = ResidualModel(weight=RESIDUAL_WEIGHT, bias=RESIDUAL_BIAS)
    posterior = model.fit(fitted["simulated"], fitted["observed"])
    posterior.save(out / "residuals")
    write_netcdf(discharge[["observed", "segment"]], out / "gages.nc")
    template = importlib.resources.files("hybridwater.demo") / CASE
    content = template.read_bytes() if case is None else Path(case).read_bytes()
    write_bytes(out / CASE, content)

    ensemble = load_ensemble(out / CASE, members=members)
    with ensemble.run(progress=show_progress) as found:
        output = f"channel.{DISCHARGE}_observable"
        scored = found[output].isel(time=slice(ensemble.table.warmup, None)).load()
        observed = discharge["observed"].sel(time=scored["time"])
        past = scores.climatology(fitted["observed"], scored["time"])
        skill = scores.skill(scores.crps(scored, observed), scores.crps(past, observed))
        coverage = scores.coverage(scored, observed)
        closure = float(found[LEDGER].max())
        sections = ensemble_sections(ensemble, found)
    where = Section(
        "Skill of the ensemble",
        "CRPS skill against climatology: 1 is perfect, 0 no better than the discharge of the "
        f"days the errors were learned from, {LEARNED_FROM[0]} to {LEARNED_FROM[1]}. Errors were "
        "learned from a run with the rain as recorded, so a part of what wrong rain does is in "
        "them already.",
        [
            skill_map(
                discharge["latitude"],
                discharge["longitude"],
                skill.assign_attrs(long_name="CRPS skill"),
                vmin=0.0,
                vmax=1.0,
            )
        ],
    )
    return Forecast(
        ensemble.ensemble.design.members, coverage, skill, closure, out / CASE, [*sections, where]
    )
