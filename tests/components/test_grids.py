import numpy as np
import pytest

from hybridwater.components.grids import cells, network
from hybridwater.errors import ComponentError


def test_one_cell_without_coordinates_is_a_scalar():
    grid = cells(1)
    assert (grid.type, grid.rank, grid.size) == ("scalar", 0, 1)


def test_cells_lie_where_they_are_said_to():
    grid = cells(3, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert (grid.type, grid.rank) == ("unstructured", 2)
    np.testing.assert_array_equal(grid.coordinates[1], [4, 5, 6])


def test_edges_of_a_network_lead_downstream():
    grid = network(np.array([2, 2, 3, -1]))
    np.testing.assert_array_equal(grid.edges, [[0, 2], [1, 2], [2, 3]])
    assert grid.count("edge") == 3
    assert grid.count("node") == 4


@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, 2.0, np.nan]])
def test_coordinates_must_fit(x):
    with pytest.raises(ComponentError, match="coordinate 'x'"):
        cells(3, x, [0.0, 0.0, 0.0])


def test_no_cells_are_refused():
    with pytest.raises(ComponentError, match="without cells"):
        cells(0)


def test_values_on_faces_are_refused():
    with pytest.raises(ComponentError, match="no values at 'face'"):
        cells(3).count("face")
