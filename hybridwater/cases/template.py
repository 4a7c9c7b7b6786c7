"""Case files to begin with."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Literal

from hybridwater.errors import CaseError
from hybridwater.files import write_bytes

_FILES = {"fit": ("case.toml", "README.md"), "delaware": ("delaware.toml", "delaware-learned.toml")}


def write_template(directory: str | Path, kind: Literal["fit", "delaware"] = "fit") -> Path:
    """Write a commented case file that runs as it is.

    Parameters
    ----------
    directory : str or pathlib.Path
        Folder to write into; made if missing.
    kind : {"fit", "delaware"}
        A fit, with a README beside it, or the coupled run of the Delaware River Basin, with the
        same run through a learned exchange beside it.

    Returns
    -------
    pathlib.Path
        The case file.

    Raises
    ------
    CaseError
        If there is a file of that name already; nothing is written then.
    """
    folder = Path(directory)
    templates = importlib.resources.files("hybridwater.cases") / "templates"
    contents = {name: (templates / name).read_bytes() for name in _FILES[kind]}
    for name in contents:
        if (folder / name).exists():
            raise CaseError(
                f"There is a {name} already.", str(folder), "Choose another folder, or move it"
            )
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return folder / next(iter(contents))
