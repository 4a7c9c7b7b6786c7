"""Our components are BMI models for others: CSDMS's own tester passes on them."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hybridwater.components import registry

pytestmark = pytest.mark.slow

CONFIGURATIONS = {
    "gr4j": """
        area = [1e6, 2e6]
        [inputs]
        precipitation_flux = 5.0
        water_potential_evaporation_flux = 1.0
    """,
    "hbv": """
        [inputs]
        precipitation_flux = 5.0
        air_temperature = 3.0
        climatological_air_temperature = 4.0
        water_potential_evaporation_flux = 1.0
    """,
    "prms-land": """
        compile = false
        [inputs]
        lwe_precipitation_rate = 0.3
        minimum_air_temperature = 30.0
        maximum_air_temperature = 50.0
    """,
    "prms-groundwater": """
        compile = false
        [inputs]
        groundwater_recharge_flux = 1.0
    """,
    "prms-channel": """
        compile = false
        [inputs]
        surface_runoff_flux = 1.0
        subsurface_runoff_flux = 1.0
        groundwater_discharge_flux = 1.0
    """,
    "starfit": """
        [inputs]
        reservoir_inflow_water_volume_transport = 1.0
    """,
    "landlab-groundwater": """
        [inputs]
        groundwater_recharge_flux = 1.0
    """,
    "landlab-overland": """
        [inputs]
        rainfall_flux = 100.0
    """,
}

# The tester finds its own conftest.py only if pytest is told where to begin. Its test of names
# against CSDMS's pattern only warns, and takes minutes over names of five words.
PROGRAM = """
import sys
from pathlib import Path
import bmi_tester
from bmi_tester.api import check_bmi
root = Path(bmi_tester.__file__).parent
folders = [root / "_bootstrap", *sorted((root / "_tests").glob("stage_*"))]
sys.exit(check_bmi(sys.argv[1], [str(f) for f in folders], "case.toml", extra_args=[
    "-q", "--confcutdir", str(root), "-p", "no:cacheprovider", "-k", "not test_var_names"]))
"""


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_csdms_tester_passes(name, tmp_path):
    pytest.importorskip("bmi_tester", reason="the package bmi-tester is not installed")
    target, needs = registry.BUILT_IN[name]
    if needs and find_spec(needs) is None:
        pytest.skip(f"the package {needs} is not installed")
    Path(tmp_path / "case.toml").write_text(CONFIGURATIONS[name])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
