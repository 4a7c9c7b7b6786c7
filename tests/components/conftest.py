import sys
from pathlib import Path

# Helper modules beside the tests (bmi_models, prms_runs) are imported by name, also in processes
# that the tests spawn; so is runoff_case of the tests of mgn.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "mgn"))
