"""Writing the file of a new component from the template."""

from __future__ import annotations

import re
from pathlib import Path

from hybridwater.errors import ComponentError


def new_component(name: str, folder: str | Path = ".") -> Path:
    """Write a component to begin with: the template under another name.

    Parameters
    ----------
    name : str
        Name of the component: small letters, digits and hyphens, for example ``"snow-bucket"``.
    folder : str or pathlib.Path
        Where to write it; the file is named as the component, with underscores.

    Returns
    -------
    pathlib.Path
        The file. Its class is named as the component, for example ``SnowBucket``.

    Raises
    ------
    ComponentError
        If the name cannot be one of a component, or the file exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ComponentError(
            f"'{name}' cannot be the name of a component.",
            fix="Use small letters, digits and hyphens, as in 'snow-bucket'",
        )
    path = Path(folder) / f"{name.replace('-', '_')}.py"
    text = Path(__file__).with_name("template.py").read_text(encoding="utf-8")
    text = text.replace("class Template(", f"class {class_name(name)}(")
    text = text.replace('name = "template"', f'name = "{name}"')
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ComponentError(
            f"The file cannot be written ({error.strerror}).", str(path)
        ) from error
    return path


def class_name(name: str) -> str:
    """Return the name of the class of a component, for example ``SnowBucket``."""
    return "".join(part.capitalize() for part in name.split("-"))
