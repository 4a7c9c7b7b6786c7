"""How a model shows itself: text for terminals, LaTeX for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridwater.ude.checks import symbols_in_equations
from hybridwater.ude.text import (
    escape_latex,
    expression_as_latex,
    name_as_latex,
    print_expression,
)

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE
    from hybridwater.ude.terms import Network


def as_text(ude: UDE) -> str:
    """Return the model as readable text: every name with its unit, every equation."""
    lines = [f"UDE '{ude.name}', time in {ude.time_unit}"]
    if ude.description:
        lines.append(f"  {ude.description}")

    def section(title: str, entries: list[tuple[str, str]]) -> None:
        if entries:
            width = max(len(left) for left, _ in entries)
            lines.append(f"{title}")
            lines.extend(f"  {left:<{width}}  {right}" for left, right in entries)

    section("forcings", [(f.name, f"[{f.unit}] {f.description}".rstrip()) for f in ude.forcings])
    section(
        "parameters",
        [
            (p.name, f"[{p.unit}] {p.default:g} in ({p.bounds[0]:g}, {p.bounds[1]:g})")
            for p in ude.parameters
            if p.name in ude.used_parameters
        ],
    )
    used = symbols_in_equations(ude)
    section(
        "constants",
        [(c.name, f"[{c.unit}] {c.value:g}") for c in ude.constants if c.name in used],
    )
    fluxes = {f.name: f for f in ude.fluxes}
    networks = {n.name: n for n in ude.networks}
    entries = []
    for name in ude.order:
        if name in fluxes:
            right = print_expression(fluxes[name].expression)
        elif name in networks:
            right = _network_text(networks[name])
        else:
            continue
        entries.append((name, f"[{ude.units[name]}] = {right}"))
    section("fluxes", entries)
    section(
        "events",
        [
            (
                e.name,
                f"[{e.unit}] moves {print_expression(e.amount)} when "
                f"{print_expression(e.when)} > 0",
            )
            for e in ude.events
        ],
    )
    section(
        "unknowns",
        [
            (
                u.name,
                f"[{u.unit}] in ({u.bounds[0]:g}, {u.bounds[1]:g}) such that "
                f"0 = {print_expression(u.residual)}",
            )
            for u in ude.unknowns
        ],
    )
    section(
        "states",
        [
            (f"d{s.name}/dt", f"[{s.unit}] = {print_expression(ude.derivatives[s.name])}")
            for s in ude.states
        ],
    )
    return "\n".join(lines)


def _network_text(network: Network) -> str:
    inputs = ", ".join(print_expression(i.expression) for i in network.inputs)
    physics = []
    if network.positive:
        physics.append("positive")
    if network.bounds:
        physics.append(f"in ({network.bounds[0]:g}, {network.bounds[1]:g})")
    physics += [
        f"{'increasing' if i.monotone > 0 else 'decreasing'} in {print_expression(i.expression)}"
        for i in network.inputs
        if i.monotone
    ]
    if network.zero_when_empty:
        physics.append(f"zero when {network.zero_when_empty} is empty")
    shape = "-".join(map(str, network.sizes))
    return f"network({inputs}) {shape}" + (f", {', '.join(physics)}" if physics else "")


def as_latex(ude: UDE) -> str:
    """Return the equations as LaTeX for a notebook."""
    fluxes = {f.name: f for f in ude.fluxes}
    networks = {n.name: n for n in ude.networks}
    rows = []
    for s in ude.states:
        rate = expression_as_latex(ude.derivatives[s.name])
        rows.append(rf"\frac{{d\,{name_as_latex(s.name)}}}{{dt}} &= {rate}")
    for name in ude.order:
        if name in fluxes:
            rows.append(f"{name_as_latex(name)} &= {expression_as_latex(fluxes[name].expression)}")
        elif name in networks:
            inputs = ",\\,".join(expression_as_latex(i.expression) for i in networks[name].inputs)
            network = rf"\mathrm{{NN}}_{{\mathrm{{{escape_latex(name)}}}}}"
            rows.append(f"{name_as_latex(name)} &= {network}({inputs})")
    rows += [f"0 &= {expression_as_latex(u.residual)}" for u in ude.unknowns]
    body = " \\\\\n".join(rows)
    return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"
