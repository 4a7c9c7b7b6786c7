"""PRMS's distribution of weather, radiation, potential evapotranspiration and transpiration season.

pywatershed computes it for the whole period at once, from files. Coupled runs hand over one day at
a time; here the same functions of pywatershed see a period of one day, and the one thing that
remembers, the beginning of the transpiration season, is stepped (PRMS module ``transp_tindex``).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

#: What the other processes of the land read.
OUTPUTS = (
    "hru_ppt",
    "hru_rain",
    "hru_snow",
    "potet",
    "pptmix",
    "prmx",
    "orad_hru",
    "swrad",
    "tavgc",
    "tmaxc",
    "tminc",
)


class DailyAtmosphere:
    """The atmosphere of PRMS, one day at a time.

    Parameters
    ----------
    parameters : pywatershed.parameters.PrmsParameters
        Parameters.
    start : numpy.datetime64
        First day.

    Attributes
    ----------
    current : dict of str to numpy.ndarray
        Outputs of the last day, each of shape (hru,), in PRMS's units (inch, degF, degC, langley).
    """

    def __init__(self, parameters: Any, start: np.datetime64) -> None:
        from pywatershed import Control, PRMSAtmosphere, PRMSSolarGeometry

        control = Control(start, start, np.timedelta64(24, "h"), options={"verbosity": 0})
        solar = PRMSSolarGeometry(control=control, discretization=None, parameters=parameters)
        solar._advance_variables()
        self._model = PRMSAtmosphere(
            control=control,
            discretization=None,
            parameters=parameters,
            **dict.fromkeys(PRMSAtmosphere.get_inputs()),
        )
        n = self._model.nhru
        self._records = {name: np.zeros((1, n)) for name in ("prcp", "tmin", "tmax")}
        given = self._model._input_variables_dict
        for name, array in self._records.items():
            given[name] = SimpleNamespace(data=array)
        for name in ("soltab_potsw", "soltab_horad_potsw"):
            given[name] = solar[name]
        self._potential_sun = solar["soltab_horad_potsw"]
        self.current = {name: self._model[name].data[0].copy() for name in OUTPUTS}
        self.current["soltab_horad_potsw"] = self._potential_sun.data[0].copy()
        self._start_season(start)

    def step(
        self, date: np.datetime64, prcp: np.ndarray, tmin: np.ndarray, tmax: np.ndarray
    ) -> None:
        """Compute a day.

        Parameters
        ----------
        date : numpy.datetime64
            The day.
        prcp : numpy.ndarray
            Precipitation [inch], shape (hru,).
        tmin, tmax : numpy.ndarray
            Extremes of air temperature [degF], shape (hru,).
        """
        model = self._model
        for name, values in (("prcp", prcp), ("tmin", tmin), ("tmax", tmax)):
            self._records[name][0] = values
        day = date.astype("datetime64[D]")
        month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
        model._time[:] = date
        model._month_ind_12 = np.array([month - 1])
        model._month_ind_1 = np.zeros(1, int)
        model.adjust_temperature()
        model.adjust_precip()
        model.calculate_sw_rad_degree_day()
        model.calculate_potential_et_jh()
        for name in OUTPUTS:
            self.current[name][:] = model[name].data[0]
        day_of_year = int((day - day.astype("datetime64[Y]")).astype(int))
        self.current["soltab_horad_potsw"][:] = self._potential_sun.data[day_of_year]
        first = int((day - day.astype("datetime64[M]")).astype(int)) == 0
        self._season(month, first, model["tmaxf"].data[0])

    def state_arrays(self) -> dict[str, np.ndarray]:
        """Return the live arrays that are remembered from day to day, and the outputs."""
        return {**self.current, "checking": self._checking, "heat": self._heat}

    def _start_season(self, start: np.datetime64) -> None:
        model, day = self._model, start.astype("datetime64[D]")
        month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
        day_of_year = int((day - day.astype("datetime64[Y]")).astype(int)) + 1
        begin, end = model.transp_beg, model.transp_end
        begins = begin == month
        inside = np.where(
            end > begin,
            (month > begin) & (month < end),
            (month > begin) | (month < end),
        )
        on = np.where(begins, day_of_year > 10, inside)
        dtype = model["transp_on"].data.dtype
        self.current["transp_on"] = on.astype(dtype)
        self._checking = (begins & (day_of_year <= 10)).astype(dtype)
        self._heat = np.zeros(model.nhru)
        fahrenheit = model.temp_units == 0
        self._needed = np.where(fahrenheit, model.transp_tmax, model.transp_tmax * (9 / 5) + 32)

    def _season(self, month: int, first: bool, tmax: np.ndarray) -> None:
        """Switch transpiration on once enough heat has come together, and off at its end."""
        on, checking, heat = self.current["transp_on"], self._checking, self._heat
        if first:
            ends, begins = self._model.transp_end == month, self._model.transp_beg == month
            on[ends] = 0
            checking[ends] = 0
            checking[begins] = 1
            heat[ends | begins] = 0
        heat += np.where((checking == 1) & (tmax > 32), tmax, 0)
        reached = (checking == 1) & (heat > self._needed)
        on[reached] = 1
        checking[reached] = 0
        heat[reached] = 0
