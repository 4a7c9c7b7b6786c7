"""The Python blocks of the pages run, each page from top to bottom in one process of its own.

A block after the line ``<!-- docs: skip -->`` is shown but not run.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hybridwater.ude import UDE

ROOT = Path(__file__).parents[2]
SECONDS_PER_PAGE = 600

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SKIP = "<!-- docs: skip -->"


def blocks(text):
    """Return the Python blocks of a page as (line, code)."""
    found = []
    for match in _BLOCK.finditer(text):
        before = text[: match.start()]
        if not before.rstrip().endswith(_SKIP):
            found.append((before.count("\n") + 2, match[1]))
    return found


def script(path):
    """Join the blocks of a page at the lines where they are, so that errors point into the page."""
    lines = []
    for line, code in blocks(path.read_text("utf-8")):
        lines += [""] * (line - 1 - len(lines)) + code.splitlines()
    return "\n".join(lines) + "\n"


PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if blocks(page.read_text("utf-8"))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_runs(page, tmp_path):
    program = tmp_path / f"{page.stem}.md.py"
    program.write_text(script(page), "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=os.environ | {"HYBRIDWATER_PROGRESS": "off", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=SECONDS_PER_PAGE,
        check=False,
    )
    assert done.returncode == 0, f"{page.relative_to(ROOT)}\n{done.stderr[-4000:]}"


def test_blocks_are_found_and_skipped():
    page = "# A\n\n```python\nx = 1\n```\n\n<!-- docs: skip -->\n```python\ny\n```\n```toml\n```\n"
    assert blocks(page) == [(4, "x = 1\n")]


def test_equations_of_the_case_file_page_are_a_model():
    page = (ROOT / "docs" / "how-to" / "case-files.md").read_text("utf-8")
    text = re.search(r"^```toml\n(\[model\].*?)^```$", page, re.DOTALL | re.MULTILINE)[1]
    model = UDE.from_dict(tomllib.loads(text)["model"])
    assert set(model.boundary) == {"prcp", "et", "q"}
