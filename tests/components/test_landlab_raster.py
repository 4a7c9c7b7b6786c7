import numpy as np
import pytest

pytest.importorskip("landlab", reason="the package landlab is not installed")

from hybridwater.components import check
from hybridwater.components.bmi import plug_in
from hybridwater.components.landlab_groundwater import LandlabGroundwater
from hybridwater.errors import ComponentError

CONFIG = """
linear_diffuser:
    linear_diffusivity: 0.01
clock:
    start: 0.0
    stop: 1000.0
    step: 2.0
    units: s
grid:
    RasterModelGrid:
    - [5, 6]
    - xy_spacing: [10.0, 10.0]
    - fields:
        node:
          topographic__elevation:
            constant:
              - value: 1.0
"""


def test_a_landlab_component_plugs_in_through_landlabs_own_bmi(tmp_path):
    from landlab.bmi import wrap_as_bmi
    from landlab.components import LinearDiffuser

    path = tmp_path / "diffuser.yaml"
    path.write_text(CONFIG)
    component = plug_in(wrap_as_bmi(LinearDiffuser))(
        units={"boundary_condition_flag": "1"}, rates=set()
    )
    component.initialize(str(path))
    elevation = np.ones(30)
    elevation[14] = 5.0
    component.set_value("topographic__elevation", elevation)
    for _ in range(10):
        component.update()
    after = component.get_value("topographic__elevation", np.empty(30))
    assert 1.0 < after[14] < 5.0
    assert component.get_current_time() == 20.0
    assert not component.has_state
    passed = {f.rule: f.state for f in check(component, config_file=str(path))}
    assert passed["mass"] == passed["state"] == "skipped"
    assert passed["time"] == passed["values"] == passed["arrays"] == "ok"


def test_fields_of_cells_are_extended_to_the_ring():
    component = LandlabGroundwater(
        shape=(2, 3), elevation=[[10.0, 11, 12], [13, 14, 15]], open_edges=("left",)
    )
    component.initialize()
    grid = component._grid_of_landlab
    surface = grid.at_node["topographic__elevation"].reshape(4, 5)
    np.testing.assert_array_equal(surface[:, 0], [10, 10, 13, 13])
    np.testing.assert_array_equal(surface[0], [10, 10, 11, 12, 12])
    assert set(grid.open_boundary_nodes) == {5, 10}
    np.testing.assert_array_equal(component.get_grid_shape(0, np.empty(2, int)), [2, 3])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": (0, 3)}, "0 x 3 cells"),
        ({"open_edges": ("botom",)}, "no edge 'botom' (did you mean 'bottom'?)"),
        ({"elevation": np.ones(7)}, "'topographic__elevation' has the shape (7,)"),
        ({"spacing": (10.0, -1.0)}, "positive spacing"),
    ],
)
def test_bad_rasters_are_refused(options, sentence):
    with pytest.raises(ComponentError) as error:
        LandlabGroundwater(**options)
    assert sentence in str(error.value)
