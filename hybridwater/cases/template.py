"""The case file to begin with."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from hybridwater.errors import CaseError
from hybridwater.files import write_bytes


def write_template(directory: str | Path) -> Path:
    """Write a commented case file that runs as it is, and a README beside it.

    Parameters
    ----------
    directory : str or pathlib.Path
        Folder to write into; made if missing.

    Returns
    -------
    pathlib.Path
        The case file.

    Raises
    ------
    CaseError
        If there is a case file or a README already; nothing is written then.
    """
    folder = Path(directory)
    templates = importlib.resources.files("hybridwater.cases") / "templates"
    contents = {name: (templates / name).read_bytes() for name in ("case.toml", "README.md")}
    for name in contents:
        if (folder / name).exists():
            raise CaseError(
                f"There is a {name} already.", str(folder), "Choose another folder, or move it"
            )
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return folder / "case.toml"
