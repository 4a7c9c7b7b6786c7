import numpy as np
import pytest

from hybridwater.components import check
from hybridwater.components.template import Template


def test_is_exact_for_a_constant_inflow():
    component = Template(rate=0.1, initial=10.0, inputs={"recharge_flux": 0.5})
    component.initialize()
    component.update_until(7.0)
    exact = 5.0 + 5.0 * np.exp(-0.7)
    assert component.get_value_ptr("reservoir_amount")[0] == pytest.approx(exact, rel=1e-14)


def test_passes_the_checker():
    assert {f.state for f in check(Template())} == {"ok"}
