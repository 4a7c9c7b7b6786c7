"""Tables of a case file: read once, checked key by key, with the place for every error."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hybridwater.cases.checks import Check
from hybridwater.errors import CaseError, HybridwaterError, nearest


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of a case file, and where it is, for errors.

    Parameters
    ----------
    file : str
        Path of the case file.
    name : str
        Such as ``fit`` or ``fit.schedule[2]``.
    content : mapping
        Its keys and values.
    """

    file: str
    name: str
    content: Mapping[str, Any]

    def where(self, key: str | None = None) -> str:
        """Say where a key is."""
        return f"{self.file}, [{self.name}]" + (f", key '{key}'" if key else "")

    def require(self, key: str) -> Any:
        """Return a value that must be there.

        Raises
        ------
        CaseError
            If it is not.
        """
        if key not in self.content:
            raise CaseError(f"The key '{key}' is missing.", self.where(), f"Add '{key} = ...'")
        return self.content[key]

    def check(self, checks: Mapping[str, Check]) -> dict[str, Any]:
        """Return the values, converted.

        Raises
        ------
        CaseError
            If a key is unknown or a value has another type than it should.
        """
        values = {}
        for key, value in self.content.items():
            if key not in checks:
                raise CaseError(
                    f"The key '{key}' is not known ({nearest(key, checks)}).", self.where()
                )
            try:
                values[key] = checks[key](value)
            except ValueError as wanted:
                raise CaseError(
                    f"The key '{key}' must be {wanted}, and is {value!r}.", self.where(key)
                ) from None
        return values

    def within(self, error: HybridwaterError) -> CaseError:
        """Say in which file and table something was refused."""
        where = self.where() + (f", {error.where}" if error.where else "")
        return CaseError(error.what, where, error.fix)

    def beside(self, text: str) -> Path:
        """Return a path that is relative to the case file, whether or not anything is there."""
        return Path(self.file).parent / Path(text).expanduser()

    def weights(self, text: str) -> Path | str:
        """Return the file of weights, which may be yet to be trained, or a name as it is."""
        return self.beside(text) if text.endswith(".safetensors") else text

    def existing(self, key: str, text: str) -> Path:
        """Return a path that is relative to the case file.

        Raises
        ------
        CaseError
            If there is nothing there.
        """
        path = self.beside(text)
        if not path.exists():
            raise CaseError(
                f"There is no file or folder '{path}'.",
                self.where(key),
                "Correct the path; it is relative to the case file",
            )
        return path


def read_tables(path: Path) -> dict[str, Any]:
    """Read a case file.

    Raises
    ------
    CaseError
        If it cannot be read, or is not TOML.
    """
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise CaseError(
            f"The case file cannot be read ({error.strerror or error}).",
            str(path),
            "Check the path; 'hybridwater init DIR' writes a case file to begin with",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaseError(f"The case file is not TOML: {error}.", str(path)) from error


def require_tables(
    tables: Mapping[str, Any],
    path: Path,
    known: Collection[str],
    needed: Collection[str],
    arrays: Collection[str] = (),
) -> None:
    """Refuse unknown and missing tables; those of ``arrays`` are arrays of tables.

    Raises
    ------
    CaseError
        If there are such, or a name stands for something else than a table.
    """
    for name, content in tables.items():
        if name not in known:
            raise CaseError(f"The table '{name}' is not known ({nearest(name, known)}).", str(path))
        if name in arrays:
            if not isinstance(content, list) or not all(isinstance(c, dict) for c in content):
                raise CaseError(
                    f"'{name}' must be an array of tables.", str(path), f"Write [[{name}]]"
                )
        elif not isinstance(content, dict):
            raise CaseError(f"'{name}' must be a table.", str(path), f"Write [{name}]")
    for name in needed:
        if name not in tables:
            raise CaseError(f"The table [{name}] is missing.", str(path), f"Add [{name}]")
