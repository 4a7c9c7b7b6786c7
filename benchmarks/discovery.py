"""Laws found again, and laws found: what the search for equations does where the truth is known.

    python benchmarks/discovery.py lotka-volterra     (Rackauckas et al. 2020, arXiv:2001.04385)
    python benchmarks/discovery.py exp-hydro          (laws of EXP-Hydro, weather of 10 basins)
    python benchmarks/discovery.py catchments         (measured discharge of 5 basins)
    python benchmarks/discovery.py noise

May be interrupted and started again: what is there is not computed again. The second and third
need the data folder (``HYBRIDWATER_DATA``).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hybridwater as hw
from hybridwater.discovery import Front, discover, replacements, search_term
from hybridwater.errors import DataError
from hybridwater.training import Stage
from hybridwater.ude import UDE

TRAIN, TEST = ("1985-10-01", "1990-09-30"), ("2000-10-01", "2010-09-30")
VALIDATION = ("1990-10-01", "1993-09-30")
CATCHMENTS = ["01022500", "03015500", "03604000", "11475560", "14166500"]
#: Errors of the made records grow with the numbers, and equations are fitted as that asks for.
RELATIVE = {"loss": "log_nse"}
NOISE = {"lotka-volterra": 0.01, "exp-hydro": 0.05}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=tuple(_STUDIES))
    parser.add_argument("--out", type=Path, default=Path("runs/discovery"))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(10), help="of the noise")
    parser.add_argument("--basins", nargs="+", help="others than those of the study")
    parser.add_argument("--fits", type=int, default=3, help="fits of an ensemble")
    args = parser.parse_args()
    table = pd.DataFrame(_STUDIES[args.what](args)).set_index("case")
    print(table.to_string(float_format=lambda v: f"{v:.4g}"))
    flags = [c for c in table if table[c].map(lambda v: isinstance(v, bool | np.bool_)).all()]
    for flag in flags:
        print(f"{flag}: {int(table[flag].sum())} of {len(table)}")


def kept(path: Path, make: Callable[[], dict]) -> dict:
    """Read a result, or make and write it."""
    if not path.is_file():
        result = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(result, indent=1))
        part.replace(path)
        print(path.stem, result, flush=True)
    return json.loads(path.read_text())


def forms(front: Front) -> str:
    """Name the recommended equation by the forms in it."""
    return "none" if front.chosen is None else front.proposals[front.chosen].form


def lotka_volterra_model(prey: float = 4, predators: float = 5, scale: float = 1) -> UDE:
    """Return the model of Rackauckas et al. (2020): growth known, interactions unknown.

    The arguments are the largest numbers that the networks are made for, and the size of what they
    say.
    """

    @hw.model
    def lotka_volterra(m: hw.Declaration) -> None:
        birth, death = m.constant("birth", 1.3, "d-1"), m.constant("death", 1.8, "d-1")
        x0 = m.parameter("prey0", "1", (0.2, 1), 0.45)
        y0 = m.parameter("predators0", "1", (2, 10), 4.6)
        x, y = m.state("prey", "1", initial=x0), m.state("predators", "1", initial=y0)
        seen = {x: (0, prey), y: (0, predators)}
        eaten = m.network("eaten", seen, "d-1", hidden=(8, 8), scale=scale)
        born = m.network("born", seen, "d-1", hidden=(8, 8), scale=scale)
        m.flux("seen_prey", 1 * x, "1")
        m.flux("seen_predators", 1 * y, "1")
        m.derivative(x, birth * x - eaten)
        m.derivative(y, born - death * y)

    return lotka_volterra


def lotka_volterra_truth(days: int) -> np.ndarray:
    """Return prey and predators ten times a day, shape (2, time)."""
    from scipy.integrate import solve_ivp

    def rate(_: float, u: np.ndarray) -> list[float]:
        return [1.3 * u[0] - 0.9 * u[0] * u[1], 0.8 * u[0] * u[1] - 1.8 * u[1]]

    t, begin = np.arange(10 * days + 1) / 10, [0.44249296, 4.6280594]
    return solve_ivp(rate, (0, days), begin, t_eval=t, rtol=1e-10, atol=1e-10).y


def lotka_volterra_data(seed: int, days: int = 3) -> xr.Dataset:
    """Return ten observations a day of both species, with 1 % noise."""
    exact = lotka_volterra_truth(days)
    rng = np.random.default_rng(seed)
    seen = exact * (1 + NOISE["lotka-volterra"] * rng.standard_normal(exact.shape))
    time = pd.date_range("2000-01-01", periods=exact.shape[1], freq="144min")
    names = ("seen_prey", "seen_predators")
    values = {n: ("time", v, {"units": "1"}) for n, v in zip(names, seen, strict=True)}
    return xr.Dataset(values, {"time": time})


def lotka_volterra(args: argparse.Namespace) -> list[dict]:
    observed = {n: n for n in ("seen_prey", "seen_predators")}
    common = {
        "observed": observed,
        "train": slice(None),
        "warmup": 0,
        "loss": "mse",
        "substeps": 4,
        "output": "instantaneous",
        "show_progress": False,
    }
    schedule = (
        Stage("joint", 300, 0.02, 0.02),
        Stage("joint", 200, 0.005, 0.005),
        Stage("joint", 300, optimiser="lbfgs"),
    )

    def run(seed: int) -> dict:
        data = lotka_volterra_data(seed)
        folder = args.out / "lotka_volterra"
        fits = [
            hw.fit(
                lotka_volterra_model(),
                data,
                schedule=schedule,
                seed=k,
                directory=folder / f"noise{seed}_fit{k}",
                resume=True,
                **common,
            )
            for k in range(args.fits)
        ]
        fronts = {name: discover(fits, name, data) for name in ("eaten", "born")}
        result: dict = {"case": f"noise {seed}"}
        result |= {f"{name} of the network": forms(front) for name, front in fronts.items()}
        found = hw.compare(
            replacements(fits[0], fronts, each=4),
            data,
            schedule=(Stage("joint", 40, optimiser="lm"),),
            **common | RELATIVE,
        )
        numbers = dict(part.split() for part in found.preferred.split(", "))
        for name, front in fronts.items():
            result[name] = front.proposal(int(numbers[name])).form
        law = "proportional(prey) proportional(predators)"
        result["form"] = right = all(result[name] == law for name in fronts)
        values = {}
        if right:
            fitted = found.fits[found.preferred].parameters
            values = {name: float(fitted[f"{name}_factor"][0]) for name in fronts}
        result["eaten (0.9)"] = values.get("eaten", np.nan)
        result["born (0.8)"] = values.get("born", np.nan)
        result["within 5 %"] = bool(
            right and abs(values["eaten"] / 0.9 - 1) < 0.05 and abs(values["born"] / 0.8 - 1) < 0.05
        )
        return result

    folder = args.out / "lotka_volterra"
    return [kept(folder / f"noise{s}.json", lambda s=s: run(s)) for s in args.seeds]


def folder_of_data() -> Path:
    return Path(os.environ.get("HYBRIDWATER_DATA", "../shared/data")) / "camels_us"


#: Term to (what the hybrid begins with, inputs of the network, its physics, the law).
TERMS = {
    "et": (
        "pet * soil / (soil + smax)",
        {"soil": (0, 1500), "pet": (0, 8)},
        {"positive": True, "scale": 2.0, "monotone": {"soil": 1, "pet": 1}},
        ("capped(soil) proportional(pet)", "proportional(soil) proportional(pet)"),
    ),
    "q_base": (
        "qmax * (soil / smax)**2",
        {"soil": (0, 1500)},
        {"positive": "exp", "scale": 1.0, "monotone": {"soil": 1}},
        ("exponential growth(soil)", "capped exponential growth(soil)"),
    ),
}


def exp_hydro_data(basins: Sequence[str] | None = None) -> xr.Dataset:
    """Return the weather of basins, of 10 if left out, and discharge of EXP-Hydro with noise."""
    data = hw.data.read_camels_netcdf(folder_of_data() / "camels_core_daily.nc", attributes=())
    table = pd.read_csv(folder_of_data() / "exphydro_reference.csv", dtype={"gauge_id": str})
    table = table.set_index("gauge_id")
    chosen = basins or [b for b in map(str, data["basin"].values) if b in table.index][:10]
    data = data.sel(basin=chosen)[["prcp", "tmean", "dayl"]]
    published = table.loc[chosen]
    columns = {"snow0": "S0", "soil0": "S1", "tmin": "Tmin", "df": "Df", "tmax": "Tmax"}
    columns |= {"f": "f", "smax": "Smax", "qmax": "Qmax"}
    truth = hw.models.exp_hydro()
    values = {
        p: published[c].to_numpy().clip(*truth.parameter(p).bounds) for p, c in columns.items()
    }
    q = hw.simulate(truth, data, values, substeps=1)["q"]
    noise = NOISE["exp-hydro"] * np.random.default_rng(0).standard_normal(q.shape)
    return data.assign(qtrue=q, qobs=(q * (1 + noise)).assign_attrs(units="mm d-1"))


def hybrid(base: UDE, term: str) -> UDE:
    wrong, inputs, physics, _ = TERMS[term]
    return base.replace(term, wrong).learn(
        term, inputs, hidden=(12, 12), zero_when_empty="soil", **physics
    )


def exp_hydro(args: argparse.Namespace) -> list[dict]:
    data, rows = exp_hydro_data(args.basins), []
    common = {"observed": {"q": "qobs"}, "train": TRAIN, "test": TEST, "substeps": 1}
    common |= {"show_progress": False}
    schedule = (
        Stage("skeleton", 100, 0.08),
        Stage("pretrain", 200, network_rate=0.02),
        Stage("joint", 150, 0.02, 0.01),
        Stage("joint", 100, 0.005, 0.003),
    )
    for term, (*_, laws) in TERMS.items():
        folder = args.out / "exp_hydro"
        fits = []
        for seed in range(args.fits):
            fits.append(
                hw.fit(
                    hybrid(hw.models.exp_hydro(), term),
                    data,
                    schedule=schedule,
                    seed=seed,
                    directory=folder / f"{term}_{seed}",
                    resume=True,
                    **common,
                )
            )

        def run(
            basin: str,
            term: str = term,
            fits: list = fits,
            laws: tuple = laws,
            folder: Path = folder,
        ) -> dict:
            records = data.sel(basin=[basin])
            order = sorted(fits, key=lambda f: -_nse(f, records, "train"))
            part = slice(*TEST)
            seen, truth = (records[n].sel(time=part) for n in ("qobs", "qtrue"))
            result: dict = {"case": f"{term} {basin}"}
            result["NSE truth"] = hw.scores.nse(truth, seen).item()
            result["NSE network"] = _nse(order[0], records, "test")
            try:
                front = discover(order, term, data, basin=basin)
            except DataError as error:  # the network has learned nothing that could be searched
                nothing = {"of the network": "none", "found": error.what, "operations": 0}
                missed = {"form": False, "NSE equation": np.nan, "within 0.01": False}
                return result | nothing | missed
            result["of the network"] = forms(front)
            found = hw.compare(
                replacements(order[0], {term: front}, each=6, basin=basin),
                records,
                schedule=(Stage("joint", 40, optimiser="lm"),),
                restarts=4,
                **common | RELATIVE,
            )
            proposal = front.proposal(int(found.preferred.split()[1]))
            result["found"], result["operations"] = proposal.form, proposal.operations
            result["form"] = proposal.form in laws
            result["NSE equation"] = float(found.table.loc[found.preferred, "NSE test"])
            result["within 0.01"] = bool(result["NSE equation"] > result["NSE truth"] - 0.01)
            return result

        rows += [
            kept(folder / f"{term}_{b}.json", lambda b=str(b), run=run: run(b))
            for b in data["basin"].values
        ]
    return rows


def _nse(fit: hw.Surrogate, data: xr.Dataset, period: str) -> float:
    model = "hybrid" if fit.ude.networks else "model"
    runs = {model: fit.simulate(data)}
    return float(fit.scores(data, period, simulations=runs)["NSE"].iloc[0])


def catchments(args: argparse.Namespace) -> list[dict]:
    """EXP-Hydro with learned discharge on measured records, and with an equation in its place.

    Equations of the front are fitted to discharge; the one with the largest NSE in the validation
    period is taken, and beside it the one that is preferred as a law. The test period is looked at
    last.
    """
    data = hw.data.read_camels_netcdf(folder_of_data() / "camels_core_daily.nc", attributes=())
    chosen = args.basins or CATCHMENTS
    data = data.sel(basin=chosen)
    folder = args.out / "catchments"
    common = {"observed": {"q": "qobs"}, "train": TRAIN, "validation": VALIDATION, "test": TEST}
    common |= {"substeps": 1, "show_progress": False}
    conceptual = hw.models.exp_hydro()
    learned = conceptual.learn(
        "q",
        {"soil": (0, 1500), "rainfall + melt": (0, 40)},
        hidden=(12, 12),
        positive="exp",
        zero_when_empty="soil",
        monotone={"soil": 1, "rainfall + melt": 1},
    )
    network = hw.fit(
        learned,
        data,
        schedule=(
            Stage("skeleton", 150, 0.05),
            Stage("pretrain", 200, network_rate=0.02),
            Stage("joint", 150, 0.01, 0.01),
            Stage("joint", 150, 0.004, 0.003),
        ),
        directory=folder / "network",
        resume=True,
        **common,
    )

    def run(basin: str) -> dict:
        records = data.sel(basin=[basin])
        skill = network.scores(records)["NSE"].xs("test", level="period").droplevel("basin")
        front = discover(network, "q", records)
        found = hw.compare(
            replacements(network, {"q": front}, each=len(front) + len(front.rivals), basin=basin),
            records,
            fronts={"q": front},
            schedule=(Stage("joint", 40, optimiser="lm"),),
            restarts=2,
            **common,
        )
        best = found.most_skilful
        proposal = front.proposal(int(best.split()[1]))
        result: dict = {"case": basin, "form": proposal.form, "operations": proposal.operations}
        result |= {"conceptual": skill["conceptual"], "network": skill["hybrid"]}
        result["equation"] = float(found.table.loc[best, "NSE test"])
        result["preferred"] = float(found.table.loc[found.preferred, "NSE test"])
        gain = result["network"] - result["conceptual"]
        result["share of gain"] = (result["equation"] - result["conceptual"]) / gain
        wanted = result["conceptual"] + 0.95 * gain
        result["95 % of gain"] = bool(result["equation"] >= wanted)
        return result

    return [kept(folder / f"{b}.json", lambda b=b: run(b)) for b in chosen]


def noise(args: argparse.Namespace) -> list[dict]:
    """Targets that are nothing but noise, at inputs that a soil store and the weather visit."""
    rows = []
    model = hybrid(hw.models.exp_hydro(), "et")
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        day = np.arange(1000)
        soil = 300 + 200 * np.sin(day / 60) + np.cumsum(rng.normal(0, 4, 1000))
        pet = 2 - 1.8 * np.cos(2 * np.pi * day / 365) + 0.3 * rng.random(1000)
        term = xr.Dataset(
            {"learned": ("sample", rng.gamma(2.0, 1.0, 1000), {"units": "mm d-1"})},
            {
                "soil": ("sample", soil.clip(5), {"units": "mm"}),
                "pet": ("sample", pet, {"units": "mm d-1"}),
            },
        )
        front = search_term(model, "et", term)
        rows.append({"case": seed, "nothing recommended": front.recommended is None})
    return rows


_STUDIES = {
    "lotka-volterra": lotka_volterra,
    "exp-hydro": exp_hydro,
    "catchments": catchments,
    "noise": noise,
}


if __name__ == "__main__":
    main()
