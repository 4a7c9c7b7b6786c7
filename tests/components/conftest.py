import subprocess
import sys
from pathlib import Path

import pytest

# Helper modules beside the tests (bmi_models, prms_runs) are imported by name, also in processes
# that the tests spawn; so is runoff_case of the tests of mgn.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "mgn"))


@pytest.fixture(scope="session")
def library():
    """The library of MODFLOW 6."""
    pytest.importorskip("modflowapi", reason="the package modflowapi is not installed")
    from hybridwater.components.modflow_simulation import find_library
    from hybridwater.errors import MissingDependency

    try:
        return find_library()
    except MissingDependency as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def program(library):
    """The program of the same version as the library, as its releases and builds place it."""
    name = "mf6.exe" if sys.platform == "win32" else "mf6"
    for folder in (library.parent, library.parents[1] / "bin"):
        if (folder / name).is_file():
            return folder / name
    return None


@pytest.fixture(scope="session")
def simulations(library, program, tmp_path_factory):
    """All simulations of `aquifers`, written by flopy in a process of its own."""
    import aquifers

    pytest.importorskip("flopy", reason="the package flopy is not installed")
    folder = tmp_path_factory.mktemp("modflow")
    command = [sys.executable, aquifers.__file__, folder, *([program] if program else [])]
    subprocess.run(command, check=True, capture_output=True)
    return folder
