import os
from pathlib import Path

import pytest

# Where Julia has been set up, engine="auto" is Julia: the suite is that of the embedded engine, and
# tests of the other one name it.
os.environ.setdefault("HYBRIDWATER_ENGINE", "embedded")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data that tests use but the project does not carry."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HYBRIDWATER_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"real data are absent: no folder {folder} (set HYBRIDWATER_DATA)")
    return folder
