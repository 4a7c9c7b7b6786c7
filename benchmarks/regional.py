"""A regional hybrid on 357 CAMELS-US basins, in gauged and in ungauged use.

Trained 1980-10 to 2000-09, tested 2000-10 to 2010-09. In gauged use each basin's parameters may
depart from what its attributes say; the second fit leaves a fifth of the basins out and predicts
them from their static attributes alone. No attribute is computed from discharge.
Needs the data folder (``HYBRIDWATER_DATA``); may be interrupted and started again.

    python benchmarks/regional.py --out runs/regional
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hybridwater as hw
from hybridwater.training import Stage

TRAIN, TEST = ("1980-10-01", "2000-09-30"), ("2000-10-01", "2010-09-30")


def load(count: int | None) -> tuple[xr.Dataset, list[str]]:
    folder = Path(os.environ.get("HYBRIDWATER_DATA", "../shared/data")) / "camels_us"
    data = hw.data.read_camels_netcdf(folder / "camels_daily.nc")
    attributes = [
        str(name)
        for name, values in data.data_vars.items()
        if values.dims == ("basin",) and bool(np.isfinite(values).all())
    ]
    assert not set(attributes) & set(hw.data.DISCHARGE_ATTRIBUTES)
    if count is not None:
        data = data.isel(basin=np.linspace(0, data.sizes["basin"] - 1, count).astype(int))
    return data, attributes


def train(data: xr.Dataset, attributes: list[str], out: Path, epochs: int, seed: int, gauged: bool):
    """Fit; in ungauged use everything that tells basins apart must come from the attributes."""
    rates = ((0.005, 0.6), (0.0015, 0.25), (0.0005, 0.15))
    schedule = [
        Stage("joint", max(1, round(share * epochs)), rate, rate, window=365, batch=100)
        for rate, share in rates
    ]
    return hw.fit(
        hw.models.regional_hybrid(latent=8, hidden=(32,)),
        data,
        observed={"q": "qobs"},
        train=TRAIN,
        test=TEST,
        attributes=attributes,
        attribute_hidden=(128,),
        basin_offsets=gauged,
        dropout=0.0 if gauged else 0.3,
        schedule=schedule,
        assess_every=10,
        seed=seed,
        method="heun",
        substeps=1,
        precision="float32",
        directory=out,
        resume=True,
    )


def score(fitted, data: xr.Dataset) -> pd.Series:
    simulated = fitted.simulate(data, fluxes=("q",), precision="float64")["q"]
    period = slice(*TEST)
    nse = hw.scores.nse(simulated.sel(time=period), data["qobs"].sel(time=period))
    return nse.to_series()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/regional"))
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--basins", type=int, default=None, help="only so many, for a quick look")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.captureWarnings(True)
    data, attributes = load(args.basins)
    print(f"{data.sizes['basin']} basins, {len(attributes)} attributes: {', '.join(attributes)}")

    settings = (attributes, args.out / "gauged", args.epochs, args.seed)
    gauged = score(train(data, *settings, gauged=True), data)
    out = np.random.default_rng(args.seed).permutation(data.sizes["basin"])
    fifth = np.sort(out[: len(out) // 5])
    kept = np.setdiff1d(np.arange(len(out)), fifth)
    settings = (attributes, args.out / "ungauged", args.epochs, args.seed)
    fitted = train(data.isel(basin=kept), *settings, gauged=False)
    ungauged = score(fitted, data.isel(basin=fifth))
    table = pd.DataFrame({"gauged use": gauged, "ungauged use": ungauged})
    table.to_csv(args.out / "test_nse.csv")
    print(table.describe().loc[["count", "25%", "50%", "75%", "mean"]].round(3).to_string())
    print(f"basins below zero: {int((gauged < 0).sum())} gauged, {int((ungauged < 0).sum())} not")


if __name__ == "__main__":
    main()
