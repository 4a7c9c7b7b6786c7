"""What the components that wrap processes of pywatershed share.

pywatershed (U.S. Geological Survey, CC0) is PRMS in Python: McCreight, Langevin and Hughes,
"pywatershed: a Python hydrologic model", and Markstrom et al. (2015), PRMS-IV, USGS Techniques and
Methods 6-B7, doi:10.3133/tm6B7. Its processes exchange arrays of inches over hydrologic response
units (HRUs); the ports here are masses per area, and volumes of rivers, in SI units.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells
from hybridwater.data.packages import package_folder
from hybridwater.errors import ComponentError

#: kg m-2 per inch of water, and kg per cubic foot, at 1000 kg m-3.
INCH = 25.4
CUBIC_FOOT = 0.3048**3 * 1000.0
#: m2 per acre of 43,560 square feet, as PRMS counts them.
ACRE = 43560.0 * 0.3048**2

_DAY = np.timedelta64(24, "h")
COMPILED: dict[tuple[str, str], Any] = {}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep pywatershed's progress lines and warnings about its own code to itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def read_parameters(path: str | Path | None) -> Any:
    """Read a PRMS parameter file.

    Parameters
    ----------
    path : str or pathlib.Path, optional
        The file; the one of the Delaware River Basin that pywatershed carries if left out.

    Returns
    -------
    pywatershed.parameters.PrmsParameters

    Raises
    ------
    ComponentError
        If there is no such file.
    """
    with quietly():
        if path is None:
            path = package_folder("pywatershed", "data", "drb_2yr") / "myparam.param"
        path = Path(path).absolute()
        if not path.is_file():
            raise ComponentError("The PRMS parameter file does not exist.", str(path))
        return _parsed(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _parsed(path: Path, changed: int) -> Any:
    """Return the parameters of a file as it was changed last; they cannot be written to.

    Three components read the same file, and every member of an ensemble does.
    """
    from pywatershed.parameters import PrmsParameters

    return PrmsParameters.load(path)


class PrmsComponent(DeclaredComponent):
    """Processes of pywatershed, stepped together day by day.

    Parameters
    ----------
    parameters : str or pathlib.Path, optional
        PRMS parameter file; the Delaware River Basin (765 HRUs) if left out.
    start, end : str or date
        First day, and the day after the last.
    compile : bool
        Whether to compile the processes with numba: a minute once per process of Python, and 30
        times faster afterwards.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the HRUs (grid 0).
    """

    def __init__(
        self,
        *,
        parameters: str | Path | None = None,
        start: str | dt.date = "1979-01-01",
        end: str | dt.date | None = None,
        compile: bool = True,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(start=start, end=end, inputs=inputs, meshes={0: mesh})
        self._path, self._compile = parameters, bool(compile)
        self._processes: dict[str, Any] = {}
        self._control: Any = None

    def _make_grids(self) -> dict[int, Grid]:
        self._all = read_parameters(self._path)
        values = self._all.parameters
        self._area = np.array(values["hru_area"], float) * ACRE
        return {0: cells(self._area.size, values.get("hru_lon"), values.get("hru_lat"))}

    def _cell_areas(self, grid: int) -> np.ndarray | None:
        return self._area if grid == 0 else None

    def initialize(self, config_file: str = "") -> None:
        """Begin at the first day; see `DeclaredComponent.initialize`."""
        super().initialize(config_file)
        self._parameters_used = {
            name: np.asarray(value)
            for process in self._processes.values()
            for name, value in process._params.parameters.items()
        }

    def _configuration(self) -> dict[str, Any]:
        return self._parameters_used

    def _start_control(self) -> None:
        from pywatershed import Control

        start = np.datetime64(self._start, "s")
        beyond = start + np.timedelta64(365 * 500, "D")  # the end is kept by the component
        self._control = Control(start, beyond, _DAY, options={"verbosity": 0})

    def _add(self, process: type, parameters: Any, **options: Any) -> Any:
        """Make a process; `_connect` gives it its inputs."""
        name = process.__name__
        ready = any(known == name for known, _ in COMPILED)
        method = "numba" if self._compile and not ready else "numpy"
        options = options or {"calc_method": method}
        made = process(
            control=self._control,
            discretization=None,
            parameters=parameters,
            **dict.fromkeys(process.get_inputs()),
            budget_type=None,
            **options,
        )
        share_compiled(made, name, self._compile)
        self._processes[name] = made
        return made

    def _connect(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Make every input a view of another process's variable, or of one of these arrays."""
        from pywatershed.base.adapter import adapter_factory

        owners = {v: p for p in self._processes.values() for v in p.variables}
        for process in self._processes.values():
            for name in process.get_inputs():
                source = arrays[name] if name in arrays else owners[name][name]
                process.set_input_to_adapter(name, adapter_factory(source, control=self._control))

    def _run(self) -> None:
        """Advance all processes by a day, in the order in which they were added."""
        self._follow(int(self._steps))
        self._control.advance()
        for process in self._processes.values():
            process.advance()
        for process in self._processes.values():
            process.calculate(1.0)

    def _follow(self, steps: int) -> None:
        """Bring the clocks of pywatershed to that many steps after the start."""
        control = self._control
        control._itime_step = steps - 1
        control._current_time = control.init_time + steps * _DAY
        for process in self._processes.values():
            process._itime_step = steps - 1

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{attribute}": array
            for name, process in self._processes.items()
            for attribute, array in vars(process).items()
            if isinstance(array, np.ndarray)
            and attribute not in process.parameters
            and array.flags.writeable
        }


def share_compiled(process: Any, name: str, wanted: bool) -> None:
    """Take over what another process of the class has compiled already, or keep what this one has.

    pywatershed makes new functions of numba in every object; each would be compiled anew.
    """
    if not wanted:
        return
    from numba.core.dispatcher import Dispatcher

    for attribute, value in vars(process).items():
        if isinstance(value, Dispatcher):
            COMPILED[name, attribute] = value
    for (known, attribute), value in COMPILED.items():
        if known == name:
            setattr(process, attribute, value)
