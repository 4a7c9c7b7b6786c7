"""Model cards: what weights were trained on, by what, and how good they are.

A card lies beside the weights under their name with ``.md``: a page for people, with a head in TOML
between two lines of ``+++`` for programs. After Mitchell et al. 2019 (doi:10.1145/3287560.3287596).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hybridwater
from hybridwater.errors import WeightsError
from hybridwater.files import write_files
from hybridwater.training.rundir import environment

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "hybridwater.card/1"
"""What a card must say that it is."""

_NEEDED = ("schema", "sha256", "data", "commit", "versions")
_FENCE = "+++"


def card_path(weights: str | Path) -> Path:
    """Return where the card of weights lies."""
    return Path(weights).with_suffix(".md")


def write_card(
    weights: str | Path,
    *,
    title: str,
    text: str,
    data: Mapping[str, Any],
    errors: pd.DataFrame | None = None,
) -> Path:
    """Write the card of weights that are there.

    Parameters
    ----------
    weights : path-like
        The file of weights.
    title, text : str
        What they are for, when not to use them.
    data : mapping
        What they were trained on: of types of TOML.
    errors : pandas.DataFrame, optional
        How good they are.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    WeightsError
        If the weights cannot be read or the card not be written.
    """
    import tomlkit

    path = Path(weights)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(
            f"The weights cannot be read ({error.strerror}).", str(path), "Train them first"
        ) from error
    head = {
        "schema": SCHEMA,
        "weights": path.name,
        "sha256": digest,
        "made": dt.date.today(),
        "commit": commit(),
        "data": dict(data),
        "versions": environment(),
    }
    table = "" if errors is None else f"\n## Errors\n\n{_markdown(errors)}\n"
    page = f"{_FENCE}\n{tomlkit.dumps(head)}{_FENCE}\n\n# {title}\n\n{text.strip()}\n{table}"
    card = card_path(path)
    write_files({card: page.encode()}, error=WeightsError)
    return card


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the head of a card.

    Raises
    ------
    WeightsError
        If there is none, or something is missing in it.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError("There is no card.", str(path), "Write it with write_card")
    try:
        _, head, _ = path.read_text("utf-8").split(f"{_FENCE}\n", 2)
        found = tomllib.loads(head)
    except (ValueError, OSError) as error:
        raise WeightsError(
            "The card cannot be read.", str(path), f"Begin it with TOML between lines of {_FENCE}"
        ) from error
    missing = [name for name in _NEEDED if name not in found]
    if missing or found["schema"] != SCHEMA:
        what = f"lacks {', '.join(missing)}" if missing else f"has the schema '{found['schema']}'"
        raise WeightsError(f"The card {what}.", str(path), f"Write a card of schema '{SCHEMA}'")
    return found


def commit() -> str:
    """Return the commit of this package where it is worked on, or nothing where it is installed."""
    folder = Path(hybridwater.__file__).parents[1]
    if not (folder / ".git").exists():  # or git finds that of those who use the package
        return ""
    asked = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def _markdown(frame: pd.DataFrame) -> str:
    """Return a table in Markdown, numbers with three digits."""
    rows = [list(map(str, frame.columns)), ["---"] * len(frame.columns)]
    for row in frame.itertuples(index=False):
        rows.append([f"{v:.3g}" if isinstance(v, float) else str(v) for v in row])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
