"""Where an installed package keeps the data files that it carries."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from hybridwater.errors import MissingDependency


def package_folder(package: str, *parts: str) -> Path:
    """Find a folder of data inside an installed package, without importing the package.

    Parameters
    ----------
    package : str
        Name of the top-level package, for example ``"pywatershed"``.
    *parts : str
        Folders below it.

    Returns
    -------
    pathlib.Path
        An existing folder.

    Raises
    ------
    MissingDependency
        If the package is not installed, or carries no such folder.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(
            f"The package '{package}', which carries these data, is not installed.",
            fix='pip install "hybridwater[demo]"',
        )
    folder = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    if not folder.is_dir():
        raise MissingDependency(
            f"The installed package '{package}' does not carry the folder '{'/'.join(parts)}'.",
            where=f"package '{package}'",
            fix='pip install --upgrade "hybridwater[demo]"',
        )
    return folder
