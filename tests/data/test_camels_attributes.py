import pandas as pd
import pytest

from hybridwater import units
from hybridwater.data.camels_attributes import (
    ATTRIBUTES,
    CLASS_ATTRIBUTES,
    DISCHARGE_ATTRIBUTES,
)


def test_every_unit_is_known():
    for unit, meaning in ATTRIBUTES.values():
        units.parse(unit)
        assert meaning


def test_every_column_of_the_table_is_known(shared_data):
    table = pd.read_csv(shared_data / "camels_us" / "camels_attributes.csv", nrows=1)
    assert set(table.columns) - {"gauge_id"} == set(ATTRIBUTES) | set(CLASS_ATTRIBUTES)


@pytest.mark.parametrize(
    "prefix", ["q_", "runoff_ratio", "slope_fdc", "baseflow_index", "stream_elas", "high_q_",
               "low_q_", "zero_q_freq", "hfd_mean", "q5", "q95"]
)  # fmt: skip
def test_attributes_from_discharge_are_listed(prefix):
    concerned = {name for name in ATTRIBUTES if name.startswith(prefix)}
    assert concerned
    assert concerned <= set(DISCHARGE_ATTRIBUTES)
