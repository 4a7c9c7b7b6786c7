"""Errors of a hybrid in the 26 core basins of CAMELS-US, as forecasts that are judged.

The hybrid of ``basin_hybrid.py`` (its run is taken if it is there, else it is fitted) learns from
1980-10 to 1996-09. Residual models are fitted on the errors of 1996-10 to 2000-09, which only chose
between its epochs: they are those of a model that has hardly seen what it simulates. They are
judged from 2000-10 to 2010-09, without observations and updated every day. NSE is that of the
simulation and of the mean of the members. Needs the data folder (``HYBRIDWATER_DATA``).

    python benchmarks/camels_residuals.py --run runs/basin_hybrid [--basins N] [--epochs N]
                                          [--transform box-cox]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import basin_hybrid
import xarray as xr
from delaware_residuals import forecast, judge, show, thirds

from hybridwater import scores
from hybridwater.residuals import ResidualModel

FITTED, TESTED = slice("1996-10-01", "2000-09-30"), slice("2000-10-01", "2010-09-30")


def groups(data: xr.Dataset, ensemble: xr.DataArray) -> dict[str, xr.DataArray]:
    """Thirds of the records by forecast flow, and of the basins by snow and by dryness."""
    snow = data["prcp"].where(data["tmean"] < 0, 0.0).sum("time") / data["prcp"].sum("time")
    return {
        "flow": thirds(ensemble.median("member"), "time"),
        "snow": thirds(snow, "basin"),
        "rain": thirds(data["prcp"].mean("time"), "basin"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/basin_hybrid"))
    parser.add_argument("--basins", type=int)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--transform", default="log-sinh")
    args = parser.parse_args()
    data = basin_hybrid.read_core().isel(basin=slice(args.basins))
    fitted = basin_hybrid.fit(data, args.run, args.restarts, args.epochs)
    pair = data[["qobs"]].rename(qobs="observed")
    pair["simulated"] = fitted.simulate(data)["q"].transpose("basin", "time")
    pair = pair.sel(time=slice(FITTED.start, TESTED.stop))
    part = pair.sel(time=FITTED)
    began = time.process_time()
    posterior = ResidualModel(transform=args.transform).fit(part["simulated"], part["observed"])
    print(f"fitted in {time.process_time() - began:.0f} s of the processor;", posterior)
    tested = pair.sel(time=TESTED)
    nse = scores.nse(tested["simulated"], tested["observed"]).median()
    print(f"median NSE of the simulation: {float(nse):.3f}")
    rows = {}
    for lead, what in ((None, "no updating"), (1, "updated daily")):
        drawn = forecast(posterior, pair, TESTED, lead)
        rows[what] = judge(pair, drawn, FITTED, groups(data, drawn))
        rows[what]["NSE of the mean"] = float(
            scores.nse(drawn.mean("member"), tested["observed"]).median()
        )
    show(rows)


if __name__ == "__main__":
    main()
