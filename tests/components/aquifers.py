"""Write simulations of MODFLOW 6 with flopy, and run them with the program ``mf6``, for tests.

    python aquifers.py FOLDER [PROGRAM]

Each folder that a name of `SIMULATIONS` gets has the files of a simulation and, if a program is
given and can run it, ``heads.npy``: the heads that the program wrote, of shape (step, cell).
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS, COLUMNS = 6, 8
CELLS = [(i, j) for i in range(ROWS) for j in range(COLUMNS)]
PERIODS = [(10.0, 10, 1.0), (20.0, 10, 1.2)]  # d; the first ten steps are of a day


def recharge(period):
    """Recharge of the cells [m d-1], which varies from period to period."""
    return [1e-3 * (1 + 3 * period)] * len(CELLS)


def lists(*, periods=2, cells=CELLS):
    return {
        k: [((0, *c), r) for c, r in zip(CELLS, recharge(k), strict=True) if c in cells]
        for k in range(periods)
    }


def aquifer(folder, *, units="days", per_day=1.0, periods=PERIODS, newton=True, layers=1, **more):
    """Write a square aquifer with recharge and a drain."""
    import flopy.mf6 as mf6

    s = mf6.MFSimulation(sim_name="s", sim_ws=str(folder), exe_name="mf6")
    spans = [(span * per_day, n, growth) for span, n, growth in periods]
    mf6.ModflowTdis(s, nper=len(spans), perioddata=spans, time_units=units)
    mf6.ModflowIms(
        s,
        outer_dvclose=1e-9,
        inner_dvclose=1e-10,
        rcloserecord="1e-9 strict",
        outer_maximum=more.get("passes", 100),
        inner_maximum=200,
        linear_acceleration="bicgstab",
    )
    g = mf6.ModflowGwf(s, modelname="aquifer", newtonoptions="newton" if newton else None)
    shape = {"nlay": layers, "top": 10.0, "length_units": "meters", "idomain": more.get("active")}
    if more.get("polygons"):
        nodes = [(j * 100.0, i * 100.0) for i in range(ROWS + 1) for j in range(COLUMNS + 1)]
        corners = [[k, k + COLUMNS + 1, k + COLUMNS + 2, k + 1] for k in range(len(nodes))]
        mf6.ModflowGwfdisv(
            g,
            **shape,
            botm=[[0.0] * len(CELLS)],
            ncpl=len(CELLS),
            nvert=len(nodes),
            vertices=[(k, *xy) for k, xy in enumerate(nodes)],
            cell2d=[
                (n, j * 100.0 + 50, i * 100.0 + 50, 4, *corners[i * (COLUMNS + 1) + j])
                for n, (i, j) in enumerate(CELLS)
            ],
        )
    else:
        botm = [-10.0 * k for k in range(layers)]
        mf6.ModflowGwfdis(g, **shape, nrow=ROWS, ncol=COLUMNS, delr=100.0, delc=100.0, botm=botm)
    mf6.ModflowGwfic(g, strt=more.get("start", 6.0))
    mf6.ModflowGwfnpf(g, icelltype=1, k=10.0 / per_day)
    ss = 0.0 if more.get("beds") else 1e-5
    mf6.ModflowGwfsto(g, iconvert=1, ss=ss, sy=0.15, transient={0: True})
    if more.get("beds"):
        mf6.ModflowGwfcsub(g, ninterbeds=0, cg_ske_cr=1e-5, cg_theta=0.3, sgm=1.7, sgs=2.0)

    def cell(i, j):
        return (0, i * COLUMNS + j) if more.get("polygons") else (0, i, j)

    if more.get("drain", True):
        drains = [(cell(ROWS - 1, j), 5.0, 200.0 / per_day) for j in range(COLUMNS)]
        mover = more.get("mover")
        mf6.ModflowGwfdrn(g, pname="drn", stress_period_data=drains, mover=mover)
    rain = more.get("recharge", lists())
    mf6.ModflowGwfrch(
        g,
        pname="rch",
        maxbound=len(CELLS),
        auxiliary=["share"] if more.get("share") else None,
        auxmultname="share" if more.get("share") else None,
        stress_period_data={
            k: [
                (cell(*at[1:]), rate / per_day, *((0.5,) if more.get("share") else ()))
                for at, rate in entries
            ]
            for k, entries in rain.items()
        },
    )
    mf6.ModflowGwfoc(g, head_filerecord="heads.hds", saverecord=[("HEAD", "ALL")])
    return s, g


def packages(folder):
    """Two layers with an inactive column, fixed heads, wells, rivers, plants and a mover."""
    import flopy.mf6 as mf6

    active = np.ones((2, ROWS, COLUMNS), int)
    active[:, 0, 0] = 0
    rain = {k: v for k, v in lists(cells=CELLS[1:]).items()}
    s, g = aquifer(folder, layers=2, active=active, recharge=rain, mover=True)
    edge = [((0, i, 0), 6.0) for i in range(1, ROWS)]
    mf6.ModflowGwfchd(g, pname="chd", stress_period_data=edge)
    mf6.ModflowGwfghb(g, pname="ghb", stress_period_data=[((1, 2, 7), 5.0, 10.0)])
    some, more = [((1, 3, 3), -50.0), ((1, 2, 2), -20.0)], [((1, 3, 3), -80.0)]
    mf6.ModflowGwfwel(g, pname="wel", maxbound=2, stress_period_data={0: some, 1: more})
    rivers = [((0, 4, j), 5.5, 20.0, 4.0) for j in range(2, 6)]
    mf6.ModflowGwfriv(g, pname="riv", stress_period_data=rivers)
    plants = [((0, 2, j), 8.0, 2e-3, 5.0) for j in range(1, COLUMNS)]
    mf6.ModflowGwfevt(g, pname="evt", nseg=1, surf_rate_specified=False, stress_period_data=plants)
    mf6.ModflowGwfmaw(
        g,
        pname="maw",
        packagedata=[(0, 0.1, -10.0, 6.0, "thiem", 2)],
        connectiondata=[
            (0, 0, (0, 1, 4), 10.0, 0.0, 1.0, 0.1),
            (0, 1, (1, 1, 4), 0.0, -10.0, 1.0, 0.1),
        ],
        perioddata=[(0, "rate", -30.0)],
    )
    bed = (100.0, 5.0, 0.001, 5.0, 1.0, 0.1, 0.03)
    mf6.ModflowGwfsfr(
        g,
        pname="sfr",
        mover=True,
        length_conversion=1.0,
        time_conversion=86400.0,
        nreaches=1,
        packagedata=[(0, (0, 0, 1), *bed, 0, 1.0, 0)],
        connectiondata=[(0,)],
    )
    mf6.ModflowGwfmvr(
        g,
        maxmvr=1,
        maxpackages=2,
        packages=[("drn",), ("sfr",)],
        perioddata=[("drn", 3, "sfr", 0, "factor", 0.7)],
    )
    return s, g


def two_models(folder):
    """Two flow models side by side."""
    import flopy.mf6 as mf6

    s, _ = aquifer(folder)
    g = mf6.ModflowGwf(s, modelname="east", newtonoptions="newton")
    mf6.ModflowGwfdis(g, length_units="meters", nrow=ROWS, ncol=1, top=10.0, botm=[0.0])
    mf6.ModflowGwfic(g, strt=7.0)
    mf6.ModflowGwfnpf(g, icelltype=1, k=5.0)
    side = [((0, i, COLUMNS - 1), (0, i, 0), 1, 50.0, 50.0, 100.0) for i in range(ROWS)]
    mf6.ModflowGwfgwf(
        s,
        exgtype="GWF6-GWF6",
        exgmnamea="aquifer",
        exgmnameb="east",
        nexg=ROWS,
        exchangedata=side,
    )
    s.register_ims_package(s.get_package("ims_-1"), ["aquifer", "east"])
    return s, g


def adaptive(folder):
    """Time steps that MODFLOW chooses."""
    s, g = aquifer(folder)
    s.tdis.ats.initialize(maxats=1, perioddata=[(1, 0.5, 0.1, 2.0, 2.0, 5.0)])
    return s, g


SIMULATIONS = {
    "days": aquifer,
    "hours": lambda f: aquifer(f, units="hours", per_day=24.0),
    "seconds": lambda f: aquifer(f, units="seconds", per_day=86400.0),
    "polygons": lambda f: aquifer(f, polygons=True),
    "packages": packages,
    "drying": lambda f: aquifer(f, newton=False, layers=2, start=-5.0, drain=False),
    "share": lambda f: aquifer(f, share=True),
    "other cells": lambda f: aquifer(f, recharge={0: lists()[0], 1: lists()[1][:6]}),
    "one pass": lambda f: aquifer(f, passes=1),
    "beds": lambda f: aquifer(f, beds=True),
    "two models": two_models,
    "adaptive": adaptive,
    "no length": lambda f: aquifer(f, periods=[(0.0, 1, 1.0), PERIODS[1]]),
}


def main(folder, program=None):
    from flopy.utils import HeadFile

    for name, write in SIMULATIONS.items():
        place = folder / name
        simulation, _ = write(place)
        simulation.write_simulation(silent=True)
        if program is None:
            continue
        done = subprocess.run([program], cwd=place, capture_output=True, check=False)
        if done.returncode == 0:
            heads = HeadFile(place / "heads.hds").get_alldata()
            np.save(place / "heads.npy", heads.reshape(len(heads), -1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
