import sys
from pathlib import Path

# Helper modules beside the tests (reservoirs) are imported by name, also in processes that the
# tests spawn.
sys.path.insert(0, str(Path(__file__).parent))
