import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "device_training.py"


def test_trainings_run_on_another_device_and_end_as_on_the_cpu():
    backend = pytest.importorskip("torch.utils.backend_registration")
    if not hasattr(backend, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this version of torch cannot emulate a device in Python")
    run = subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert "device" in found["mixed"]  # or nothing would be shown
    for name, values in found["cpu"].items():
        assert found["second"][name] == pytest.approx(values, rel=1e-4), name
