"""Storms at a loose tolerance: which adaptive methods lose them.

EXP-Hydro with published parameters on CAMELS basin 03604000, three years, PCHIP forcing, discharge
at the start of each day. An unconstrained solver of general purpose grows its step in dry weather
and steps over short storms, which it never sees; the embedded engine ends a step at every record.
The table has the Nash-Sutcliffe efficiency of each against a tight solution and against the
observed discharge; scipy's RK23 keeps its default ``atol`` of 1e-6. Needs the data folder
(``HYBRIDWATER_DATA``).

    python benchmarks/storms.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from scipy.interpolate import PchipInterpolator

import hybridwater as hw
from hybridwater import models
from hybridwater.engines import Options, get_engine
from hybridwater.engines.base import FIXED_STEP, METHODS

ADAPTIVE = [method for method in METHODS["embedded"] if method not in FIXED_STEP]
BASIN, PERIOD = "03604000", ("1980-10-01", "1983-09-30")
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
COLUMNS = {"S0": "snow0", "S1": "soil0", "f": "f", "Smax": "smax", "Qmax": "qmax"}
COLUMNS |= {"Df": "df", "Tmax": "tmax", "Tmin": "tmin"}


def step(x):
    return 0.5 * (np.tanh(5.0 * x) + 1.0)


def discharge(p: SimpleNamespace, soil):
    """Return discharge; equations as in Höge et al. (2022), appendix A."""
    full = step(soil - p.smax)
    base = p.qmax * (full + step(p.smax - soil) * np.exp(-p.f * (p.smax - soil)))
    return step(soil) * (base + full * (soil - p.smax))


def rates(t: float, y: np.ndarray, p: SimpleNamespace, forcing: PchipInterpolator) -> list[float]:
    snow, soil = y
    prcp, tmean, dayl = forcing(t)
    melt = step(snow) * step(tmean - p.tmax) * min(snow, p.df * (tmean - p.tmax))
    pet = 29.8 * 0.611 * dayl * np.exp(17.3 * tmean / (tmean + 237.3)) / (tmean + 273.2)
    full = step(soil - p.smax)
    et = step(soil) * pet * (full + step(p.smax - soil) * soil / p.smax)
    rain = prcp * step(tmean - p.tmin)
    return [prcp - rain - melt, rain + melt - et - discharge(p, soil)]


def by_scipy(p: SimpleNamespace, forcing: np.ndarray, **options) -> tuple[np.ndarray, int]:
    """Return discharge at the start of each day, and the evaluations of the equations."""
    days = np.arange(len(forcing), dtype=float)
    curve = PchipInterpolator(days, forcing)
    found = solve_ivp(
        rates, days[[0, -1]], (p.snow0, p.soil0), t_eval=days, args=(p, curve), **options
    )
    return discharge(p, found.y[1]), found.nfev


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="*", default=ADAPTIVE, choices=ADAPTIVE)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    folder = Path(os.environ.get("HYBRIDWATER_DATA", "../shared/data")) / "camels_us"
    table = pd.read_csv(folder / "exphydro_reference.csv", dtype={"gauge_id": str})
    table = table.set_index("gauge_id").rename(columns=COLUMNS)
    p = SimpleNamespace(**table.loc[BASIN, list(COLUMNS.values())].astype(float))
    data = hw.data.read_camels_netcdf(folder / "camels_daily.nc", (), [BASIN], *PERIOD)
    ude = models.exp_hydro()
    forcing = np.stack([data[f].values for f in ude.program.forcings], axis=-1)
    parameters = np.array([[getattr(p, name) for name in ude.program.parameters]])
    initial = np.array([[p.snow0, p.soil0]])

    def ours(method: str, tolerance: float) -> np.ndarray:
        options = Options(
            method=method,
            rtol=tolerance,
            atol=tolerance,
            interpolation="pchip",
            output="instantaneous",
            fluxes=("q",),
        )
        solver = get_engine("embedded").compile(ude, options)
        solution = solver.solve(parameters, np.zeros(0), forcing, initial)
        solution.raise_if_failed(ude.program.states, lambda _, record: f"day {record}")
        return solution.flux("q")

    observed = data["qobs"]
    tight = observed.copy(data=ours("dopri5", 1e-10))
    loose = {"method": "RK23", "rtol": args.tolerance}
    rows = []

    def add(name: str, q: np.ndarray, evaluations: int | str = "-") -> None:
        simulated = observed.copy(data=q.reshape(observed.shape))
        scores = (hw.scores.nse(simulated, other).item() for other in (tight, observed))
        rows.append((name, *scores, float(abs(simulated - tight).max()), evaluations))

    add("tight: embedded dopri5, 1e-10", tight.values)
    day = {"max_step": 1.0}
    add("tight: scipy DOP853, 1e-10", *by_scipy(p, forcing[0], method="DOP853", **TIGHT | day))
    for method in args.methods:
        add(f"embedded {method}", ours(method, args.tolerance))
    add("scipy RK23", *by_scipy(p, forcing[0], **loose))
    add("scipy RK23, max_step=1", *by_scipy(p, forcing[0], **loose | day))
    columns = ["method", "NSE to tight", "NSE to observed", "largest error [mm/d]", "evaluations"]
    print(f"basin {BASIN}, {' to '.join(PERIOD)}, tolerance {args.tolerance:g}")
    print(pd.DataFrame(rows, columns=columns).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
