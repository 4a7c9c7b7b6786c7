"""The all-learned end: stores whose every outflow is a neural network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy

from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE

#: Unit and typical range of the forcings that the package knows by name.
FORCINGS: dict[str, tuple[str, tuple[float, float]]] = {
    "prcp": ("mm d-1", (0, 40)),
    "tmean": ("degC", (-15, 30)),
    "tmin": ("degC", (-20, 25)),
    "tmax": ("degC", (-10, 35)),
    "dayl": ("h", (8, 16)),
    "srad": ("W m-2", (0, 350)),
    "vp": ("Pa", (0, 3000)),
    "pet": ("mm d-1", (0, 8)),
}


def neural_ode(
    forcings: Sequence[str] = ("prcp", "tmean", "dayl"),
    states: int = 1,
    hidden: tuple[int, ...] = (16, 16),
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> UDE:
    """Return a model of stores in series in which every flux is learned, but water is conserved.

    Rain enters ``store1``; a network ``flow_k`` moves water from each store to the next; networks
    ``et`` and ``q`` empty the last. With one store: ``d store1/dt = prcp - et - q``. Every network
    sees all stores and all forcings, is positive, and vanishes with the store that it empties.
    Source of the idea: Höge et al. (2022), doi:10.5194/hess-26-5085-2022, model M100.

    Parameters
    ----------
    forcings : sequence of str
        Names of forcings, ``"prcp"`` among them; the keys of :data:`FORCINGS` are known.
    states : int
        Number of stores, at least 1.
    hidden : tuple of int
        Widths of the hidden layers of every network.
    ranges : mapping of str to (float, float), optional
        Typical ranges that replace those of :data:`FORCINGS`; ``"store"`` [mm], (0, 500) if left
        out, is that of all stores.

    Raises
    ------
    DeclarationError
        If a forcing or range is not known, rain is missing, or there is no store.
    """
    ranges = {"store": (0.0, 500.0)} | dict(ranges or {})
    _check(forcings, states, ranges)

    @model(name="neural_ode")
    def declare(m: Declaration) -> None:
        """Learned fluxes between stores in series."""
        inputs: dict[sympy.Expr, tuple[float, float]] = {}
        stores = [m.state(f"store{k + 1}", "mm", initial=50) for k in range(states)]
        inputs |= dict.fromkeys(stores, ranges["store"])
        for name in forcings:
            unit, usual = FORCINGS[name]
            inputs[m.forcing(name, unit)] = ranges.get(name, usual)

        def learned(name: str, store: sympy.Symbol, positive: bool | str) -> sympy.Symbol:
            return m.network(
                name, inputs, "mm d-1", hidden=hidden, positive=positive, zero_when_empty=store
            )

        inflow = symbol("prcp")
        for k, store in enumerate(stores[:-1], start=1):
            flow = learned(f"flow{k}", store, True)
            m.derivative(store, inflow - flow)
            inflow = flow
        et = learned("et", stores[-1], True)
        q = learned("q", stores[-1], "exp")
        m.derivative(stores[-1], inflow - et - q)

    return declare


def _check(forcings: Sequence[str], states: int, ranges: Mapping[str, tuple[float, float]]) -> None:
    where = "neural_ode(...)"
    for name in forcings:
        if name not in FORCINGS:
            raise DeclarationError(
                f"The forcing '{name}' is not known ({nearest(name, FORCINGS)}).",
                where,
                "Declare the model with hybridwater.model to use other forcings",
            )
    for name in ranges:
        if name != "store" and name not in forcings:
            raise DeclarationError(
                f"The range of '{name}' is of no input ({nearest(name, [*forcings, 'store'])}).",
                where,
            )
    if "prcp" not in forcings:
        raise DeclarationError("The forcings have no 'prcp', so no water comes in.", where)
    if states < 1:
        raise DeclarationError(f"The number of stores is {states}.", where, "Use at least 1")
