"""A small coupled case: rain from a table, a hill and a lake of the template, on one hill slope."""

import numpy as np
import pandas as pd

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


def write_case(folder, text=CASE):
    """Write a case file and its table; return the path of the case."""
    days = pd.date_range("2001-01-01", "2001-03-31")
    rain = np.random.default_rng(2).gamma(0.3, 12.0, len(days)).round(2)
    pd.DataFrame({"date": days, "rain": rain}).to_csv(folder / "hill.csv", index=False)
    path = folder / "case.toml"
    path.write_text(text)
    return path
