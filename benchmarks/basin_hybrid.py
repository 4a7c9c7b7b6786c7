"""Per-basin hybrids on the 26 core basins of CAMELS-US against EXP-Hydro with published parameters.

Networks for evapotranspiration and discharge in the EXP-Hydro skeleton, trained 1980-10 to
2000-09, tested 2000-10 to 2010-09. Needs the data folder (``HYBRIDWATER_DATA``); may be
interrupted, which shows the best so far, and started again.

    python benchmarks/basin_hybrid.py --out runs/basin_hybrid
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hybridwater as hw
from hybridwater.training import Stage

TRAIN, TEST = ("1980-10-01", "2000-09-30"), ("2000-10-01", "2010-09-30")


def read_core() -> xr.Dataset:
    """Return forcing and observed discharge of the core basins."""
    folder = Path(os.environ.get("HYBRIDWATER_DATA", "../shared/data")) / "camels_us"
    return hw.data.read_camels_netcdf(folder / "camels_core_daily.nc", attributes=())


def fit(data: xr.Dataset, out: Path, restarts: int, epochs: int) -> hw.Surrogate:
    """Fit the hybrid to every basin, or go on with a fit that was interrupted."""
    return hw.fit(
        hw.models.exp_hydro_hybrid(),
        data,
        observed={"q": "qobs"},
        train=TRAIN,
        validation=0.2,
        test=TEST,
        restarts=restarts,
        schedule=(
            Stage("skeleton", min(150, epochs), 0.05),
            Stage("pretrain", 400, network_rate=0.01),
            Stage("joint", epochs // 3, 0.01, 0.005, window=365),
            Stage("joint", epochs, 0.006, 0.003),
            Stage("joint", epochs, 0.002, 0.001),
        ),
        substeps=1,
        directory=out,
        resume=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/basin_hybrid"))
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=150)
    args = parser.parse_args()
    folder = Path(os.environ.get("HYBRIDWATER_DATA", "../shared/data")) / "camels_us"
    data = read_core()
    published = pd.read_csv(folder / "exphydro_reference.csv", dtype={"gauge_id": str})
    published = published.set_index("gauge_id")

    fitted = fit(data, args.out, args.restarts, args.epochs)
    table = pd.DataFrame(index=list(fitted.basins))
    known = table.index.intersection(published.index)
    table.loc[known, "EXP-Hydro, published parameters"] = published.loc[
        known, "nse_test_rk4_reproduced"
    ]
    observed = data["qobs"].sel(time=slice(*TEST))
    for name, conceptual in (("EXP-Hydro, calibrated here", True), ("hybrid", False)):
        simulated = fitted.simulate(data, conceptual=conceptual)["q"].sel(time=slice(*TEST))
        table[name] = hw.scores.nse(simulated, observed).values
    print(table.round(3).to_string())
    print(table.describe().loc[["count", "min", "50%", "mean"]].round(3).to_string())
    both = table.loc[known]
    gain = both["hybrid"].median() - both["EXP-Hydro, published parameters"].median()
    print(f"median gain over published parameters on {len(known)} basins: {gain:+.3f}")
    print(f"basins without a finite result: {int((~np.isfinite(table['hybrid'])).sum())}")


if __name__ == "__main__":
    main()
