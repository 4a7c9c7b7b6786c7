"""A small coupled case with a learned exchange: air on a coarse mesh, land on a fine one."""

import numpy as np

from hybridwater.meshes import latlon_mesh

AIR, LAND = (latlon_mesh(np.arange(0, 5, d), np.arange(40, 45, d)) for d in (2.0, 1.0))
CASE = """
[run]
name = "air and land"
end = "8 d"

[meshes.coarse]
kind = "latlon"
lon_bounds = [0, 2, 4]
lat_bounds = [40, 42, 44]

[meshes.fine]
kind = "latlon"
lon_bounds = [0, 1, 2, 3, 4]
lat_bounds = [40, 41, 42, 43, 44]

[components.air]
kind = "hybridwater.components.template:Template"
mesh = "coarse"
inputs = { recharge_flux = 2.0 }
area = AREAS_OF_AIR
initial = [10.0, 20.0, 40.0, 80.0]

[components.land]
kind = "hybridwater.components.template:Template"
mesh = "fine"
area = AREAS_OF_LAND
initial = 5.0

[[exchange]]
source = "air.runoff_flux"
target = "land.recharge_flux"
remap = "learned"

[exchange.learned]
weights = "rain.safetensors"
features = { target = "land.nc" }
reads = ["land.reservoir_amount"]

[output]
directory = "run"
variables = { land = ["reservoir_amount"] }
"""
CASE = CASE.replace("AREAS_OF_AIR", str(AIR.areas.tolist()))
CASE = CASE.replace("AREAS_OF_LAND", str(LAND.areas.tolist()))
HEIGHT = np.linspace(0, 1, 16)


def write(folder, text=CASE):
    """Write the case file, and return its path."""
    path = folder / "case.toml"
    path.write_text(text)
    return path
