"""Weights that come with the package, by name, and the check that they are what their card says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hybridwater
from hybridwater.errors import HybridwaterError, WeightsError, nearest
from hybridwater.mgn.cards import card_path, read_card

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


@dataclass(frozen=True)
class Verified:
    """What was found of a file of weights.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    kind : str
        What they are weights of, such as ``"remap"``; empty if they cannot be read.
    size : int
        Number of weights.
    card : dict
        What the card says; empty without one.
    problem : str
        What is wrong; empty if nothing is.
    """

    path: Path
    kind: str = ""
    size: int = 0
    card: dict[str, Any] | None = None
    problem: str = ""


def verify_weights(name: str | Path) -> Verified:
    """Look whether weights can be read, are finite, and are those of their card.

    Parameters
    ----------
    name : str or path-like
        As in `find_weights`.

    Returns
    -------
    Verified
        Whatever is wrong is in ``problem``; nothing is raised for it.

    Raises
    ------
    WeightsError
        If there are no released weights of that name.
    """
    from hybridwater.mgn.storage import load_network

    path = find_weights(name)
    try:
        network, about = load_network(path)
    except HybridwaterError as error:
        return Verified(path, problem=error.what)
    kind, size = str(about.get("kind", "network")), network.size
    try:
        card = read_card(card_path(path))
    except HybridwaterError as error:
        return Verified(path, kind, size, problem=error.what)
    if card["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest():
        return Verified(path, kind, size, card, "The weights are not those of the card (sha256).")
    return Verified(path, kind, size, card)
