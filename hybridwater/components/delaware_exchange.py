"""The land and rivers of the Delaware, as a learned exchange between them sees these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.meshes import Remap, RiverNetwork, basin_map, column_mesh

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from hybridwater.mgn import MuskingumRouting, RunoffCoupler

GIVEN = {
    "surface_runoff_flux": True,
    "subsurface_runoff_flux": True,
    "groundwater_discharge_flux": False,
}
"""Fluxes that PRMS gives to its channel, and whether each is quick."""

LAND_SIGNALS = (
    "precipitation_flux",
    "water_evapotranspiration_flux",
    "groundwater_recharge_flux",
    "surface_snow_amount",
    "surface_water_amount",
    "mass_content_of_water_in_soil",
)
SIGNALS = {
    name: "kg m-2 d-1" if name.endswith("_flux") else "kg m-2"
    for name in (*GIVEN, *LAND_SIGNALS, "groundwater_amount")
}
"""What the network reads of each HRU, and its unit."""

STATIC = (
    "impervious_frac",
    "slope",
    "elevation",
    "forest_frac",
    "cover_summer",
    "sand_frac",
    "clay_frac",
    "depression_frac",
)
"""Features of HRUs: none of them was calibrated on discharge."""

WEIGHTS = "delaware-runoff"
"""Weights that come with the package, trained on 1979 by ``benchmarks/mgn_delaware.py``."""

_LAKE = 2
_FLATTEST = 1e-5


@dataclass(frozen=True, eq=False)
class DelawarePlace:
    """Where the exchange is.

    Attributes
    ----------
    graph : torch_geometric.data.HeteroData
        Of 765 HRUs (``land``) and 456 segments (``river``).
    drains : Remap
        From HRUs to the segments that they drain to.
    static : dict
        Features of both.
    routing : MuskingumRouting
        Equal to PRMS's channel.
    """

    graph: HeteroData
    drains: Remap
    static: dict[str, dict[str, np.ndarray]]
    routing: MuskingumRouting


def delaware_place() -> DelawarePlace:
    """Make the meshes, the graph and the routing of the Delaware.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    from hybridwater.data import delaware_parameters, read_delaware
    from hybridwater.mgn import MuskingumRouting, make_graph

    data = read_delaware()
    hrus, segments = data.forcing, {n: v.values for n, v in data.structure.data_vars.items()}
    areas = hrus["area"].values * 1e6
    points = np.stack([hrus["longitude"].values, hrus["latitude"].values], axis=1)
    reach, count = segments["hru_segment"], len(segments["downstream"])
    inside = reach >= 0
    drained = np.bincount(reach[inside], areas[inside], count)
    sums = [np.bincount(reach[inside], (areas * x)[inside], count) for x in points.T]
    # Where no land drains directly into a segment, its place is not known.
    middle = np.stack(sums, axis=1) / np.where(drained > 0.0, drained, np.nan)[:, None]
    land = column_mesh(areas, points, name="land")
    river = RiverNetwork(
        segments["downstream"], segments["length"], areas=drained, points=middle, name="river"
    )
    drains = basin_map(land, river, reach)
    graph = make_graph(
        {"land": land, "river": river},
        links={("land", "river"): drains},
        elevations={"land": hrus["elevation"].values, "river": segments["elevation"]},
        isolated=True,
    )
    static = {
        "land": {name: hrus[name].values for name in STATIC},
        "river": {"log_slope": np.log10(np.maximum(segments["slope"], _FLATTEST))},
    }
    routing = MuskingumRouting.manning(
        river,
        roughness=segments["roughness"],
        slope=segments["slope"],
        depth=segments["depth"],
        weighting=segments["muskingum_x"],
        lakes=delaware_parameters()["segment_type"].values == _LAKE,
    )
    return DelawarePlace(graph, drains, static, routing)


def untrained_coupler(place: DelawarePlace, **choices: Any) -> RunoffCoupler:
    """Return an exchange from PRMS's land and groundwater to its channel that learned nothing yet.

    Parameters
    ----------
    place : DelawarePlace
        Where it is.
    **choices
        Of `RunoffCoupler.of`.

    Raises
    ------
    SettingsError
        If a choice is not possible.
    """
    from hybridwater.mgn import RunoffCoupler

    return RunoffCoupler.of(
        place.graph,
        place.drains.shares,
        given=GIVEN,
        signals=SIGNALS,
        static=place.static,
        **choices,
    )


def delaware_coupler(weights: str | Path = WEIGHTS) -> RunoffCoupler:
    """Return the trained exchange from PRMS's land and groundwater to its channel.

    Parameters
    ----------
    weights : str or path-like
        A file, or the name of weights that come with the package.

    Raises
    ------
    WeightsError
        If there are no such weights, or they are of something else.
    MissingDependency
        If pywatershed is not installed.
    """
    from hybridwater.mgn import RunoffCoupler
    from hybridwater.mgn.released import find_weights

    place = delaware_place()
    return RunoffCoupler.load(
        find_weights(weights), place.graph, place.drains.shares, static=place.static
    )
