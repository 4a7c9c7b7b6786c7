"""Every notebook runs from top to bottom, and is kept without its outputs."""

import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from hybridwater import _julia

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SECONDS_PER_CELL = 600

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def kept(path):
    """Return the notebook as git keeps it, or as it lies there where git does not know it."""
    shown = subprocess.run(
        ["git", "-C", str(ROOT), "show", f":{path.relative_to(ROOT).as_posix()}"],
        capture_output=True,
        check=False,
    )
    text = shown.stdout.decode("utf-8") if shown.returncode == 0 else path.read_text("utf-8")
    return nbformat.reads(text, as_version=4)


@each_notebook
def test_outputs_are_stripped(path):
    dirty = [
        number
        for number, cell in enumerate(kept(path).cells)
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None)
    ]
    assert not dirty, f"cells {dirty} keep outputs: run 'nbstripout {path.relative_to(ROOT)}'"


def run(path, folder):
    """Run a notebook in a folder; return what it printed and showed as text."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_PER_CELL,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


@pytest.mark.slow
@each_notebook
def test_runs_from_top_to_bottom(path, tmp_path):
    run(path, tmp_path)


@pytest.mark.julia
def test_both_engines_where_there_is_julia(tmp_path):
    shown = run(ROOT / "notebooks" / "02-solvers-and-julia.ipynb", tmp_path)
    assert "julia: differs from embedded" in shown
    assert "julia, fbdf, forward: relative difference" in shown
    (adjoints,) = (
        e for e in _julia.extras(_julia.available().project) if e.name == _julia.ADJOINTS[0]
    )
    row = "julia, fbdf, gauss: relative difference"
    assert (row if adjoints.version else adjoints.command) in shown
