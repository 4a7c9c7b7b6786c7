"""The command reference names every command and option that there is, and no other."""

import re
from pathlib import Path

from typer.main import get_command

from hybridwater.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"


def sections():
    """Return the text of each command's section."""
    parts = re.split(r"^## hybridwater ([\w-]+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_commands():
    assert set(sections()) == set(get_command(app).commands)


def test_options():
    for name, command in get_command(app).commands.items():
        there = {o for p in command.params for o in p.opts if o.startswith("--")}
        table = set(re.findall(r"^\| `(--[\w-]+)", sections()[name], flags=re.MULTILINE))
        assert table == there, name
