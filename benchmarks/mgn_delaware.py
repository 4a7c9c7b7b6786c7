"""A learned exchange from land to rivers on the Delaware: trained on 1979, tested on 1980.

PRMS runs in three components. Between land and groundwater on one side and the channel on the other
stands `RunoffCoupler`, trained on discharge observed in 1979 at the gages that are not held out;
gradients pass through the routing of the channel. Prints medians of NSE and KGE over 1980, at all
gages, at those of the training and at those held out; ablations; and what the trained exchange does
in a live coupled run, where its discharge and the ledger are checked.

    python benchmarks/mgn_delaware.py train --out runs/delaware [--variant all] [--seed 0]
    python benchmarks/mgn_delaware.py table --out runs/delaware
    python benchmarks/mgn_delaware.py live --out runs/delaware
    python benchmarks/mgn_delaware.py simulate --out runs/delaware

Trainings that were interrupted go on where they stopped. Options were chosen by cross-validation
within 1979; 1980 is not read by `train`.

`simulate` writes discharge at the gages, simulated and observed, from which errors can be learned
(`delaware_residuals.py --simulation runs/delaware/simulated.nc`): no day of 1979 is simulated by an
exchange that was trained on it. Twelve are trained, each without every fourth block of 30 days. A
day of 1979 has the mean of the three that did not see it, 1980 the mean of all; Breiman (1996),
Out-of-bag estimation, https://www.stat.berkeley.edu/~breiman/OOBestimation.pdf.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch_geometric.data import HeteroData

from hybridwater import scores
from hybridwater.cases.delaware import DISCHARGE, LEAST_DAYS
from hybridwater.components import get_component
from hybridwater.components.delaware_exchange import (
    GIVEN,
    LAND_SIGNALS,
    SIGNALS,
    WEIGHTS,
    DelawarePlace,
    delaware_place,
)
from hybridwater.components.learned_runoff import LearnedRunoff
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.data import delaware_weather, read_delaware
from hybridwater.files import write_netcdf
from hybridwater.mgn import (
    RunoffCoupler,
    RunoffRecord,
    Schooling,
    train_on_discharge,
)
from hybridwater.mgn.cards import write_card
from hybridwater.mgn.released import FOLDER

WEATHER = {
    "lwe_precipitation_rate": "prcp",
    "minimum_air_temperature": "tmin",
    "maximum_air_temperature": "tmax",
}
CARD = """
A `RunoffCoupler` between the land and groundwater of PRMS (pywatershed, parameters of the National
Hydrologic Model) and its channel, over the 765 HRUs and 456 segments of the Delaware River Basin.
The offsets of cells belong to these HRUs; on other land their mean is taken.

Medians over gages of the U.S. Geological Survey in 1980, a year that no training or
choice of weights used. All 101
gages, the 81 whose discharge of 1979 was trained on, and the 20 that were held out.

Not for other land models, whose runoff is wrong in other ways; not for gages below reservoirs and
diversions, which it knows nothing of; not for floods larger than those of 1979.
"""
HELD_OUT = 20
FIRST_DAY = 20
"""Observations before this day do not count: PRMS begins without snow, and with dry soil."""

DAYS = 365
"""Of 1979."""

PLAN = Schooling(iterations=80, silent=50, window=90)
FOLDS, BLOCK, SEEDS = 4, 30, 3
"""Of `simulate`: parts of 1979, days of their blocks, and exchanges that do not see a part."""

VARIANTS = (
    "full",
    "offsets alone",
    "no edges",
    "shuffled edges",
    "no hierarchy",
    "no unobserved flux",
)


def coupled_run(coupler: RunoffCoupler | None = None, days: int = 731) -> CoupledModel:
    """Return PRMS in three components after a run, with or without a learned exchange."""
    parts = {name: get_component(f"prms-{name}")() for name in ("land", "groundwater")}
    exchanges = [
        *(Exchange(f"weather.{name}", "land") for name in WEATHER),
        Exchange("land.groundwater_recharge_flux", "groundwater"),
    ]
    outputs = {
        "land": list(LAND_SIGNALS),
        "groundwater": ["groundwater_amount"],
        "channel": [DISCHARGE],
    }
    giver = {name: "groundwater" if "groundwater" in name else "land" for name in GIVEN}
    if coupler is None:
        channel = get_component("prms-channel")()
        exchanges += [Exchange(f"{giver[name]}.{name}", "channel") for name in GIVEN]
        for name in GIVEN:
            outputs[giver[name]].append(name)
    else:
        channel = get_component("prms-channel")(inputs=dict.fromkeys(GIVEN, 0.0))
        parts["runoff"] = LearnedRunoff(coupler, start="1979-01-01")
        exchanges += [Exchange(f"{giver[name]}.{name}", "runoff") for name in GIVEN]
        exchanges += [Exchange(f"land.{name}", "runoff", water=False) for name in LAND_SIGNALS]
        exchanges += [
            Exchange("groundwater.groundwater_amount", "runoff", water=False),
            Exchange("runoff.runoff_flux", "channel.surface_runoff_flux"),
        ]
        outputs["runoff"] = ["unobserved_flux", "coupling_store_amount"]
    weather = get_component("forcing")(data=delaware_weather(), variables=WEATHER)
    model = CoupledModel(
        {"weather": weather, **parts, "channel": channel}, exchanges, outputs=outputs
    )
    model.run(f"{days} d")
    return model


def water(model: CoupledModel) -> xr.Dataset:
    """Return what land and groundwater gave and held day by day, and discharge of segments."""
    found = xr.Dataset()
    for name in ("land", "groundwater", "channel"):
        for variable, values in model.output(name).drop_vars("time_bounds").items():
            dims = ("time", "segment" if name == "channel" else "cell")
            found[variable] = (dims, values.values, values.attrs)
    return found.assign_coords(time=model.output("channel")["time"].values)


@dataclass(frozen=True)
class Case:
    """The place, and the gages that are usable."""

    place: DelawarePlace
    gages: xr.Dataset


def make_case() -> Case:
    """Make the place, and read the gages with at least 700 observed days."""
    gages = read_delaware().observed
    usable = (gages["discharge"].notnull().sum("time") >= LEAST_DAYS).values
    return Case(delaware_place(), gages.isel(gage=usable))


def split(count: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return which gages are trained on and which are held out of everything."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[HELD_OUT:]), np.sort(order[:HELD_OUT])


def make_coupler(case: Case, variant: str, seed: int) -> RunoffCoupler:
    """Make the exchange of a variant, untrained."""
    torch.manual_seed(seed)
    graph, choices = case.place.graph, {}
    if variant == "no edges":
        graph = HeteroData()
        for name in ("land", "river"):
            for key, value in case.place.graph[name].items():
                graph[name][key] = value
    elif variant == "shuffled edges":
        graph = shuffled(case.place.graph, seed)
    elif variant == "no hierarchy":
        choices["cycle"] = "flat"
    elif variant == "no unobserved flux":
        choices["unobserved"] = None
    return RunoffCoupler.of(
        graph,
        case.place.drains.shares,
        given=GIVEN,
        signals=SIGNALS,
        static=case.place.static,
        **choices,
    )


def shuffled(graph: HeteroData, seed: int) -> HeteroData:
    """Return a graph of the same form whose edges join cells and reaches at random."""
    graph = graph.clone()
    random = torch.Generator().manual_seed(seed)
    order = {n: torch.randperm(len(graph[n].measure), generator=random) for n in ("land", "river")}
    for relation in graph.edge_types:
        index = graph[relation].edge_index.clone()
        for k, name in ((0, relation[0]), (1, relation[2])):
            if name in order:
                index[k] = order[name][index[k]]
        graph[relation].edge_index = index
    return graph


def make_record(run: xr.Dataset, case: Case) -> RunoffRecord:
    """Return the days of a run, with what was observed."""
    return RunoffRecord.from_dataset(run, case.gages["discharge"], given=GIVEN, signals=SIGNALS)


def reference(out: Path) -> xr.Dataset:
    """Return the coupled run without a learned exchange, from a file if it is there."""
    path = out / "prms.nc"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        water(coupled_run()).to_netcdf(path)
    return xr.load_dataset(path)


def folder_of(out: Path, variant: str, seed: int) -> Path:
    """Return the run directory of a training."""
    return out / f"{variant.replace(' ', '-')}-{seed}"


def train(out: Path, variants: Sequence[str], seed: int) -> None:
    """Train on 1979."""
    run, case = reference(out), make_case()
    for variant in variants:
        coupler = trained(folder_of(out, variant, seed), run, case, variant, seed)
        print(f"{variant}, seed {seed}: {coupler.network.size} weights", flush=True)


def trained(
    folder: Path,
    run: xr.Dataset,
    case: Case,
    variant: str,
    seed: int,
    left_out: np.ndarray | bool = False,
) -> RunoffCoupler:
    """Return an exchange trained on 1979, but for its first days and some that are left out."""
    coupler = make_coupler(case, variant, seed)
    plan = PLAN
    if variant == "offsets alone":
        plan = dataclasses.replace(PLAN, iterations=PLAN.silent)
    train_on_discharge(
        coupler,
        make_record(run.isel(time=slice(0, DAYS)), case),
        case.place.routing.at(case.gages["gage_segment"].values, tolerance=1e-4),
        plan,
        days=(np.arange(DAYS) >= FIRST_DAY) & ~np.asarray(left_out),
        gages=split(case.gages.sizes["gage"])[0],
        directory=folder,
        resume=True,
        seed=seed,
    )
    return coupler


def out_of_bag(out: Path) -> xr.Dataset:
    """Return observed and simulated discharge [m3 s-1], (gage, time), as the script says."""
    run, case = reference(out), make_case()
    part = np.arange(DAYS) // BLOCK % FOLDS
    at_gages, sums = case.gages["gage_segment"].values, []
    for fold in range(FOLDS):
        flows = []
        for seed in range(SEEDS):
            folder = out / f"without-{fold}-{seed}"
            coupler = trained(folder, run, case, "full", FOLDS * seed + fold, part == fold)
            flows.append(simulate(coupler, run, case)[:, at_gages])
        sums.append(np.mean(flows, axis=0))
    simulated = np.mean(sums, axis=0)
    for fold, mean in enumerate(sums):
        simulated[:DAYS][part == fold] = mean[:DAYS][part == fold]
    pair = case.gages[["discharge"]].rename(discharge="observed").transpose("gage", "time")
    return pair.assign(simulated=pair["observed"].copy(data=simulated.T))


def load(out: Path, case: Case, variant: str, seed: int) -> RunoffCoupler:
    """Return a trained exchange."""
    made = make_coupler(case, variant, seed)
    path = folder_of(out, variant, seed) / "coupler.safetensors"
    return RunoffCoupler.load(path, made.graph, case.place.drains.shares, static=case.place.static)


def simulate(coupler: RunoffCoupler, run: xr.Dataset, case: Case) -> np.ndarray:
    """Return discharge of all segments [m3 s-1], shape (day, segment)."""
    record = make_record(run, case)
    with torch.no_grad():
        done, _ = coupler(record.given, record.signals)
        return case.place.routing.route(coupler.arriving(done.leaving)).discharge.numpy()


def medians(flow: np.ndarray, case: Case, days: slice) -> dict[str, float]:
    """Return medians of NSE and KGE at all gages, those of the training and those held out."""
    observed = case.gages["discharge"].isel(time=days)
    at_gages = flow[days][:, case.gages["gage_segment"].values]
    simulated = observed.copy(data=at_gages.T)
    trained, held = split(case.gages.sizes["gage"])
    found = {}
    for name, which in (("all", slice(None)), ("trained", trained), ("held out", held)):
        for score in (scores.nse, scores.kge):
            values = score(simulated, observed).values[which]
            found[f"{score.__name__.upper()} {name}"] = round(float(np.median(values)), 3)
    return found


def table(out: Path) -> pd.DataFrame:
    """Return the medians of all trainings that are there, over 1980 and over 1979."""
    run, case, rows = reference(out), make_case(), {}
    years = {"1980": slice(DAYS, 731), "1979": slice(FIRST_DAY, DAYS)}
    flows = {("baseline", 0): run[DISCHARGE].values}
    for variant in VARIANTS:
        for seed in range(10):
            if (folder_of(out, variant, seed) / "coupler.safetensors").is_file():
                flows[variant, seed] = simulate(load(out, case, variant, seed), run, case)
    members = [flow for (variant, _), flow in flows.items() if variant == "full"]
    if len(members) > 1:
        flows["mean of full", 0] = np.mean(members, axis=0)
    for (variant, seed), flow in flows.items():
        for year, days in years.items():
            rows[variant, seed, year] = medians(flow, case, days)
    return pd.DataFrame(rows).T


def live(out: Path) -> None:
    """Run the trained exchange in a coupled run, and compare it with what the training saw."""
    run, case = reference(out), make_case()
    coupler = load(out, case, "full", 0)
    expected = simulate(coupler, run, case)
    model = coupled_run(coupler)
    flow = model.output("channel")[DISCHARGE].values
    ledger = model.ledger()
    wet = expected.max(axis=0) > 0.0  # no land drains to the others
    error = (np.abs(flow - expected).max(axis=0) / np.where(wet, expected.max(axis=0), 1.0))[wet]
    print(f"largest difference of discharge, relative to the peak of a segment: {error.max():.1e}")
    throughput = abs(ledger["boundary_flux"]).sum("flux") + abs(ledger["storage"]).sum("component")
    print(f"largest residual of a day: {float((abs(ledger['residual']) / throughput).max()):.1e}")
    whole = float(abs(ledger["total_residual"]) / ledger["total_inflow"].sum())
    print(f"residual of the whole run, relative to what came in: {whole:.1e}")
    area = case.place.graph["land"].measure.numpy()
    unobserved = float((model.output("runoff")["unobserved_flux"].values @ area).sum())
    given = float(sum((run[name].values @ area).sum() for name in GIVEN))
    print(f"unobserved flux: {unobserved / given:+.1%} of what land gave")
    print(pd.Series(medians(flow, case, slice(DAYS, 731))).to_string())


def release(out: Path, path: Path) -> None:
    """Write the weights to ship and their card: what they learned from, how good they are."""
    case, run = make_case(), reference(out)
    coupler = load(out, case, "full", 0)
    coupler.save(path)
    test = slice(DAYS, 731)
    rows = {"without": run[DISCHARGE].values, "with": simulate(coupler, run, case)}
    errors = pd.DataFrame({name: medians(flow, case, test) for name, flow in rows.items()}).T
    errors.insert(0, "learned exchange", errors.index)
    held = case.gages["gage"].values[split(case.gages.sizes["gage"])[1]]
    write_card(
        path,
        title="Runoff of the Delaware, from PRMS's land to its rivers",
        text=CARD,
        data={
            "script": "benchmarks/mgn_delaware.py",
            "source": "pywatershed data/drb_2yr (U.S. Geological Survey, CC0)",
            "days": "1979-01-21 to 1979-12-31",
            "gages": case.gages.sizes["gage"] - len(held),
            "held_out": [str(gage) for gage in held],
            "record": make_record(run.isel(time=slice(0, DAYS)), case).digest(),
            "seed": 0,
            "schooling": {k: v for k, v in dataclasses.asdict(PLAN).items() if k != "loss"},
        },
        errors=errors,
    )
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train", "table", "live", "simulate", "release"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", default="full", choices=["all", *VARIANTS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, default=FOLDER / f"{WEIGHTS}.safetensors")
    arguments = parser.parse_args()
    if arguments.what == "train":
        wanted = list(VARIANTS) if arguments.variant == "all" else [arguments.variant]
        train(arguments.out, wanted, arguments.seed)
    elif arguments.what == "table":
        pd.set_option("display.width", 200)
        print(table(arguments.out).to_string())
    elif arguments.what == "live":
        live(arguments.out)
    elif arguments.what == "simulate":
        write_netcdf(out_of_bag(arguments.out), arguments.out / "simulated.nc")
    else:
        release(arguments.out, arguments.weights)
