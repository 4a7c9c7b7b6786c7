"""Weights that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

import hybridwater
from hybridwater.errors import WeightsError, nearest

SUFFIX = ".safetensors"
FOLDER = Path(hybridwater.__file__).parent / "weights"
"""Where weights lie that come with the package."""


def released() -> dict[str, Path]:
    """Return the weights that come with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}


def find_weights(name: str | Path) -> Path:
    """Return the file of weights.

    Parameters
    ----------
    name : str or path-like
        A path that ends in ``.safetensors``, or the name of weights that come with the package.

    Raises
    ------
    WeightsError
        If there are no weights of that name.
    """
    if str(name).endswith(SUFFIX):
        return Path(name)
    known = released()
    if str(name) not in known:
        raise WeightsError(
            f"There are no released weights '{name}' ({nearest(str(name), known)}).",
            fix=f"Name a file that ends in {SUFFIX}, or one of 'hybridwater weights list'",
        )
    return known[str(name)]
