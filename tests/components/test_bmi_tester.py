"""Our components are BMI models for others: CSDMS's own tester passes on them."""

import os
import subprocess
import sys
import textwrap
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
    "prms-routing": """
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

# Components of which a part is no number or text, so that no configuration file can name it: here,
# a class gives it to the constructor.
CLASSES = {
    "forcing": """
        from test_forcing_records import records
        from hybridwater.components.forcing_records import ForcingRecords as Base
        OPTIONS = {"data": records()}
    """,
    "learned-runoff": """
        from test_learned_runoff import trained
        from hybridwater.components.learned_runoff import LearnedRunoff as Base
        coupler = trained()
        OPTIONS = {
            "coupler": coupler, "inputs": dict.fromkeys([*coupler.given, *coupler.signals], 1.0)
        }
    """,
    "learned-dynamics": """
        from test_learned_dynamics import DEPTH, LAND, dynamics
        from hybridwater.components.learned_dynamics import LearnedDynamics as Base
        OPTIONS = {
            "weights": dynamics(),
            "mesh": LAND,
            "initial": {"depth": DEPTH},
            "inputs": {"recharge": 0.01},
        }
    """,
    "river-routing": """
        from hybridwater.components.river_routing import RiverRouting as Base
        from hybridwater.meshes import RiverNetwork
        OPTIONS = {
            "mesh": RiverNetwork([1, -1], [20e3, 30e3]),
            "velocity": 1.0,
            "inputs": {"lateral_water_volume_transport": 1.0},
        }
    """,
    "surrogate": """
        from test_surrogate import AREA, PORTS, reservoir
        from hybridwater.components.surrogate import SurrogateComponent as Base
        from hybridwater.components.template import Template
        OPTIONS = {
            "model": reservoir,
            "area": AREA,
            "engine": "embedded",
            "replaces": Template,
            "ports": PORTS,
            "inputs": {"recharge_flux": 3.0},
        }
    """,
}
MODEL = """

class Model(Base):
    def __init__(self):
        super().__init__(**OPTIONS)
"""
PROBLEM = '''
import hybridwater as hw
from hybridwater.engines import julia

julia.start()
import juliacall  # as the package has set it up

problem = juliacall.Main.seval("""
    let all = Base.loaded_modules
        found = all[only(id for id in keys(all) if id.name == "HybridWater")].SciMLBase
        found.ODEProblem((u, p, t) -> [p[2] - p[1] * u[1]], [20.0], (0.0, 9.0), [0.3, 2.0])
    end
""")
store = hw.SciMLProblem(
    problem, states={"store": "mm"}, parameters={"rate": "d-1"}, forcings={"rain": "mm d-1"}
)
'''

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


def passes(target, folder):
    """Run the tester in a folder with ``case.toml``."""
    found = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "mgn")]
    path = os.pathsep.join([*found, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, target],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.fixture(autouse=True)
def tester():
    pytest.importorskip("bmi_tester", reason="the package bmi-tester is not installed")


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *CLASSES])
def test_csdms_tester_passes(name, tmp_path):
    target, needs = registry.BUILT_IN[name]
    if needs and find_spec(needs) is None:
        pytest.skip(f"the package {needs} is not installed")
    (tmp_path / "case.toml").write_text(CONFIGURATIONS.get(name, ""))
    if name in CLASSES:
        (tmp_path / "made.py").write_text(textwrap.dedent(CLASSES[name]) + MODEL)
        target = "made:Model"
    passes(target, tmp_path)


def test_csdms_tester_passes_on_modflow(simulations, tmp_path):
    """Each model in a process of its own: the tester has several at once, and a library has one."""
    made = """
        from hybridwater.components.isolation import IsolatedComponent as Base
        OPTIONS = {"target": "modflow"}
    """
    (tmp_path / "made.py").write_text(textwrap.dedent(made) + MODEL)
    (tmp_path / "case.toml").write_text(f"simulation = '{simulations / 'days'}'")
    passes("made:Model", tmp_path)


@pytest.mark.julia
def test_csdms_tester_passes_on_problems_of_sciml(tmp_path):
    (tmp_path / "problems.py").write_text(PROBLEM)
    (tmp_path / "case.toml").write_text("problem = 'problems:store'")
    passes(registry.BUILT_IN["sciml"].target, tmp_path)


def test_no_component_is_left_out():
    assert {*CONFIGURATIONS, *CLASSES, "modflow", "sciml"} == set(registry.BUILT_IN)
