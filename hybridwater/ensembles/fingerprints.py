"""What tells numbers and files from others, short enough for a table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np


def of_arrays(*arrays: np.ndarray) -> str:
    """Return the fingerprint of numbers."""
    whole = hashlib.sha256()
    for values in arrays:
        whole.update(np.ascontiguousarray(values).tobytes())
    return whole.hexdigest()[:12]


def of_path(path: Path) -> str:
    """Return the fingerprint of the content of a file, or of what is in a folder.

    Files in folders are not read, as an archive of forcing has many: sizes and times tell.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    every = [(p.relative_to(path), p.stat()) for p in sorted(path.rglob("*")) if p.is_file()]
    told = [(str(name), found.st_size, found.st_mtime_ns) for name, found in every]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]
