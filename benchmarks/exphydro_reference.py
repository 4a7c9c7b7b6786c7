"""EXP-Hydro with published parameters against its published skill, every basin there is.

Fixed-step RK4, PCHIP forcing, instantaneous output, as the reference was made; train 1980-10 to
2000-09, test after. Needs the data folder (``HYBRIDWATER_DATA``).

    python benchmarks/exphydro_reference.py
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pandas as pd

import hybridwater as hw

PERIODS = {"train": ("1980-10-01", "2000-09-30"), "test": ("2000-10-01", "2010-09-30")}
COLUMNS = {"S0": "snow0", "S1": "soil0", "f": "f", "Smax": "smax", "Qmax": "qmax"}
COLUMNS |= {"Df": "df", "Tmax": "tmax", "Tmin": "tmin"}
TOLERANCE = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--substeps", type=int, default=4)
    args = parser.parse_args()
    folder = Path(os.environ.get("HYBRIDWATER_DATA", "../shared/data")) / "camels_us"
    published = pd.read_csv(folder / "exphydro_reference.csv", dtype={"gauge_id": str})
    published = published.set_index("gauge_id").rename(columns=COLUMNS)
    tables = []
    for name in ("camels_daily.nc", "camels_core_daily.nc"):
        data = hw.data.read_camels_netcdf(folder / name, attributes=())
        known = [str(b) for b in data["basin"].values if b in published.index]
        data = data.sel(basin=known)
        begun = time.perf_counter()
        simulation = hw.simulate(
            hw.models.exp_hydro(),
            data,
            {p: published.loc[known, p].to_numpy() for p in COLUMNS.values()},
            method="rk4",
            substeps=args.substeps,
            interpolation="pchip",
            output="instantaneous",
            fluxes=("q",),
        )
        seconds = time.perf_counter() - begun
        print(f"{name}: {len(known)} basins, {data.sizes['time']} days, {seconds:.1f} s")
        table = pd.DataFrame(index=known)
        for period, (first, last) in PERIODS.items():
            part = slice(first, last)
            nse = hw.scores.nse(simulation["q"].sel(time=part), data["qobs"].sel(time=part))
            table[period] = nse.values - published.loc[known, f"nse_{period}_rk4_reproduced"]
        tables.append(table)
    difference = pd.concat(tables)
    difference = difference[~difference.index.duplicated()]
    for period in PERIODS:
        within = difference[period].abs() <= TOLERANCE
        print(
            f"{period}: {within.sum()} of {len(within)} basins ({within.mean():.1%}) within "
            f"{TOLERANCE}; largest difference {difference[period].abs().max():.4f}"
        )


if __name__ == "__main__":
    main()
