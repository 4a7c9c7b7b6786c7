"""A UDE as plain data with equation text: what case files and run directories hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude.checks import check_name
from hybridwater.ude.columns import Column, cells
from hybridwater.ude.terms import (
    Constant,
    Event,
    Flux,
    Forcing,
    Network,
    NetworkInput,
    Parameter,
    State,
    Unknown,
)
from hybridwater.ude.text import parse_expression, print_expression

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE

_KEYS = {
    "model": (
        *("name", "time_unit", "description", "forcings", "states", "parameters"),
        *("constants", "fluxes", "networks", "unknowns", "columns", "events"),
    ),
    "forcings": ("unit", "description"),
    "states": ("unit", "initial", "equation", "description", "on"),
    "parameters": ("unit", "bounds", "default", "log", "citation", "description"),
    "constants": ("unit", "value", "citation", "description"),
    "fluxes": ("unit", "equation", "description"),
    "unknowns": ("unit", "bounds", "guess", "equation", "description"),
    "events": ("unit", "when", "amount", "description"),
    "networks": (
        *("unit", "inputs", "monotone", "hidden", "activation", "positive", "bounds"),
        *("zero_when_empty", "empty_scale", "scale", "conceptual", "description"),
    ),
    "columns": ("unit", "thickness", "count", "description"),
}


def check_keys(data: Any, known: tuple[str, ...], where: str) -> None:
    """Refuse anything but a table with known keys."""
    for key in _table(data, where):
        if key not in known:
            raise DeclarationError(
                f"The key '{key}' is not known ({nearest(str(key), known)}).", where
            )


def _required(spec: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in spec:
        raise DeclarationError(f"The key '{key}' is missing.", where)
    return spec[key]


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DeclarationError(f"{value!r} is not a number.", where)
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DeclarationError(f"{value!r} is not text.", where)
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise DeclarationError(f"{value!r} is not true or false.", where)
    return value


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DeclarationError(f"This should be a table, not {type(value).__name__}.", where)
    return value


def _pair(value: Any, where: str) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise DeclarationError(f"{value!r} is not a range.", where, "Write [low, high]")
    return _number(value[0], where), _number(value[1], where)


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read plain data to the arguments of :class:`UDE`."""
    check_keys(data, _KEYS["model"], "the model")
    name = _text(_required(data, "name", "the model"), "the name of the model")
    tables = {k: data.get(k, {}) for k in _KEYS["model"][3:]}
    for kind, table in tables.items():
        for key, spec in _table(table, f"'{kind}' of model '{name}'").items():
            check_keys(spec, _KEYS[kind], f"{kind}.{key} of model '{name}'")
            check_name(key, f"{kind} of model '{name}'")
    columns = tuple(_read_column(k, s) for k, s in tables.pop("columns").items())
    known = frozenset(key for table in tables.values() for key in table)
    known |= {key for column in columns for key in column.geometry}

    def equation(spec: Mapping[str, Any], where: str, key: str = "equation") -> Any:
        return parse_expression(_required(spec, key, where), known, where)

    def common(spec: Mapping[str, Any], key: str) -> dict[str, Any]:
        where = f"'{key}' of model '{name}'"
        text = {k: _text(spec[k], where) for k in ("description", "citation") if k in spec}
        return {"name": key, "unit": _text(_required(spec, "unit", where), where), **text}

    states, derivatives = [], {}
    for key, spec in tables["states"].items():
        initial = spec.get("initial", 0.0)
        if isinstance(initial, list | tuple) and "on" in spec:
            initial = tuple(_number(v, f"state '{key}'") for v in initial)
        elif not isinstance(initial, str):
            initial = _number(initial, f"state '{key}'")
        on = {"on": _text(spec["on"], f"state '{key}'")} if "on" in spec else {}
        states.append(State(**common(spec, key), initial=initial, **on))
        derivatives[key] = equation(spec, f"the derivative of '{key}'")
    parameters = []
    for key, spec in tables["parameters"].items():
        where = f"parameter '{key}'"
        bounds = _pair(_required(spec, "bounds", where), where)
        default = _number(spec.get("default", sum(bounds) / 2), where)
        log = _flag(spec.get("log", False), where)
        parameters.append(Parameter(**common(spec, key), bounds=bounds, default=default, log=log))
    unknowns = []
    for key, spec in tables["unknowns"].items():
        where = f"unknown '{key}'"
        low, high = _pair(_required(spec, "bounds", where), where)
        guess = _number(spec.get("guess", (low + high) / 2), where)
        residual = equation(spec, f"the equation of '{key}'")
        unknowns.append(
            Unknown(**common(spec, key), bounds=(low, high), residual=residual, guess=guess)
        )
    return {
        "name": name,
        "time_unit": _text(data.get("time_unit", "d"), f"the time unit of model '{name}'"),
        "description": _text(data.get("description", ""), f"model '{name}'"),
        "states": tuple(states),
        "forcings": tuple(Forcing(**common(s, k)) for k, s in tables["forcings"].items()),
        "parameters": tuple(parameters),
        "constants": tuple(
            Constant(**common(s, k), value=_number(_required(s, "value", k), k))
            for k, s in tables["constants"].items()
        ),
        "fluxes": tuple(
            Flux(**common(s, k), expression=equation(s, f"the equation of '{k}'"))
            for k, s in tables["fluxes"].items()
        ),
        "networks": tuple(read_network(k, s, known) for k, s in tables["networks"].items()),
        "derivatives": derivatives,
        "unknowns": tuple(unknowns),
        "columns": columns,
        "events": tuple(
            Event(
                **common(s, k),
                when=equation(s, f"the condition of '{k}'", "when"),
                amount=equation(s, f"the amount of '{k}'", "amount"),
            )
            for k, s in tables["events"].items()
        ),
    }


def _read_column(name: str, spec: Mapping[str, Any]) -> Column:
    where = f"column '{name}'"
    thickness, count = _required(spec, "thickness", where), spec.get("count")
    if isinstance(thickness, list | tuple):
        thickness = tuple(_number(t, where) for t in thickness)
    else:
        thickness = _number(thickness, where)
    unit = _text(_required(spec, "unit", where), where)
    description = _text(spec.get("description", ""), where)
    return Column(name, unit, cells(thickness, count, where), description)


def read_network(name: str, spec: Mapping[str, Any], known: frozenset[str]) -> Network:
    """Read a network from plain data."""
    where = f"network '{name}'"
    check_keys(spec, _KEYS["networks"], where)
    ranges = _table(_required(spec, "inputs", where), f"the inputs of {where}")
    effects = _table(spec.get("monotone", {}), f"'monotone' of {where}")
    monotone = {_canonical(k, known, where): v for k, v in effects.items()}
    inputs = []
    for text, limits in ranges.items():
        expression = parse_expression(text, known, f"an input of {where}")
        effect = monotone.pop(print_expression(expression), 0)
        inputs.append(NetworkInput(expression, *_pair(limits, where), monotone=effect))
    for left in monotone:
        raise DeclarationError(f"'{left}' is monotone but not an input.", where)
    texts = ("activation", "zero_when_empty", "description")
    options: dict[str, Any] = {k: _text(spec[k], where) for k in texts if k in spec}
    options |= {k: _number(spec[k], where) for k in ("empty_scale", "scale") if k in spec}
    if "positive" in spec:
        options["positive"] = spec["positive"]
    if "hidden" in spec:
        if not isinstance(spec["hidden"], list | tuple):
            raise DeclarationError(
                f"{spec['hidden']!r} are not widths of hidden layers.", where, "Write [16, 16]"
            )
        options["hidden"] = tuple(spec["hidden"])
    if spec.get("bounds") is not None:
        options["bounds"] = _pair(spec["bounds"], where)
    if spec.get("conceptual") is not None:
        options["conceptual"] = parse_expression(
            spec["conceptual"], known, f"the conceptual equation of '{name}'"
        )
    unit = _text(_required(spec, "unit", where), where)
    return Network(name, unit, tuple(inputs), **options)


def _canonical(text: str, known: frozenset[str], where: str) -> str:
    return print_expression(parse_expression(str(text), known, where))


def write(ude: UDE) -> dict[str, Any]:
    """Write a UDE as plain data; :func:`read` reads it back to an equal model."""
    return {
        "name": ude.name,
        "time_unit": ude.time_unit,
        **({"description": ude.description} if ude.description else {}),
        "forcings": {f.name: _kept(f) for f in ude.forcings},
        "states": {
            s.name: _kept(s)
            | ({"on": s.on} if s.on else {})
            | {"initial": list(s.initial) if isinstance(s.initial, tuple) else s.initial}
            | {"equation": print_expression(ude.derivatives[s.name])}
            for s in ude.states
        },
        "parameters": {
            p.name: _kept(p) | {"bounds": list(p.bounds), "default": p.default, "log": p.log}
            for p in ude.parameters
        },
        "constants": {c.name: _kept(c) | {"value": c.value} for c in ude.constants},
        "fluxes": {
            f.name: _kept(f) | {"equation": print_expression(f.expression)} for f in ude.fluxes
        },
        "networks": {n.name: _write_network(n) for n in ude.networks},
        **({"unknowns": {u.name: _write_unknown(u) for u in ude.unknowns}} if ude.unknowns else {}),
        **({"columns": {c.name: _write_column(c) for c in ude.columns}} if ude.columns else {}),
        **({"events": {e.name: _write_event(e) for e in ude.events}} if ude.events else {}),
    }


def _write_column(column: Column) -> dict[str, Any]:
    even = len(set(column.thicknesses)) == 1
    size = (
        {"thickness": column.thicknesses[0], "count": column.count}
        if even
        else {"thickness": list(column.thicknesses)}
    )
    return _kept(column) | size


def _kept(term: Any) -> dict[str, Any]:
    texts = {k: getattr(term, k, "") for k in ("description", "citation")}
    return {"unit": term.unit, **{k: v for k, v in texts.items() if v}}


def _write_unknown(u: Unknown) -> dict[str, Any]:
    equation = print_expression(u.residual)
    return _kept(u) | {"bounds": list(u.bounds), "guess": u.guess, "equation": equation}


def _write_event(e: Event) -> dict[str, Any]:
    return _kept(e) | {"when": print_expression(e.when), "amount": print_expression(e.amount)}


def _write_network(n: Network) -> dict[str, Any]:
    inputs = {print_expression(i.expression): i for i in n.inputs}
    optional = {
        "monotone": {text: i.monotone for text, i in inputs.items() if i.monotone},
        "bounds": list(n.bounds) if n.bounds else None,
        "zero_when_empty": n.zero_when_empty,
        "empty_scale": n.empty_scale,
        "conceptual": None if n.conceptual is None else print_expression(n.conceptual),
    }
    return {
        **_kept(n),
        "inputs": {text: [i.low, i.high] for text, i in inputs.items()},
        "hidden": list(n.hidden),
        "activation": n.activation,
        "positive": n.positive,
        "scale": n.scale,
        **{k: v for k, v in optional.items() if v},
    }
