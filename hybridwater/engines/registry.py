"""Engines by name."""

from __future__ import annotations

import functools
import logging
import warnings

from hybridwater import settings
from hybridwater.engines.base import Engine, Options, shortcoming
from hybridwater.errors import MissingDependency, SettingsError, nearest

logger = logging.getLogger(__name__)

ENGINES = ("auto", "embedded", "julia")


def get_engine(name: str | None = None, options: Options | None = None) -> Engine:
    """Return an engine.

    Parameters
    ----------
    name : str, optional
        ``"embedded"``, ``"julia"`` or ``"auto"``; the one in the settings if left out. ``"auto"``
        starts Julia where it has been set up, and is embedded where it has not or does not start.
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


def automatic(options: Options | None = None) -> tuple[str, str]:
    """Return what ``"auto"`` is here and now, without starting Julia.

    Parameters
    ----------
    options : Options, optional
        What will be asked of it.

    Returns
    -------
    name, why : str
        Of an engine, and the reason. Julia may still turn out not to start.
    """
    from hybridwater import _julia

    if options is not None:
        for name, other in (("embedded", "julia"), ("julia", "embedded")):
            if lacking := shortcoming(other, options):
                return name, lacking
    ready, why = _julia_is_ready()
    trouble = _julia.obstacle() if ready else None
    if trouble is not None:
        return "embedded", trouble.what
    return "julia" if ready else "embedded", why


def _automatic(options: Options | None) -> str:
    from hybridwater import _julia

    name, why = automatic(options)
    if name == "julia" and (options is None or not shortcoming("embedded", options)):
        try:
            _julia.start()
        except MissingDependency as error:
            warnings.warn(f"{error} The embedded engine is used.", stacklevel=3)
            name, why = "embedded", error.what
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
