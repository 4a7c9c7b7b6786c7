"""Engines by name."""

from __future__ import annotations

import functools
import logging

from hybridwater import settings
from hybridwater.engines.base import Engine, Options, shortcoming
from hybridwater.errors import SettingsError, nearest

logger = logging.getLogger(__name__)

ENGINES = ("auto", "embedded", "julia")


def get_engine(name: str | None = None, options: Options | None = None) -> Engine:
    """Return an engine.

    Parameters
    ----------
    name : str, optional
        ``"embedded"``, ``"julia"`` or ``"auto"``; the one in the settings if left out. ``"auto"``
        is Julia where it has been set up, else embedded.
    options : Options, optional
        What will be asked of it; ``"auto"`` takes an engine that can do it.

    Raises
    ------
    SettingsError
        If there is no engine of that name.
    MissingDependency
        If Julia is asked for and has not been set up.
    """
    name = settings.current().engine if name is None else name
    if name not in ENGINES:
        raise SettingsError(
            f"There is no engine '{name}' ({nearest(name, ENGINES)}).",
            fix=f"Use one of {', '.join(ENGINES)}",
        )
    if name == "auto":
        name = _automatic(options)
    if name == "embedded":
        return _embedded()
    from hybridwater import _julia

    if not _julia.started():
        _julia.available().demand()
    return _julia_engine()


def _automatic(options: Options | None) -> str:
    lacks = {} if options is None else {n: shortcoming(n, options) for n in ENGINES if n != "auto"}
    if lacks.get("julia"):
        name, why = "embedded", lacks["julia"]
    elif lacks.get("embedded"):
        name, why = "julia", lacks["embedded"]
    else:
        ready, why = _julia_is_ready()
        name = "julia" if ready else "embedded"
    logger.info("Engine: %s (%s)", name, why)
    return name


@functools.cache
def _julia_is_ready() -> tuple[bool, str]:
    from hybridwater import _julia

    state = _julia.available()
    return state.ready, "Julia has been set up" if state.ready else state.reason


@functools.cache
def _embedded() -> Engine:
    from hybridwater.engines.embedded import EmbeddedEngine

    return EmbeddedEngine()


@functools.cache
def _julia_engine() -> Engine:
    from hybridwater.engines.julia import JuliaEngine

    return JuliaEngine()
