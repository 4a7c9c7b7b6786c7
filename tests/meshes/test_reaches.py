import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hybridwater.errors import MeshError
from hybridwater.meshes import (
    RiverNetwork,
    column_mesh,
    latlon_mesh,
    polygon_mesh,
    reach_map,
    read_remap,
    write_remap,
)


def river(count=1):
    return RiverNetwork([-1] * count, [1000.0] * count)


def squares(n=4):
    """Squares of 1 km, row by row."""
    return polygon_mesh(
        [
            shapely.box(1e3 * i, 1e3 * j, 1e3 * (i + 1), 1e3 * (j + 1))
            for j in range(n)
            for i in range(n)
        ]
    )


def moved(line, mesh):
    return reach_map(river(), mesh, [line]).amounts([1.0])


def test_water_is_shared_by_the_length_in_each_cell():
    # 1 km in the first cell, 1 km along the diagonal of the third of the lower row
    found = moved([[500, 500], [2000, 500], [2500, 1000]], squares())
    total = 1500 + np.hypot(500, 500)
    expected = np.zeros(16)
    expected[[0, 1, 2]] = np.array([500, 1000, np.hypot(500, 500)]) / total
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_what_runs_along_an_edge_is_half_in_either_cell():
    found = moved([[1000, 0], [1000, 1000]], squares())
    assert found[[0, 1]] == pytest.approx([0.5, 0.5], rel=1e-15)
    rim = moved([[0, 0], [0, 2000]], squares())  # no cell on the other side
    assert rim[[0, 4]] == pytest.approx([0.5, 0.5], rel=1e-15)


def test_what_lies_outside_goes_to_no_cell():
    remap = reach_map(river(2), squares(), [[[-1000, 500], [1000, 500]], [[-9, -9], [-5, -5]]])
    np.testing.assert_allclose(remap.source_fraction, [0.5, 0.0])


def test_a_hole_is_no_part_of_its_cell():
    ring = shapely.box(0, 0, 3000, 1000).difference(shapely.box(1000, 250, 2000, 750))
    remap = reach_map(river(), polygon_mesh([ring]), [[[0, 500], [3000, 500]]])
    assert remap.source_fraction[0] == pytest.approx(2 / 3, rel=1e-14)


@pytest.mark.parametrize("shift", [0.0, 360.0, 179.5, -179.5])
def test_longitudes_meet_whatever_turn_they_are_of(shift):
    mesh = latlon_mesh(np.arange(-2, 3.0) + shift, np.arange(50, 54.0))
    for turn in (0.0, 360.0, -360.0):
        line = np.add([[-1.5, 50.5], [0.5, 50.5]], [shift + turn, 0.0])
        found = reach_map(river(), mesh, [line]).amounts([1.0])
        np.testing.assert_allclose(found[:3], [0.25, 0.5, 0.25], rtol=1e-9)


def test_a_degree_of_longitude_is_shorter_than_one_of_latitude():
    mesh = latlon_mesh(np.array([0.0, 0.5, 1.0]), np.array([59.0, 61.0]))
    line = [[0.25, 60.25], [0.25, 59.75], [0.75, 59.75], [0.75, 60.25]]
    remap = reach_map(river(), mesh, [line])
    assert remap.amounts([1.0]) == pytest.approx([0.5, 0.5])
    bent = [[0.25, 60.0], [0.5, 60.0], [0.5, 60.125], [0.5, 59.875]]
    # half as wide as high: 0.125 to the east, and then 0.375 along the edge
    share = reach_map(river(), mesh, [bent]).amounts([1.0])[0]
    assert share == pytest.approx((0.125 + 0.375 / 2) / 0.5, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(line=hnp.arrays(float, (5, 2), elements=st.floats(0, 4000).map(lambda x: round(x, 1))))
def test_all_of_a_reach_inside_arrives(line):
    if np.ptp(line, axis=0).max() == 0.0:
        return
    remap = reach_map(river(), squares(), [line])
    assert remap.source_fraction[0] == pytest.approx(1.0, abs=1e-12)
    assert (remap.shares.data > 0.0).all()
    assert remap.source_fraction[0] <= 1.0 + 1e-12


def test_it_goes_through_a_file(tmp_path):
    remap = reach_map(river(), squares(), [[[500, 500], [3500, 500]]])
    back = read_remap(write_remap(remap, tmp_path / "map.nc"))
    assert (back.amounts([2.0]) == remap.amounts([2.0])).all()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([[[0, 0], [1, 1]], [[0, 0], [1, 1]]], "2 lines for 1 reaches"),
        ([shapely.box(0, 0, 1, 1)], "some are no lines"),
        ([[[5, 5], [5, 5]]], "no length"),
        ([[[5, 5]]], "cannot be made"),
        ([[[-5, -5], [-9, -9]]], "No reach crosses"),
        (["river"], "cannot be made"),
    ],
)
def test_refusals(lines, words):
    with pytest.raises(MeshError, match=words):
        reach_map(river(), squares(), lines)


def test_columns_have_no_outlines():
    with pytest.raises(MeshError, match="no outlines"):
        reach_map(river(), column_mesh([1.0], [[0, 0]]), [[[0, 0], [1, 1]]])
