"""The demo: one hybrid for many real catchments, beside the conceptual model it is built on.

Data come from the package pywatershed: the Delaware River Basin, 1979 and 1980, daily. Fifteen
months are too short to train networks on one catchment: they fit its training period and lose on
held-out time. So the networks are shared by all catchments, each of which keeps parameters of its
own, as it does in the conceptual model, EXP-Hydro, that is calibrated in the same months. What the
networks see is relative (soil water as a share of its capacity), so that one network can serve
catchments of different size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from hybridwater.report import Section
    from hybridwater.training import Stage, Surrogate
    from hybridwater.ude import UDE

TRAIN = ("1979-01", "1980-03")
"""Calibration and training, of which the first 90 days fill the stores and do not count."""

TEST = ("1980-04", "1980-12")
"""Held-out time."""

WARMUP = 90
LARGEST_AREA = 1500.0
"""Square kilometres; the models have no river routing, so larger catchments are left out."""


@dataclass(frozen=True)
class Coupled:
    """What the coupled run of the whole basin made.

    Parameters
    ----------
    skill : pandas.DataFrame
        One row per gage: NSE, KGE and bias.
    closure : float
        The most that was missing in a day, relative to the water that moved and was there.
    days : int
        How many days were run.
    sections : list of Section
        Its parts of the report.
    learned : pandas.DataFrame
        As ``skill``, of the run with a learned exchange, over the days that it did not learn from.
    baseline : pandas.DataFrame
        As ``skill``, over the same days.
    """

    skill: pd.DataFrame
    closure: float
    days: int
    sections: list[Section]
    learned: pd.DataFrame
    baseline: pd.DataFrame

    def summary(self) -> str:
        """Return it in a few lines."""
        nse = self.skill["NSE"]
        without, with_it = self.baseline["NSE"].median(), self.learned["NSE"].median()
        return (
            f"Coupled run of the whole basin (PRMS land, groundwater, channel), {self.days} days:\n"
            f"  median NSE {nse.median():.3f} at {len(nse)} gages; of the water, "
            f"{self.closure:.0e} was missing in a day at most.\n"
            f"  With the learned exchange from land to rivers, in days it did not learn from: "
            f"{with_it:.3f} (without: {without:.3f})."
        )


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
    """

    surrogate: Surrogate
    skill: dict[str, pd.DataFrame]
    report: Path
    interrupted: bool
    coupled: Coupled | None = None

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
        if self.coupled is not None:
            lines.append(self.coupled.summary())
        return "\n".join(lines)


def usable_gages() -> list[str]:
    """Name every gage of the Delaware case that a lumped model without routing can be fitted to.

    Discharge on at least 700 of the 731 days; an area upstream within 15 % of the one the USGS
    gives and not above 1500 km2; and a runoff ratio between 0.4 and 0.75, beyond which water is
    diverted, as below the reservoirs of New York City. Nothing here looks at any model's skill.

    Returns
    -------
    list of str
        USGS numbers.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    from hybridwater.data import delaware_gages

    gages = delaware_gages()
    usable = (
        ((gages["area_ratio"] - 1).abs() < 0.15)
        & (gages["area"] <= LARGEST_AREA)
        & gages["runoff_ratio"].between(0.4, 0.75)
    )
    return [str(gage) for gage in gages.index[usable]]


def demo_model() -> UDE:
    """Return EXP-Hydro with two learned terms that many catchments can share.

    EXP-Hydro has no quick runoff before its soil is full. Here a network says which share of rain
    and melt runs off at once, and each catchment has a largest share of its own; another network
    is evapotranspiration. The conceptual counterpart is EXP-Hydro as it is: no quick runoff.

    Returns
    -------
    UDE
    """
    from hybridwater.ude import Declaration, maximum, model
    from hybridwater.ude.processes import evapotranspiration, groundwater, snow

    @model(name="exp_hydro_quick")
    def declare(m: Declaration) -> None:
        """EXP-Hydro (Patil and Stieglitz, 2014) with learned quick runoff."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        T = m.forcing("tmean", "degC", "air temperature")
        capacity = m.parameter(
            "smax", "mm", (50, 3000), 1000, log=True, description="capacity of the soil store"
        )
        snow0 = m.parameter("snow0", "mm", (0, 1500), 1, description="snow at the beginning")
        soil0 = m.parameter("soil0", "mm", (0, 3000), 800, description="soil at the beginning")
        most = m.parameter("quick_max", "1", (0.02, 1), 0.3, description="largest quick share")
        phase = snow.partition_smooth(m, prcp=P, tmean=T)
        pack = snow.degree_day(m, snowfall=phase.snowfall, tmean=T, initial=snow0)
        soil = m.state("soil", "mm", initial=soil0, description="soil store")
        pet = evapotranspiration.potential(m, "hamon", tmean=T)
        et = evapotranspiration.smooth_saturation(m, pet=pet, soil=soil, capacity=capacity)
        slow = groundwater.exponential_outflow(m, soil=soil, capacity=capacity)
        water = m.flux("water", phase.rainfall + pack.melt, "mm d-1", "rain and melt")
        wetness = m.flux("wetness", maximum(soil, 0) / capacity, "1", "relative soil water")
        share = m.network(
            "quick_share",
            {wetness: (0, 1.2), water: (0, 40), T: (-10, 25)},
            "1",
            hidden=(12, 12),
            bounds=(0, 1),
            conceptual=0 * wetness,
            description="share of quick runoff, relative to the largest",
        )
        quick = m.flux("q_quick", most * share * water, "mm d-1", "quick runoff")
        q = m.flux("q", slow.q_base + slow.q_surf + quick, "mm d-1", "discharge")
        m.derivative(soil, water - et - q)

    return declare.learn(
        "et",
        {"wetness": (0, 1.2), "pet": (0, 6), "tmean": (-10, 25), "snow": (0, 100)},
        hidden=(12, 12),
        positive=True,
        scale=2.0,
        zero_when_empty="soil",
        empty_scale=5.0,
    )


def demo_schedule() -> tuple[Stage, ...]:
    """Return the schedule: calibrate EXP-Hydro, pre-train the networks on it, train together.

    The last stage is short: in two splits of the training months (the last six, and three in the
    first spring, kept apart) skill on the months kept apart rose in both for 30 epochs, and fell
    in one of them after that.
    """
    from hybridwater.training import Stage

    return (
        Stage("skeleton", 120, 0.08),
        Stage("pretrain", 150, network_rate=0.015),
        Stage("joint", 30, 0.03, 0.015),
    )


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

    Then run the whole basin as coupled components, and compare it with observed discharge.

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
        Whether to run the coupled case, too.

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
    basin = None
    if coupled and not is_unfinished(out):
        say("Coupling land, groundwater and channel of the whole basin; compiles for a minute ...")
        basin = run_coupled(out / "coupled", show_progress=show_progress)
    say("Simulating and writing the report ...")
    report = fitted_report(
        surrogate,
        out / "report.html",
        data,
        figures_directory=out / "figures",
        more=() if basin is None else basin.sections,
    )
    runs = surrogate.compare(data)
    skill = {s: skill_table(surrogate, data, runs, "test", s) for s in ("NSE", "KGE")}
    return Demo(surrogate, skill, report, is_unfinished(out), basin)


def run_coupled(
    out: str | Path,
    *,
    until: str | None = None,
    since: str = "1980-01-01",
    show_progress: bool | None = None,
) -> Coupled:
    """Run the coupled case of the Delaware River Basin, and compare it with observed discharge.

    It runs twice: with what land gives arriving in the rivers as it is, and through the learned
    exchange that comes with the package.

    Parameters
    ----------
    out : str or pathlib.Path
        Run directory.
    until : str, optional
        End, if another one than that of the case.
    since : str
        First day of the comparison with the learned exchange, which learned from 1979.
    show_progress : bool, optional
        As in the settings if left out.

    Returns
    -------
    Coupled

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    from hybridwater.cases.coupled_report import coupled_sections
    from hybridwater.cases.delaware import (
        delaware_case,
        gage_discharge,
        gage_section,
        gage_skill,
        learned_section,
    )
    from hybridwater.report.ledger import relative_residual

    out = Path(out)
    case = delaware_case()
    model = case.run(directory=out, until=until, progress=show_progress)
    ledger, discharge = model.ledger(), gage_discharge(model)
    more = delaware_case(learned=True).run(
        directory=out / "learned", until=until, progress=show_progress
    )
    learned = gage_discharge(more)
    sections = [
        gage_section(discharge),
        learned_section(discharge, learned, since),
        *coupled_sections(case, model),
    ]
    closure = max(float(relative_residual(m.ledger()).max()) for m in (model, more))
    model.close()
    more.close()
    later = slice(since, None)
    return Coupled(
        gage_skill(discharge),
        closure,
        ledger.sizes["time"],
        sections,
        gage_skill(learned.sel(time=later)),
        gage_skill(discharge.sel(time=later)),
    )
