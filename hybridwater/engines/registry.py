"""Engines by name."""

from __future__ import annotations

import functools

from hybridwater import settings
from hybridwater.engines.base import Engine
from hybridwater.errors import SettingsError, nearest

ENGINES = ("auto", "embedded")


def get_engine(name: str | None = None) -> Engine:
    """Return an engine.

    Parameters
    ----------
    name : str, optional
        ``"embedded"`` or ``"auto"``; the one in the settings if left out.

    Raises
    ------
    SettingsError
        If there is no engine of that name.
    """
    name = settings.current().engine if name is None else name
    if name not in ENGINES:
        raise SettingsError(
            f"There is no engine '{name}' ({nearest(name, ENGINES)}).",
            fix=f"Use one of {', '.join(ENGINES)}",
        )
    return _embedded()


@functools.cache
def _embedded() -> Engine:
    from hybridwater.engines.embedded import EmbeddedEngine

    return EmbeddedEngine()
