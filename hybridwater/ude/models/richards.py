"""Water in a column of soil: the mixed form of Richards' equation in one dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import sympy

from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.functions import exp, maximum, minimum, symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.processes import hydraulics
from hybridwater.ude.staggered import above, below, column_sum, ends, lowermost, uppermost

_CARSEL = "Carsel and Parrish (1988), doi:10.1029/WR024i005p00755, loam"
HYDRAULICS = {"van_genuchten": hydraulics.van_genuchten, "gardner": hydraulics.gardner}


def richards(
    cells: int = 100,
    depth: float = 2000.0,
    *,
    hydraulic: Literal["van_genuchten", "gardner"] = "van_genuchten",
    upper: Literal["ponding", "head"] = "ponding",
    lower: Literal["free_drainage", "water_table"] = "free_drainage",
    roots: bool = False,
) -> UDE:
    r"""Return a column of soil in which water moves by Richards' equation.

    The state ``water`` is the water in each cell, in mm, and what leaves a cell through a face
    enters its neighbour: with :math:`\theta` = water / thickness,

    .. math:: \partial\theta/\partial t = -\partial q/\partial z, \qquad
              q = -K(\theta)\,(\partial h/\partial z - 1)

    on finite volumes, z downwards. This is the mixed form of Celia, Bouloutas and Zarba (1990),
    doi:10.1029/WR026i007p01483, eq. 3, solved for the water content, of which the head h is a
    function in dry and, by the specific storage, in saturated soil: water is conserved by every
    method, and a water table may rise and fall in the column. The conductivity at a face is the
    mean of those of both cells.

    Parameters
    ----------
    cells : int
        Number of cells.
    depth : float
        Depth of the column in mm.
    hydraulic : {"van_genuchten", "gardner"}
        Hydraulic properties, see :mod:`hybridwater.ude.processes.hydraulics`.
    upper : {"ponding", "head"}
        Forcing ``prcp``, of which the soil takes up what it can; the rest stands in the store
        ``pond`` up to ``pond_max`` and then becomes ``runoff``. Or a constant head at the surface,
        the parameter ``surface_head``.
    lower : {"free_drainage", "water_table"}
        Outflow under gravity alone; or a water table at the depth ``water_table`` below the surface
        (deeper than the column: hydrostatic between its bottom and the water table).
    roots : bool
        Whether plants take up water: forcing ``pet``, spread over an exponential root profile and
        reduced in dry soil (van Genuchten, 1987, S-shape).

    Returns
    -------
    UDE
        Fluxes ``theta``, ``saturation``, ``head``, ``relative_conductivity`` (cells), ``flux``
        (faces, downwards), ``infiltration``, ``drainage``, and ``runoff``, ``uptake``,
        ``transpiration`` where there are.
    """

    @model(name="richards")
    def declare(m: Declaration) -> None:
        """Richards' equation in one dimension, mixed form (Celia et al., 1990)."""
        soil = m.column("soil", depth / cells, "mm", count=cells, description="depth in the soil")

        def parameter(name, unit, bounds, default, description, citation="", log=False):
            return m.parameter(
                name,
                unit,
                bounds=bounds,
                default=default,
                log=log,
                citation=citation,
                description=description,
            )

        residual = parameter(
            "theta_r", "1", (0, 0.3), 0.078, "water content that does not move", _CARSEL
        )
        porosity = parameter("theta_s", "1", (0.3, 0.9), 0.43, "porosity", _CARSEL)
        ks = parameter(
            "ks", "mm d-1", (0.1, 2e4), 249.6, "conductivity of saturated soil", _CARSEL, True
        )
        relations = HYDRAULICS[hydraulic](m)
        elastic = m.constant(
            "specific_storage",
            1e-6,
            "mm-1",
            citation="Freeze and Cherry (1979), Groundwater, sect. 2.10",
            description="water released per unit of head by saturated soil",
        )
        water = m.state("water", "mm", initial=0.25 * depth / cells, on=soil)
        theta = m.flux("theta", water / soil.thickness, "1", "water content")
        filled = (theta - residual) / (porosity - residual)
        wet = m.flux(
            "saturation",
            minimum(maximum(filled, hydraulics.DRIEST), 1),
            "1",
            "effective saturation",
        )
        excess = maximum(filled - 1, 0) * (porosity - residual) / elastic
        head = m.flux("head", relations.head(wet) + excess, "mm", "pressure head")
        relative = m.flux(
            "relative_conductivity", relations.conductivity(wet), "1", "relative conductivity"
        )
        k = ks * relative

        def at_edge(outside: sympy.Expr) -> sympy.Expr:
            """Return the relative conductivity where a head is given."""
            return relations.conductivity(relations.saturation(outside))

        def capacity(surface: sympy.Expr, edge: sympy.Expr) -> sympy.Expr:
            """Return what the soil takes up under a head, of a relative conductivity ``edge``."""
            gradient = (surface - uppermost(head)) / uppermost(soil.distance) + 1
            return ks * (edge + uppermost(relative)) / 2 * gradient

        if upper == "ponding":
            rain = m.forcing("prcp", "mm d-1", "precipitation")
            pond = m.state("pond", "mm", description="water on the surface")
            pond_max = parameter("pond_max", "mm", (0, 1000), 10, "depth at which water runs off")
            fast = m.constant("surface_time", 1e-3, "d", description="time that free water takes")
            supply = rain + pond / fast
            taken = minimum(supply, capacity(maximum(pond, 0), sympy.Integer(1)))
            infiltration = m.flux("infiltration", taken, "mm d-1")
            runoff = m.flux("runoff", maximum(pond - pond_max, 0) / fast, "mm d-1")
            m.derivative(pond, rain - infiltration - runoff)
        else:
            surface = parameter("surface_head", "mm", (-1e6, 1e4), -100, "head at the surface")
            taken = capacity(surface, at_edge(surface))
            infiltration = m.flux("infiltration", taken, "mm d-1")
        if lower == "free_drainage":
            leaving = lowermost(k)
        else:
            bottom = m.constant("column_depth", depth, "mm", description="depth of the column")
            level = parameter(
                "water_table", "mm", (0, 1e6), depth, "depth of the water table below the surface"
            )
            given = bottom - level
            slope = (lowermost(head) - given) / lowermost(soil.distance) + 1
            leaving = ks * (at_edge(given) + lowermost(relative)) / 2 * slope
        drainage = m.flux("drainage", leaving, "mm d-1", "outflow at the bottom")
        inner = (above(k) + below(k)) / 2 * ((above(head) - below(head)) / soil.distance + 1)
        flux = m.flux("flux", ends(inner, infiltration, drainage), "mm d-1", "downward flux")
        balance = above(flux) - below(flux)
        if roots:
            balance -= _uptake(m, soil, head)
        m.derivative(water, balance)

    return declare


def _uptake(m: Declaration, soil, head: sympy.Symbol) -> sympy.Symbol:
    pet = m.forcing("pet", "mm d-1", "potential evapotranspiration")
    length = m.parameter(
        "root_length",
        "mm",
        bounds=(10, 5000),
        default=300,
        log=True,
        description="depth in which the density of roots falls to 1/e",
    )
    half = m.parameter(
        "half_suction",
        "mm",
        bounds=(1e3, 1e5),
        default=1e4,
        log=True,
        citation="van Genuchten (1987), USDA research report 121",
        description="suction that halves the uptake",
    )
    density = exp(-soil.depth / length) * soil.thickness
    stress = 1 / (1 + (maximum(-head, 0) / half) ** 3)
    uptake = m.flux("uptake", pet * density / column_sum(density) * stress, "mm d-1", "root uptake")
    m.flux("transpiration", column_sum(uptake), "mm d-1")
    return uptake


def richards_hybrid(cells: int = 100, hidden: tuple[int, ...] = (8, 8), **options) -> UDE:
    """Return the column with a learned closure: relative conductivity as a network of saturation.

    Positive over decades and increasing whatever the weights; Mualem's formula is its conceptual
    counterpart.

    Parameters
    ----------
    cells, **options
        As in :func:`richards`.
    hidden : tuple of int
        Widths of the hidden layers.
    """
    return richards(cells, **options).learn(
        "relative_conductivity",
        {"saturation": (0, 1)},
        hidden=hidden,
        positive="exp",
        monotone={"saturation": 1},
        scale=1e-2,
    )


def richards_water(
    ude: UDE, head: np.ndarray | float, parameters: Mapping[str, float] | None = None
) -> np.ndarray:
    """Return the states of a column of :func:`richards` at given heads: an initial state.

    Parameters
    ----------
    ude : UDE
        A model of :func:`richards` or :func:`richards_hybrid`.
    head : float or numpy.ndarray
        Pressure head in mm, one or one per cell.
    parameters : mapping of str to float, optional
        Values that differ from the defaults.

    Returns
    -------
    numpy.ndarray
        Shape (1, n_states), for ``hw.simulate(..., initial_state=...)``; the pond is empty.
    """
    values = {p.name: p.default for p in ude.parameters} | dict(parameters or {})
    entries = {name: symbol(name) for name in ("alpha", "n", "air_entry") if name in values}
    relations = (
        hydraulics.VanGenuchten(**entries) if "n" in values else hydraulics.Gardner(**entries)
    )
    column = ude.columns[0]
    h = symbol("head")
    numbers = {s: values[name] for name, s in entries.items()}
    saturation = sympy.lambdify(h, relations.saturation(h).subs(numbers), "numpy")
    heads = np.broadcast_to(np.asarray(head, float), (column.count,))
    excess = np.maximum(heads + values.get("air_entry", 0.0), 0.0)
    storage = next(c.value for c in ude.constants if c.name == "specific_storage")
    span = values["theta_s"] - values["theta_r"]
    theta = values["theta_r"] + span * saturation(heads) + storage * excess
    states = {"water": theta * np.array(column.thicknesses), "pond": np.zeros(1)}
    return np.concatenate([states[s.name] for s in ude.states])[None]
