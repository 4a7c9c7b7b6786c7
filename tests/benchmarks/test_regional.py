"""The regional benchmark in a small form: it runs, and a finished run is not done again."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "regional.py"
BASINS, EPOCHS = 5, 3


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".csv")
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


@pytest.mark.slow
def test_regional_benchmark_runs_and_is_resumed(shared_data, tmp_path):
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path)]
    command += ["--basins", str(BASINS), "--epochs", str(EPOCHS)]
    environment = os.environ | {"HYBRIDWATER_DATA": str(shared_data)}
    printed = []
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed.append((done.stdout.splitlines()[0], contents(tmp_path)))
    assert printed[0] == printed[1]
    assert "5 basins, 36 attributes" in printed[0][0]
    table = pd.read_csv(tmp_path / "test_nse.csv")
    assert np.isfinite(table["gauged use"]).sum() == BASINS
    assert np.isfinite(table["ungauged use"]).sum() == BASINS // 5
