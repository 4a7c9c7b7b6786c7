"""The report of a fitted model: skill, hydrographs, learned terms, water balance, provenance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater.engines import balance_error
from hybridwater.engines.base import FIXED_STEP, Options
from hybridwater.errors import DataError, nearest
from hybridwater.report import style
from hybridwater.report.balance import water_balance
from hybridwater.report.duration import flow_duration
from hybridwater.report.files import save_figures
from hybridwater.report.hydrographs import hydrograph
from hybridwater.report.learned import learned_flux
from hybridwater.report.page import Section, Table, write_report
from hybridwater.report.skill import skill_map, skill_summary
from hybridwater.report.training import training_curve
from hybridwater.training.surrogate import observations

if TYPE_CHECKING:
    from hybridwater.training import Surrogate
    from hybridwater.ude.terms import Parameter

_PLACES = (("latitude", "longitude"), ("lat", "lon"), ("gauge_lat", "gauge_lon"))


def fitted_report(
    surrogate: Surrogate,
    path: str | Path,
    data: xr.Dataset,
    *,
    basin: str | None = None,
    title: str | None = None,
    figures_directory: str | Path | None = None,
    more: Sequence[Section] = (),
) -> Path:
    """Write the self-contained HTML report of a fit.

    Parameters
    ----------
    surrogate : Surrogate
        The fitted model.
    path : str or pathlib.Path
        File to write.
    data : xarray.Dataset
        Forcing and observations, dims (time) or (basin, time). All its basins are in the
        distribution of skill; one is shown in detail.
    basin : str, optional
        The basin to show in detail; by default the one whose skill is the median.
    title : str, optional
        Title of the page.
    figures_directory : str or pathlib.Path, optional
        Folder for the figures as PNG files; none are written if left out.
    more : sequence of Section, optional
        Parts at the end.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError, UnitError
        If the basin is unknown, or forcing or observations cannot be used.
    """
    story = Story(surrogate, surrogate.with_basins(data), basin)
    sections = [
        *story.overview(),
        story.skill(),
        *story.hydrographs(),
        *story.learned(),
        *story.balance(),
        *story.training(),
        story.parameters(),
        Section("Equations", "The model as it was fitted.", code=str(surrogate.ude)),
        *more,
    ]
    written = write_report(
        path,
        title=title or story.title,
        subtitle=story.subtitle,
        sections=sections,
        attributes=story.provenance(),
    )
    if figures_directory is not None:
        save_figures(figures_directory, story.figures)
    return written


def skill_table(
    surrogate: Surrogate,
    data: xr.Dataset,
    simulations: dict[str, xr.Dataset],
    period: str,
    score: str = "NSE",
) -> pd.DataFrame:
    """Score simulations in each basin: one score of :meth:`Surrogate.scores`, side by side.

    Parameters
    ----------
    surrogate : Surrogate
        The fit, which knows what was observed and when.
    data : xarray.Dataset
        Observations, dims (basin, time).
    simulations : dict of str to xarray.Dataset
        Simulations by name, dims (basin, time).
    period : str
        ``"train"``, ``"validation"`` or ``"test"``.
    score : str
        ``"NSE"``, ``"KGE"``, ``"log-NSE"`` or ``"bias"``.

    Returns
    -------
    pandas.DataFrame
        One row per basin, one column per simulation.
    """
    return _side_by_side(surrogate.scores(data, period, simulations=simulations), period, score)


def _side_by_side(scored: pd.DataFrame, period: str, score: str) -> pd.DataFrame:
    """Return one row per basin and one column per model, in the order that they have."""
    column = scored.xs(period, level="period")[score]
    basins, models = (column.index.unique(level) for level in ("basin", "model"))
    return column.unstack("model").loc[basins, models].rename_axis(columns=None)


@dataclass
class Story:
    """Simulates once and tells the sections; gathers the figures on the way."""

    surrogate: Surrogate
    data: xr.Dataset
    chosen: str | None
    figures: dict[str, style.ReportFigure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [str(b) for b in self.data["basin"].values]
        if self.chosen is not None and self.chosen not in known:
            raise DataError(
                f"There is no basin '{self.chosen}' in the data.",
                "report",
                f"Name a basin that is there; {nearest(self.chosen, known)}",
            )
        for variable in self.surrogate.observed.values():
            observations(self.data, variable)

    @cached_property
    def simulations(self) -> dict[str, xr.Dataset]:
        """All basins: the fitted model and, where it was calibrated, its conceptual skeleton.

        What leaves the range of training is told in the text.
        """
        return self.surrogate.compare(self.data)

    @cached_property
    def scored(self) -> pd.DataFrame:
        """All scores of all basins, periods and simulations."""
        return self.surrogate.scores(self.data, simulations=self.simulations)

    @property
    def periods(self) -> list[str]:
        """The periods that the data have, in the order of time."""
        return list(self.scored.index.unique("period"))

    @property
    def fitted(self) -> xr.Dataset:
        """The simulation of the fitted model, all basins."""
        return next(iter(self.simulations.values()))

    @cached_property
    def begin(self) -> pd.Timestamp:
        """Where the record begins to count: stores are not filled yet in the warm-up before."""
        first = min(pd.Timestamp(start) for start, _ in self.surrogate.periods.values())
        times = self.data.indexes["time"]
        return first if times[0] < first < times[-2] else times[0]

    @property
    def last_period(self) -> str:
        """The period that says most: the test period where there is one."""
        return next(n for n in ("test", "validation", "train") if n in self.periods)

    @cached_property
    def basin(self) -> str:
        """The basin shown in detail."""
        if self.chosen is not None:
            return self.chosen
        ranked = self.table(self.last_period).iloc[:, 0].sort_values(kind="stable")
        ranked = ranked[np.isfinite(ranked)]
        if not len(ranked):
            return str(self.data["basin"].values[0])
        return str(ranked.index[(len(ranked) - 1) // 2])

    def table(self, period: str, score: str = "NSE") -> pd.DataFrame:
        """Return one score of all basins: one column per simulation."""
        return _side_by_side(self.scored, period, score)

    @property
    def title(self) -> str:
        """The model and the basin shown in detail."""
        kind = " hybrid" if self.surrogate.ude.networks else ""
        return f"{self.surrogate.ude.name.replace('_', ' ')}{kind}, basin {self.basin}"

    @property
    def subtitle(self) -> str:
        """What the model is, and of how many basins."""
        words = self.surrogate.ude.description
        count = self.data.sizes["basin"]
        many = f"{count} basins; basin {self.basin} in detail" if count > 1 else ""
        return ". ".join(part for part in (words.rstrip("."), many) if part)

    @property
    def one(self) -> dict[str, xr.Dataset]:
        """The simulations of the basin shown in detail."""
        return {n: s.sel(basin=self.basin) for n, s in self.simulations.items()}

    def _keep(self, name: str, figure: style.ReportFigure) -> style.ReportFigure:
        self.figures[name] = figure
        return figure

    def overview(self) -> list[Section]:
        """Skill over all basins."""
        if self.data.sizes["basin"] < 2:
            return []
        wide = self.scored.groupby(level=["period", "model"], sort=False).median().reset_index()
        wide["bias"] *= 100
        table = self.table(self.last_period)
        summary = skill_summary(table)
        summary.caption = f"{self.last_period.capitalize()} period. {summary.caption}"
        figures = [self._keep("skill_distribution", summary)]
        place = next((p for p in _PLACES if set(p) <= set(map(str, self.data))), None)
        first = str(table.columns[0])
        if place is not None and self.data.sizes["basin"] > 2 and np.isfinite(table[first]).any():
            value = xr.DataArray(
                table[first].to_numpy(),
                dims="basin",
                attrs={"units": "1", "long_name": f"NSE of the {first}, {self.last_period} period"},
            )
            figures.append(
                self._keep("skill_map", skill_map(self.data[place[0]], self.data[place[1]], value))
            )
        caption = f"Medians over {self.data.sizes['basin']} basins."
        text = _comparison(table, self.last_period)
        return [Section("All basins", text, figures, [Table(wide, caption, {"bias": "%"})])]

    def skill(self) -> Section:
        """Skill of the basin shown in detail."""
        observed = self.data[next(iter(self.surrogate.observed.values()))].sel(basin=self.basin)
        rows = []
        for (period, name), values in self.scored.loc[self.basin].iterrows():
            first, last = self.surrogate.periods[period]
            count = int(observed.sel(time=slice(first, last)).notnull().sum())
            rows.append((period, first[:10], last[:10], count, name, *values))
        columns = ["period", "from", "to", "observations", "model", *self.scored.columns]
        frame = pd.DataFrame(rows, columns=columns)
        frame["bias"] *= 100
        variable = str(observed.attrs.get("long_name", observed.name))
        text = (
            f"How well {variable} is simulated; 1 is perfect for NSE, KGE and log-NSE, 0 for the "
            "bias."
        )
        if "test" in self.surrogate.periods:
            text += " Only the test period was never seen in fitting."
        if "conceptual" in self.simulations:
            text += (
                " The conceptual model is the same model with its own equations in place of the "
                "networks, calibrated in the same periods."
            )
        outside = self.fitted.attrs.get("outside_training_range")
        if outside:
            text += f"\n\nOutside the range seen in training: {outside}. Networks extrapolate."
        return Section(
            f"Skill in basin {self.basin}", text, tables=[Table(frame, units={"bias": "%"})]
        )

    def hydrographs(self) -> list[Section]:
        """Hydrograph and flow-duration curve of every observed flux."""
        sections = []
        for flux, variable in self.surrogate.observed.items():
            runs = {n: s[flux] for n, s in self.one.items()}
            observed = self.data[variable].sel(basin=self.basin)
            if not bool(observed.notnull().any()):
                continue
            rain = self.data["prcp"].sel(basin=self.basin) if "prcp" in self.data else None
            long_name = str(runs[next(iter(runs))].attrs["long_name"])
            options = {
                "basin": self.basin,
                "split": {n: self.surrogate.periods[n] for n in _known(self.surrogate.periods)},
                "quantity": long_name,
            }
            figures = []
            window = self._year()
            if window is not None:
                close = hydrograph(runs, observed, rain, window=window, **options)
                close.caption = f"{_span(window)}. {close.caption}"
                figures.append(self._keep(f"hydrograph_{flux}_year", close))
            whole = hydrograph(runs, observed, rain, window=(self.begin, None), **options)
            if self.begin > self.data.indexes["time"][0]:
                whole.caption += f" The warm-up before {self.begin:%Y-%m-%d} is not shown."
            figures.insert(0, self._keep(f"hydrograph_{flux}", whole))
            sections.append(Section(f"Hydrograph of {long_name}", figures=figures))
            part = slice(*self.surrogate.periods[self.last_period])
            seen = observed.sel(time=part)
            if bool((seen > 0).any()):
                cut = {n: r.sel(time=part) for n, r in runs.items()}
                curve = flow_duration(cut, seen, basin=self.basin, quantity=long_name)
                curve.caption = f"{self.last_period.capitalize()} period. {curve.caption}"
                self._keep(f"flow_duration_{flux}", curve)
                sections.append(Section(f"Flow-duration curve of {long_name}", figures=[curve]))
        return sections

    def _year(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """Return a year at the end of the test period, or of the record, if more is there."""
        times = self.data.indexes["time"]
        last = times[-1]
        if self.last_period == "test":
            last = min(last, pd.Timestamp(self.surrogate.periods["test"][1]))
        first = last - pd.DateOffset(years=1) + pd.Timedelta(days=1)
        if self.begin >= first - pd.Timedelta(days=30):
            return None  # nothing to look at more closely
        return first, last

    def learned(self) -> list[Section]:
        """Every learned term against its inputs."""
        names = [n.name for n in self.surrogate.ude.networks]
        if not names:
            return []
        figures = []
        for name in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                term = self.surrogate.term(name, self.data, basin=self.basin)
            term = term.isel(sample=np.flatnonzero(term["time"].values >= self.begin))
            figures.append(self._keep(f"learned_{name}", learned_flux(term)))
        text = (
            f"What the networks have learned, at the states and forcing of basin {self.basin}. "
            "Where samples are few the curve is a guess of the network, not a finding."
        )
        return [Section("Learned terms", text, figures)]

    def balance(self) -> list[Section]:
        """Cumulative water balance, with its error."""
        if not self.surrogate.ude.boundary:
            return []
        shown = self.fitted.sel(basin=[self.basin], time=slice(self.begin, None))
        balance = self.surrogate.water_balance(shown)
        figure = self._keep("water_balance", water_balance(balance, basin=self.basin))
        error = style.scientific(balance_error(balance))
        text = (
            f"Inflow minus outflow minus storage change is at most {error} of the water that "
            "passed. This is the error of the solver, not of the model: how much of the outflow is "
            "evapotranspiration was not observed."
        )
        return [Section("Water balance", text, [figure])]

    def training(self) -> list[Section]:
        """Loss and skill against epoch."""
        metrics = self.surrogate.metrics
        if metrics is None or not np.isfinite(metrics["loss"]).any():
            return []
        columns = dict.fromkeys((*metrics.columns, "train_nse", "validation_nse"))
        figure = training_curve(metrics.reindex(columns=list(columns)))
        if len(self.surrogate.basins) > 1:
            figure.caption += " NSE is the median over basins."
        return [Section("Training", figures=[self._keep("training", figure)])]

    def parameters(self) -> Section:
        """Parameters with bounds, beside those of the conceptual model."""
        surrogate = self.surrogate
        forcing = self.data.sel(basin=[self.basin])
        values = surrogate.parameters_of(forcing)
        skeleton = (
            (surrogate.skeleton_of(forcing) or {}) if "conceptual" in self.simulations else {}
        )
        plain = surrogate.ude.conceptual() if skeleton else surrogate.ude
        networks = bool(surrogate.ude.networks)
        rows: list[dict[str, str]] = []
        near = []
        for p in surrogate.ude.parameters:
            used = p.name in surrogate.ude.used_parameters
            if not used and p.name not in plain.used_parameters:
                continue
            row = {"parameter": p.name, "unit": style.unit_text(p.unit)}
            row["hybrid" if networks else "fitted"] = _number(values[p.name][0]) if used else ""
            if skeleton:
                both = p.name in plain.used_parameters
                row["conceptual"] = _number(skeleton[p.name][0]) if both else ""
            row |= {"low": _number(p.bounds[0]), "high": _number(p.bounds[1])}
            rows.append(row | {"meaning": p.description or ""})
            if used and _at_bound(p, float(values[p.name][0])):
                near.append(p.name)
        text = f"Parameters of basin {self.basin}, and the bounds that they were kept within."
        if near:
            text += f" Close to a bound: {', '.join(near)}."
        return Section("Parameters", text, tables=[Table(pd.DataFrame(rows))] if rows else [])

    def provenance(self) -> dict[str, object]:
        """Say where the numbers come from."""
        from hybridwater.training.rundir import environment

        surrogate, found = self.surrogate, environment()
        options = surrogate.options
        time = self.data.indexes["time"]
        facts: dict[str, object] = {
            "model": f"{surrogate.ude.name} (fingerprint {surrogate.ude.fingerprint})",
            "fitted to": ", ".join(surrogate.basins[:3])
            + (f" and {len(surrogate.basins) - 3} more basins" if surrogate.basins[3:] else ""),
            "record": f"{time[0]:%Y-%m-%d} to {time[-1]:%Y-%m-%d}, {len(time)} records",
        }
        for name in _known(surrogate.periods):
            first, last = (str(t)[:10] for t in surrogate.periods[name])
            facts[f"{name} period"] = f"{first} to {last}"
        if "source" in self.data.attrs:
            facts["data"] = self.data.attrs["source"]
        return facts | {
            "solver": f"{self.fitted.attrs['engine']} engine, {_method(options)}, forcing "
            f"{options.interpolation} within a record",
            "versions": ", ".join(
                f"{n} {found[n]}" for n in ("hybridwater", "python", "jax", "diffrax", "torch")
            ),
        }


def _known(periods: dict[str, tuple[str, str]]) -> list[str]:
    return [n for n in ("train", "validation", "test") if n in periods]


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")  # noqa: RUF001


def _at_bound(parameter: Parameter, value: float) -> bool:
    """Say whether a value is near an end of its range, on the scale on which it was sought."""
    scale = math.log if parameter.log else float
    low, inside, high = map(scale, (parameter.bounds[0], value, parameter.bounds[1]))
    return not 0.01 < (inside - low) / (high - low) < 0.99


def _method(options: Options) -> str:
    if options.method not in FIXED_STEP:
        return f"{options.method}, tolerance {options.rtol:g}"
    return f"{options.method}, {options.substeps} step{'s'[: options.substeps > 1]} per record"


def _span(window: tuple[pd.Timestamp, pd.Timestamp]) -> str:
    return f"{window[0]:%Y-%m-%d} to {window[1]:%Y-%m-%d}"


def _comparison(table: pd.DataFrame, period: str) -> str:
    """Say in words which model is better over all basins."""
    if table.shape[1] < 2:
        return ""
    first, second = table.columns[:2]
    better = int((table[first] > table[second]).sum())
    medians = [style.number(table[name].median()) for name in (first, second)]
    return (
        f"In the {period} period the median NSE is {medians[0]} for the {first} and {medians[1]} "
        f"for the {second} model; the {first} is better in {better} of {len(table)} basins."
    )
