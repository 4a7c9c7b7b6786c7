"""One validated settings object: defaults < user file < environment < arguments.

The user file is TOML with the names of `Settings` as its keys. It is ``settings.toml`` in the
configuration folder of the platform (see `user_file`) or the file that the environment variable
``HYBRIDWATER_SETTINGS`` names. Every setting can also be given as an environment variable, for
example ``HYBRIDWATER_ENGINE=embedded``; an empty variable counts as not given.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import tomllib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hybridwater.errors import SettingsError, nearest

_PREFIX = "HYBRIDWATER_"

# Environment variables of the package that are not settings: the settings file, and the folder
# of the larger data sets that tests and benchmarks read.
_OTHER_VARIABLES = ("HYBRIDWATER_SETTINGS", "HYBRIDWATER_DATA")


def _one_of(*words: str) -> Callable[[Any], str]:
    by_folded = {word.casefold(): word for word in words}

    def check(value: Any) -> str:
        if not isinstance(value, str) or value.strip().casefold() not in by_folded:
            raise ValueError(f"one of {', '.join(repr(word) for word in words)}")
        return by_folded[value.strip().casefold()]

    return check


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _folder_or_file(value: Any) -> Path:
    if isinstance(value, str | Path) and str(value).strip():
        try:
            return Path(value).expanduser().absolute()
        except RuntimeError:  # "~somebody" without a home folder
            pass
    raise ValueError("a path")


def _optional_path(value: Any) -> Path | None:
    return None if value is None else _folder_or_file(value)


def _threads(value: Any) -> int | str:
    if value == "auto":
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("'auto' or a whole number of at least 1")


def _default_cache_dir() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("hybridwater", appauthor=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may set once for all runs on a machine.

    Whether named files exist is not checked here: ``hybridwater doctor`` does that.

    Parameters
    ----------
    engine : {"auto", "embedded", "julia"}
        Which engine solves models. "auto" takes Julia when it has been set up.
    cache_dir : path
        Where compiled programs are kept between runs. Default: the platform's cache folder.
    julia_executable : path, optional
        The Julia program to use. Default: the one that juliacall finds or installs.
    julia_project : path, optional
        The Julia project (folder) to use together with `julia_executable`.
    julia_threads : int or "auto"
        Number of threads that Julia is started with.
    julia_sysimage : path, optional
        A system image to start Julia with (``hybridwater julia precompile --sysimage``).
    progress : bool
        Whether long work shows a progress bar.
    log_level : {"DEBUG", "INFO", "WARNING", "ERROR"}
        The least important messages that are shown.

    Raises
    ------
    SettingsError
        If a value is of the wrong type or not one of those allowed.
    """

    engine: str = dataclasses.field(
        default="auto", metadata={"check": _one_of("auto", "embedded", "julia")}
    )
    cache_dir: Path = dataclasses.field(
        default_factory=_default_cache_dir, metadata={"check": _folder_or_file}
    )
    julia_executable: Path | None = dataclasses.field(
        default=None, metadata={"check": _optional_path}
    )
    julia_project: Path | None = dataclasses.field(default=None, metadata={"check": _optional_path})
    julia_threads: int | str = dataclasses.field(default="auto", metadata={"check": _threads})
    julia_sysimage: Path | None = dataclasses.field(
        default=None, metadata={"check": _optional_path}
    )
    progress: bool = dataclasses.field(default=True, metadata={"check": _flag})
    log_level: str = dataclasses.field(
        default="WARNING", metadata={"check": _one_of("DEBUG", "INFO", "WARNING", "ERROR")}
    )

    def __post_init__(self) -> None:
        for name in _FIELDS:
            checked = _check(name, getattr(self, name), f"argument {name}")
            object.__setattr__(self, name, checked)


_FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


class Sourced(NamedTuple):
    """The value of a setting and where it came from, as a phrase for people."""

    value: Any
    source: str


def _check(name: str, value: Any, source: str) -> Any:
    try:
        return _FIELDS[name].metadata["check"](value)
    except ValueError as wanted:
        raise SettingsError(
            f"The setting '{name}' must be {wanted}, and is {value!r}",
            where=source,
            fix=f"correct it, or leave '{name}' out to use the default",
        ) from None


def _refuse_unknown(name: str, known: list[str], where: str) -> None:
    if name not in known:
        raise SettingsError(
            f"There is no setting '{name}'", where=where, fix=nearest(name, known)
        ) from None


def user_file() -> Path:
    """Return the path of the settings file in the platform's configuration folder.

    Returns
    -------
    pathlib.Path
        The file may not exist: it is optional.
    """
    import platformdirs

    return platformdirs.user_config_path("hybridwater", appauthor=False) / "settings.toml"


def _from_file(path: Path) -> dict[str, Sourced]:
    source = f"settings file {path}"
    try:
        with path.open("rb") as stream:
            entries = tomllib.load(stream)
    except OSError as error:
        raise SettingsError(
            f"The settings file cannot be read: {error.strerror or error}",
            where=source,
            fix="correct the path, or make the file readable",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The settings file is not TOML: {error}",
            where=source,
            fix="write one 'name = value' on each line, with text in quotes",
        ) from error
    found = {}
    for name, value in entries.items():
        _refuse_unknown(name, list(_FIELDS), source)
        checked = _check(name, value, source)
        if isinstance(checked, Path):  # relative to the file, not to where the user happens to be
            checked = path.parent.absolute() / Path(value).expanduser()
        found[name] = Sourced(checked, source)
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, Sourced]:
    variables = {_PREFIX + name.upper(): name for name in _FIELDS}
    found = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or variable in _OTHER_VARIABLES or not text.strip():
            continue
        source = f"environment variable {variable}"
        _refuse_unknown(variable, [*variables, *_OTHER_VARIABLES], "environment")
        name = variables[variable]
        found[name] = Sourced(_check(name, _from_text(name, text.strip()), source), source)
    return found


def _from_text(name: str, text: str) -> Any:
    if name == "progress":
        words = {"1": True, "true": True, "yes": True, "on": True}
        words |= {"0": False, "false": False, "no": False, "off": False}
        return words.get(text.casefold(), text)
    if name == "julia_threads" and text.isdecimal():
        return int(text)
    return text


def describe(path: str | Path | None = None, **arguments: Any) -> dict[str, Sourced]:
    """Return every setting with its value and where the value came from.

    Parameters
    ----------
    path : path, optional
        The settings file. Default: the one that ``HYBRIDWATER_SETTINGS`` names, else `user_file`.
    **arguments
        Settings by name; None counts as not given.

    Returns
    -------
    dict of str to Sourced
        In the order of the fields of `Settings`.

    Raises
    ------
    SettingsError
        If a name is unknown, a value is not allowed, or a file that was named cannot be read.
    """
    named = path or os.environ.get("HYBRIDWATER_SETTINGS", "").strip()
    if named:
        found = _from_file(Path(named).expanduser().absolute())
    else:
        file = user_file()
        found = _from_file(file) if file.is_file() else {}
    found |= _from_environment(os.environ)
    for name, value in arguments.items():
        source = f"argument {name}"
        _refuse_unknown(name, list(_FIELDS), source)
        if value is not None:
            found[name] = Sourced(_check(name, value, source), source)
    defaults = Settings()
    return {name: found.get(name, Sourced(getattr(defaults, name), "default")) for name in _FIELDS}


def load(path: str | Path | None = None, **arguments: Any) -> Settings:
    """Read the settings from all their sources: defaults < file < environment < arguments.

    Parameters
    ----------
    path : path, optional
        The settings file. Default: the one that ``HYBRIDWATER_SETTINGS`` names, else `user_file`.
    **arguments
        Settings by name; None counts as not given.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        As `describe` does.

    Examples
    --------
    >>> load(engine="embedded").engine
    'embedded'
    """
    return Settings(**{name: entry.value for name, entry in describe(path, **arguments).items()})


@functools.cache
def current() -> Settings:
    """Return the settings of this process, read once.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        As `describe` does.
    """
    return load()


def shows_progress(asked: bool | None = None) -> bool:
    """Return whether long work shows a progress bar.

    Parameters
    ----------
    asked : bool, optional
        As in the settings if left out. A notebook needs ipywidgets for bars; without, rich prints
        warnings in their place, and nothing is shown unless it is asked for here.
    """
    if asked is not None:
        return asked
    if not current().progress:
        return False
    from rich import get_console

    return not get_console().is_jupyter or find_spec("ipywidgets") is not None
