"""The demo from its data to its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.demo.basin import Coupled, run_coupled
from hybridwater.demo.catchments import (
    TEST,
    TRAIN,
    WARMUP,
    demo_model,
    demo_schedule,
    usable_gages,
)
from hybridwater.demo.forecast import Forecast, run_forecast
from hybridwater.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from hybridwater.training import Stage, Surrogate


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Parameters
    ----------
    surrogate : Surrogate
        The fitted hybrid.
    skill : dict of str to pandas.DataFrame
        Score to a table of one row per catchment and one column per model, in held-out time.
    report : pathlib.Path
        The HTML page.
    interrupted : bool
        Whether Ctrl-C ended the fit early.
    coupled : Coupled or None
        The coupled run of the whole basin, if there was one.
    forecast : Forecast or None
        Its ensemble.
    """

    surrogate: Surrogate
    skill: dict[str, pd.DataFrame]
    report: Path
    interrupted: bool
    coupled: Coupled | None = None
    forecast: Forecast | None = None

    def summary(self) -> str:
        """Return the comparison in a few lines."""
        first, last = (str(t)[:10] for t in self.surrogate.periods["test"])
        nse, kge = self.skill["NSE"], self.skill["KGE"]
        lines = [
            f"Held-out time {first} to {last}, {len(nse)} catchments (not a selection by skill):",
            f"  {'':<12}{'median NSE':>12}{'quartiles':>16}{'median KGE':>12}",
        ]
        for name in nse:
            low, middle, high = nse[name].quantile([0.25, 0.5, 0.75])
            span = f"{low:.2f} to {high:.2f}"
            lines.append(f"  {name:<12}{middle:>12.3f}{span:>16}{kge[name].median():>12.3f}")
        if {"hybrid", "conceptual"} <= set(nse):
            better = int((nse["hybrid"] > nse["conceptual"]).sum())
            lines.append(f"  The hybrid has the higher NSE in {better} of {len(nse)} catchments.")
        lines += [part.summary() for part in (self.coupled, self.forecast) if part is not None]
        return "\n".join(lines)


def run_demo(
    out: str | Path,
    seed: int = 0,
    *,
    gages: Sequence[str] | None = None,
    schedule: Sequence[Stage] | None = None,
    say: Callable[[str], None] = print,
    show_progress: bool | None = None,
    coupled: bool = True,
) -> Demo:
    """Fit the hybrid, score it and the conceptual model on held-out time, and write the report.

    Then run the whole basin as coupled components, compare it with observed discharge, and run it
    as an ensemble.

    Parameters
    ----------
    out : str or pathlib.Path
        Run directory to make; the report is in it.
    seed : int
        The same seed gives the same numbers.
    gages : sequence of str, optional
        USGS numbers; :func:`usable_gages` if left out.
    schedule : sequence of Stage, optional
        :func:`demo_schedule` if left out.
    say : callable
        Takes lines that tell what happens.
    show_progress : bool, optional
        Whether to show a progress bar; as in the settings if left out.
    coupled : bool
        Whether to run the coupled case and its ensemble, too.

    Returns
    -------
    Demo

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    SettingsError
        If there is a run in ``out`` already.
    """
    out = Path(out)
    if (out / "configuration.json").exists():
        raise SettingsError(
            "There is a run in this folder already.",
            str(out),
            "Name another folder with --out, or remove this one",
        )
    import hybridwater
    from hybridwater.data import delaware
    from hybridwater.report.fitted import fitted_report, skill_table
    from hybridwater.training.rundir import is_unfinished

    chosen = usable_gages() if gages is None else list(gages)
    say(
        f"Reading {len(chosen)} catchments of the Delaware River Basin"
        + (" (every usable gage) ..." if gages is None else " ...")
    )
    data = delaware(chosen)
    model = demo_model()
    say("Fitting EXP-Hydro, then networks for quick runoff and evapotranspiration ...")
    surrogate = hybridwater.fit(
        model,
        data,
        observed={"q": "qobs"},
        train=TRAIN,
        test=TEST,
        warmup=WARMUP,
        share="networks",
        substeps=1,
        assess_every=10,
        schedule=schedule or demo_schedule(),
        seed=seed,
        directory=out,
        show_progress=show_progress,
    )
    basin = forecast = None
    if coupled and not is_unfinished(out):
        say("Coupling land, groundwater and channel of the whole basin; compiles for a minute ...")
        basin = run_coupled(out / "coupled", show_progress=show_progress)
        say("Learning what the coupled run gets wrong, then running it as an ensemble ...")
        forecast = run_forecast(out / "ensemble", basin.discharge, show_progress=show_progress)
    say("Simulating and writing the report ...")
    report = fitted_report(
        surrogate,
        out / "report.html",
        data,
        figures_directory=out / "figures",
        more=[
            section for part in (basin, forecast) if part is not None for section in part.sections
        ],
    )
    runs = surrogate.compare(data)
    skill = {s: skill_table(surrogate, data, runs, "test", s) for s in ("NSE", "KGE")}
    return Demo(surrogate, skill, report, is_unfinished(out), basin, forecast)
