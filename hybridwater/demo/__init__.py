"""The demo: one hybrid for many real catchments, beside the conceptual model it is built on.

Data come from the package pywatershed: the Delaware River Basin, 1979 and 1980, daily. Fifteen
months are too short to train networks on one catchment: they fit its training period and lose on
held-out time. So the networks are shared by all catchments, each of which keeps parameters of its
own, as it does in the conceptual model, EXP-Hydro, that is calibrated in the same months. What the
networks see is relative (soil water as a share of its capacity), so that one network can serve
catchments of different size.
"""

from hybridwater.demo.basin import Coupled, run_coupled
from hybridwater.demo.catchments import demo_model, demo_schedule, usable_gages
from hybridwater.demo.forecast import Forecast, run_forecast
from hybridwater.demo.running import Demo, run_demo

__all__ = [
    "Coupled",
    "Demo",
    "Forecast",
    "demo_model",
    "demo_schedule",
    "run_coupled",
    "run_demo",
    "run_forecast",
    "usable_gages",
]
