import numpy as np
import pytest

from hybridwater.components.configuration import per_cell, read_configuration, require_range
from hybridwater.components.gr4j import Gr4j
from hybridwater.errors import ComponentError


def test_a_file_has_the_keywords_of_the_constructor(tmp_path):
    path = tmp_path / "gr4j.toml"
    path.write_text(
        "area = [1e6, 2e6]\nx1 = 300\nstart = 1979-01-01\n[inputs]\nprecipitation_flux = 4.0\n"
        "water_potential_evaporation_flux = 1.0\n"
    )
    component = Gr4j()
    component.initialize(str(path))
    component.update()
    assert component.get_grid_size(0) == 2
    assert component.date().isoformat() == "1979-01-02T00:00:00"
    np.testing.assert_array_equal(component.get_value_ptr("precipitation_flux"), [4, 4])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("are = 3", "has no option 'are' (did you mean 'area'?)"),
        ("area = ", "is not TOML"),
        (None, "cannot be read"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, sentence):
    path = tmp_path / "case.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ComponentError) as error:
        read_configuration(Gr4j, path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)


def test_numbers_are_broadcast_to_cells():
    values = per_cell("x", a=1.0, b=[1.0, 2.0])
    np.testing.assert_array_equal(values["a"], [1, 1])
    values["a"][0] = 5  # writable
    with pytest.raises(ComponentError, match=r"'c' has the shape \(2, 2\)"):
        per_cell("x", c=np.ones((2, 2)), d=np.ones(4))


def test_ranges_name_the_cell():
    with pytest.raises(ComponentError, match=r"'k' is 3, which is outside \[0, 2\].*cell 1"):
        require_range("x", "k", np.array([1.0, 3.0]), 0, 2)
