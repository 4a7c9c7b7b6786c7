"""Checkpoints: all that a coupled run needs to go on, in one file."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridwater.coupling.link import Link
from hybridwater.errors import CouplingError
from hybridwater.files import write_bytes

FORMAT = 1
_MANIFEST = "manifest.json"


def write(path: str | Path, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file; one that is there is replaced once the new one is whole.
    manifest : mapping
        What can be written as JSON.
    arrays : mapping of str to numpy.ndarray
        Any shapes, no objects.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    stream = io.BytesIO()
    text = json.dumps({"format": FORMAT, **manifest}).encode()
    members: dict[str, Any] = {_MANIFEST: np.frombuffer(text, np.uint8), **arrays}
    np.savez(stream, **members)
    return write_bytes(path, stream.getvalue())


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a checkpoint.

    Raises
    ------
    CouplingError
        If there is none, or the file is not one.
    """
    path = Path(path)
    if not path.is_file():
        raise CouplingError(
            "There is no checkpoint.", str(path), "Name the file, or run without resuming"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        manifest = json.loads(arrays.pop(_MANIFEST).tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise CouplingError(
            f"The file is not a checkpoint of a coupled run ({error}).",
            str(path),
            "Name a file that CoupledModel.checkpoint has written",
        ) from error
    if manifest.get("format") != FORMAT:
        raise CouplingError(
            f"The checkpoint has the format {manifest.get('format')}, not {FORMAT}.",
            str(path),
            "Resume with the version of hybridwater that wrote it",
        )
    return manifest, arrays


def describe(link: Link) -> str:
    """Say what an exchange is, so that another one reads differently."""
    digest = hashlib.blake2b(digest_size=8)
    for array in link.imprint():
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"{link.label} {link.rules} {digest.hexdigest()}"


def refuse_other_case(theirs: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another case, and say what is different.

    Raises
    ------
    CouplingError
        If there is a difference.
    """
    for what in ours:
        one, other = theirs.get(what), ours[what]
        if one == other:
            continue
        a, b = (set(x if isinstance(x, list) else [f"{what} {x}"]) for x in (one, other))
        there, here = sorted(map(str, a - b)), sorted(map(str, b - a))
        raise CouplingError(
            f"The checkpoint is of another case: its {what} has {', '.join(there) or 'nothing'} "
            f"where this one has {', '.join(here) or 'nothing'}.",
            str(path),
            "Resume with the case that wrote it, or go on with a change: resume(..., branch=True)",
        )


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
