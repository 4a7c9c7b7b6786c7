import importlib.util

import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import RiverNetwork, basin_map, column_mesh

BASINS = column_mesh([1e6, 2e6, 3e6], [[0, 50], [1, 50], [2, 50]], names=["a", "b", "c"])
RIVER = RiverNetwork([1, -1], [1000.0, 1000.0])


def test_water_arrives_where_it_should():
    remap = basin_map(BASINS, RIVER, [0, 0, -1])
    assert remap.amounts([1.0, 2.0, 4.0]).tolist() == [3.0, 0.0]
    assert remap.source_fraction.tolist() == [1.0, 1.0, 0.0]
    assert remap.imbalance([1.0, 2.0, 4.0]) == 0.0


def test_a_basin_may_drain_to_several_reaches():
    remap = basin_map(
        BASINS, RIVER, [0, 1, 0, 1], cells=[0, 0, 1, 2], fractions=[0.25, 0.75, 1.0, 0.5]
    )
    assert remap.amounts([4.0, 1.0, 2.0]).tolist() == [2.0, 4.0]
    assert remap.source_fraction.tolist() == [1.0, 1.0, 0.5]


def test_there_is_no_mean_over_a_line():
    with pytest.raises(MeshError, match="The cells of 'rivers' have no area"):
        basin_map(BASINS, RIVER, [0, 0, 1]).means(np.ones(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reaches": [0, 1]}, "There are 2 reaches, 2 fractions and 3 basins"),
        ({"reaches": [0, 1, 2]}, r"no reach 2: they are counted from 0 to 1.*PRMS counts"),
        ({"reaches": [0, 1, -2]}, "no reach -2"),
        ({"reaches": [0], "cells": [3]}, "no basin 3"),
        ({"reaches": [0, 0, 0], "fractions": [1.0, -0.5, 1.0]}, r"not between 0 and 1.*basin 'b'"),
        ({"reaches": [0, 1], "cells": [2, 2], "fractions": [0.7, 0.5]}, r"more \(1\.2\).*'c'"),
        ({"reaches": [0, 0, 0], "fractions": [1.0, np.nan, 1.0]}, "basin 'b'"),
    ],
)
def test_what_would_create_water_is_refused(arguments, message):
    with pytest.raises(MeshError, match=message):
        basin_map(BASINS, RIVER, **arguments)


def test_the_delaware_drains_what_the_survey_says():
    if importlib.util.find_spec("pywatershed") is None:
        pytest.skip("the Delaware data come with pywatershed")
    from hybridwater.data import read_delaware

    case = read_delaware()
    place = np.stack([case.forcing["longitude"].values, case.forcing["latitude"].values], axis=1)
    basins = column_mesh(case.forcing["area"].values * 1e6, place)
    river = RiverNetwork.from_dataset(case.structure)
    remap = basin_map(basins, river, case.structure["hru_segment"].values)
    drained = river.accumulate(remap.amounts(basins.areas))
    # drainage areas that the US Geological Survey has measured for its gages
    segment = case.observed["gage_segment"].values
    ratio = drained[segment] / 1e6 / case.observed["drainage_area"].values
    assert abs(np.nanmedian(ratio) - 1) < 0.02
    trenton = case.observed["gage"].values.tolist().index("01463500")
    assert ratio[trenton] == pytest.approx(1.0, abs=1e-3)
