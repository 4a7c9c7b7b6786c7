"""Cost of a member, memory, and what processes and a Dask cluster gain.

    python benchmarks/ensembles.py [members] [processes] [dask] [delaware] [surrogates:FOLDER]

- members: seconds per member and peak memory of an ensemble of a model, 100 to 1,000 members.
- processes: a coupled case with one process and with two, with and without their start.
- dask: 12 members of a year of the Delaware basin, with one worker and with two; and 20 of the
  short coupled case, of which the process with the scheduler and the files takes a larger share.
- delaware: a 50-member ensemble of 60 days of the Delaware basin, of analytic components; the time
  of one warm run in the same process is the peer.
- surrogates: 50 members of the surrogates of PRMS that `benchmarks/delaware_surrogates.py` put into
  FOLDER, rain perturbed, discharge at the gages kept, in batches of several sizes, over one and two
  years; warm runs of pywatershed in the same process, before and after, are the peer. A first
  ensemble compiles and does not count. The same in two processes, with their start, and on
  two workers of a Dask cluster that are as warm as the peer.

Ratios depend on what else the machine does; the load is printed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hybridwater as hw
from hybridwater.cases.coupled_simulator import CoupledSimulator
from hybridwater.ensembles import Design, Ensemble, Forcing, ModelSimulator, lognormal

CASE = """
[run]
start = 2001-01-01
end = 2004-01-01

[forcing.weather]
source = "netcdf"
path = "rain.nc"
variables = { rain = "rain" }

[components.hill]
kind = "gr4j"
area = AREAS

[[exchange]]
source = "weather.rain"
target = "hill.precipitation_flux"

[[exchange]]
source = "weather.demand"
target = "hill.water_potential_evaporation_flux"
water = false

[output]
variables = { hill = ["runoff_flux"] }
"""


def timed(ensemble: Ensemble, workers: int | str = 1) -> float:
    """Return the seconds of an ensemble."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ensemble.run(Path(folder) / "e.nc", workers=workers, progress=False).close()
        return time.perf_counter() - began


def members() -> None:
    days = pd.date_range("2001-01-01", "2010-12-31")
    rng = np.random.default_rng(0)
    forcing = xr.Dataset(
        {
            "prcp": ("time", rng.gamma(0.3, 10.0, len(days)), {"units": "mm d-1"}),
            "pet": ("time", np.full(len(days), 1.5), {"units": "mm d-1"}),
        },
        {"time": days},
    )
    runs = ModelSimulator(hw.models.gr4j(), forcing, outputs=["q"], batch=50, substeps=8)
    sources = {"rain": Forcing("prcp", factor=lognormal(0.2), time="2 d")}
    timed(Ensemble(runs, sources, Design(50)))
    batch = forcing.expand_dims(member=50)
    began = time.perf_counter()
    hw.simulate(hw.models.gr4j(), batch, substeps=8, fluxes=("q",))
    print(f"the engine alone: {1e3 * (time.perf_counter() - began) / 50:.1f} ms per member")
    for count in (100, 300, 1000):
        spent = timed(Ensemble(runs, sources, Design(count)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count} members of 10 years: {1e3 * spent / count:.1f} ms each, peak {peak:.0f} MB")


def coupled(folder: Path, members: int, cells: int = 200) -> Ensemble:
    """Return an ensemble of a coupled case, some seconds long per member."""
    days = pd.date_range("2001-01-01", "2003-12-31")
    rain = np.random.default_rng(0).gamma(0.3, 10.0, (len(days), cells))
    data = {n: (("time", "basin"), v) for n, v in (("rain", rain), ("demand", 0 * rain + 1.5))}
    names = [f"c{k}" for k in range(cells)]
    records = xr.Dataset(data, {"time": days, "basin": names})
    for name in data:
        records[name].attrs["units"] = "kg m-2 d-1"
    records.to_netcdf(folder / "rain.nc")
    text = CASE.replace("AREAS", str([1e6] * cells)).replace(
        '{ rain = "rain" }', '{ rain = "rain", demand = "demand" }'
    )
    (folder / "case.toml").write_text(text)
    rain_error = Forcing("weather.rain", factor=lognormal(0.2), time="2 d")
    return Ensemble(CoupledSimulator(folder / "case.toml"), {"rain": rain_error}, Design(members))


def processes() -> None:
    spent = {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            few, many = (timed(coupled(Path(folder), n), workers) for n in (4, 20))
            spent[workers] = many - few
            start = few - spent[workers] / 4
            print(
                f"{workers} processes: {spent[workers] / 16:.2f} s per member, start {start:.1f} s"
            )
    print(f"two processes against one, without the start: {spent[1] / spent[2]:.2f}")


def dask() -> None:
    import distributed

    with tempfile.TemporaryDirectory() as folder:
        cases = {
            "Delaware, a year": Ensemble(
                CoupledSimulator(basin(Path(folder), "1980-01-01")), {"rain": RAIN}, Design(12)
            ),
            "short case": coupled(Path(folder), 20),
        }
        for name, ensemble in cases.items():
            spent = {}
            for count in (1, 2):
                with distributed.LocalCluster(
                    n_workers=count, threads_per_worker=1, dashboard_address=None
                ) as cluster:
                    timed(ensemble, cluster.scheduler_address)  # imports and compiles
                    spent[count] = timed(ensemble, cluster.scheduler_address)
            print(f"{name}: {spent[1]:.1f} s with one worker, {spent[2]:.1f} s with two: "
                  f"{spent[1] / spent[2]:.2f}")  # fmt: skip


RAIN = Forcing("weather.prcp", factor=lognormal(0.4), time="2 d", length="100 km")


def basin(folder: Path, end: str) -> Path:
    """Write the case of the Delaware basin, from the beginning of 1979 to a date."""
    from hybridwater.cases import write_template

    path = write_template(folder, "delaware")
    path.write_text(path.read_text().replace("end = 1981-01-01", f"end = {end}"))
    return path


def delaware() -> None:
    from hybridwater.cases import load_coupled

    folder = Path(tempfile.mkdtemp())
    path = basin(folder, "1979-03-02")
    load_coupled(path).build().run("1979-01-03", progress=False)  # compiles
    began = time.perf_counter()
    model = load_coupled(path).build()
    model.run("1979-03-02", progress=False)
    one = time.perf_counter() - began
    ensemble = Ensemble(CoupledSimulator(path), {"rain": RAIN}, Design(50))
    spent = timed(ensemble)
    shutil.rmtree(folder)
    print(f"Delaware, 60 days: {spent / 50:.2f} s per member, one warm run {one:.2f} s")


def surrogates(folder: str) -> None:
    from delaware_prms import their_model

    from hybridwater.components.prms_process import quietly

    segments = hw.data.read_delaware().observed["gage_segment"]
    sites = {"channel.water_volume_transport_in_river_channel": segments}
    path = Path(folder) / "delaware-surrogates.toml"
    text = path.read_text()
    rain = Forcing("weather.precipitation", factor=lognormal(0.4), time="2 d", length="100 km")

    def peer(days: int) -> tuple[float, float]:
        model = their_model(compile=True)
        with quietly():
            model.advance()
            model.calculate()  # reads the weather
            began = time.perf_counter(), time.process_time()
            for _ in range(days - 1):
                model.advance()
                model.calculate()
        return time.perf_counter() - began[0], time.process_time() - began[1]

    def ours(
        until: str, batch: int, count: int = 50, workers: int | str = 1
    ) -> tuple[float, float]:
        case = path.with_name(f"until-{until}.toml")
        case.write_text(text.replace("end = 1981-01-01", f"end = {until}"))
        runs = CoupledSimulator(case, sites=sites, batch=batch)
        began = time.process_time()
        spent = timed(Ensemble(runs, {"rain": rain}, Design(count)), workers)
        return spent / count, (time.process_time() - began) / count

    for batch in (50, 25):
        ours("1981-01-01", batch)  # compiles, and takes memory from the system
    for days, until in ((731, "1981-01-01"), (365, "1980-01-01")):
        for batch in (50, 25):
            before, (clock, used), after = peer(days), ours(until, batch), peer(days)
            theirs = [(a + b) / 2 for a, b in zip(before, after, strict=True)]
            print(
                f"{days} days, batches of {batch}: {clock:.3f} s per member ({used:.3f} s of "
                f"processor time), one warm run of pywatershed {theirs[0]:.2f} s ({theirs[1]:.2f} "
                f"s): {theirs[0] / clock:.1f} ({theirs[1] / used:.1f}) times as fast",
                flush=True,
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")
    for days, until in ((731, "1981-01-01"), (365, "1980-01-01")):
        theirs = peer(days)[0]
        clock, _ = ours(until, 25, workers=2)
        print(
            f"{days} days, two processes with batches of 25, their start included: {clock:.3f} s "
            f"per member, {theirs / clock:.1f} times as fast by the clock as one run of pywatershed"
        )
    with two_workers() as address:
        ours("1981-01-01", 25, workers=address)  # imports as well
        for days, until in ((731, "1981-01-01"), (365, "1980-01-01")):
            before, (clock, _), after = peer(days), ours(until, 25, workers=address), peer(days)
            theirs = (before[0] + after[0]) / 2
            print(
                f"{days} days, two warm workers of Dask with batches of 25: {clock:.3f} s per "
                f"member, {theirs / clock:.1f} times as fast by the clock as one run of pywatershed"
            )


@contextlib.contextmanager
def two_workers() -> Iterator[str]:
    """Start a Dask cluster whose workers keep the memory of a batch; yield its address."""
    import dask.config
    import distributed

    kept = {f"MALLOC_{name}_THRESHOLD_": 1 << 30 for name in ("TRIM", "MMAP")}
    known = dask.config.get("distributed.nanny.pre-spawn-environ")
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {**known, **kept}}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as all_,
    ):
        yield all_.scheduler_address


if __name__ == "__main__":
    known = {f.__name__: f for f in (members, processes, dask, delaware, surrogates)}
    for name in sys.argv[1:] or ("members", "processes", "dask", "delaware"):
        job, _, argument = name.partition(":")
        known[job](*filter(None, [argument]))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
