import numpy as np
import pytest

pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

import prms_runs as prms

from hybridwater.components import check, get_component


def test_is_a_linear_reservoir_with_the_share_of_the_day():
    (groundwater,) = prms.start("groundwater")
    share = groundwater._store.gwflow_coef
    before = groundwater.get_value_ptr("groundwater_amount").copy()
    groundwater.set_value("groundwater_recharge_flux", np.full(765, 3.0))
    groundwater.update()
    out = groundwater.get_value_ptr("groundwater_discharge_flux")
    np.testing.assert_allclose(out, (before + 3.0) * share, rtol=1e-13)
    left = groundwater.get_value_ptr("groundwater_amount")
    np.testing.assert_allclose(left, (before + 3.0) * (1 - share), rtol=1e-13)


def test_passes_the_checker():
    assert {f.state for f in check(get_component("prms-groundwater")(compile=False))} == {"ok"}
