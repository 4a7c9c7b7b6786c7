"""A small coupled case: rain from a table, a hill and a lake of the template, on one hill slope."""

from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr

CASE = """
[run]
name = "hill and lake"
start = 2001-01-01
end = 2001-03-01

[forcing.weather]
source = "csv"
path = "hill.csv"
units = { rain = "mm d-1" }

[components.hill]
kind = "hybridwater.components.template:Template"
area = 2e6
initial = 5.0

[components.lake]
kind = "hybridwater.components.template:Template"
area = 1e6
rate = 0.01

[[exchange]]
source = "weather.rain"
target = "hill.recharge_flux"
water = true

[[exchange]]
source = "hill.runoff_flux"
target = "lake.recharge_flux"
remap = [0]

[output]
directory = "run"
variables = { lake = ["reservoir_amount", "runoff_flux"] }

[restart]
every = "20 d"
"""

SOURCES = """
[ensemble]
members = 6
seed = 4

[ensemble.sources.rain]
kind = "forcing"
variable = "weather.rain"
factor = { lognormal = 0.4 }
time = "2 d"

[ensemble.sources.rates]
kind = "parameters"
values = { "lake.rate" = { uniform = [0.005, 0.02] } }
factors = { "hill.initial" = { lognormal = 0.2 } }

[ensemble.sources.start]
kind = "initial_state"
factors = { "lake.content" = { lognormal = 0.5 } }
"""


class Burst:
    """A residual model of one day on which water is missing, another amount at each gage."""

    draws: ClassVar = {}

    def sample(self, simulated, members, seed):
        missing = xr.DataArray([1.0, 2.0], {"gage": ["lower", "upper"]})
        day = simulated["time"] == simulated["time"][10]
        drawn = simulated + missing * day
        return drawn.transpose(*simulated.dims).expand_dims(member=members)


def write_case(folder, text=CASE):
    """Write a case file and its table; return the path of the case."""
    days = pd.date_range("2001-01-01", "2001-03-31")
    rain = np.random.default_rng(2).gamma(0.3, 12.0, len(days)).round(2)
    pd.DataFrame({"date": days, "rain": rain}).to_csv(folder / "hill.csv", index=False)
    path = folder / "case.toml"
    path.write_text(text)
    return path
