import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from hybridwater.components import check
from hybridwater.components.gr4j import Gr4j
from hybridwater.errors import ComponentError

# Parameters of the authors' spreadsheet, as its cells transform them.
SPREADSHEET = {
    "x1": np.exp(5.76865628090826),
    "x2": np.sinh(1.61742503661094),
    "x3": np.exp(4.24316129943456),
    "x4": np.exp(-0.117506799276908) + 0.5,
    "production": 0.6,
    "routing": 0.7,
}


def run(component, prcp, pet):
    flows = []
    for p, e in zip(prcp, pet, strict=True):
        component.set_value("precipitation_flux", np.broadcast_to(p, (component._S.size,)))
        component.set_value(
            "water_potential_evaporation_flux", np.broadcast_to(e, (component._S.size,))
        )
        component.update()
        flows.append(component.get_value_ptr("runoff_flux").copy())
    return np.array(flows)


def test_is_the_authors_spreadsheet(shared_data):
    oracle = pd.read_csv(shared_data / "oracles" / "gr4j_excel_rrmpg.csv")
    component = Gr4j(**SPREADSHEET)
    component.initialize()
    flows = run(component, oracle["prec"], oracle["etp"])
    assert len(flows) == 730
    np.testing.assert_allclose(flows[:, 0], oracle["qsim_excel"], rtol=0, atol=1e-9)


def test_cells_do_not_see_each_other():
    random = np.random.default_rng(1)
    prcp, pet = random.gamma(0.5, 10, (200, 3)), random.uniform(0, 5, (200, 3))
    x4, x2 = np.array([0.5, 1.7, 4.3]), np.array([-3.0, 0.0, 2.0])
    together = Gr4j(x4=x4, x2=x2, area=[1e6, 2e6, 3e6])
    together.initialize()
    flows = run(together, prcp, pet)
    for k in range(3):
        alone = Gr4j(x4=x4[k], x2=x2[k])
        alone.initialize()
        np.testing.assert_allclose(run(alone, prcp[:, k], pet[:, k])[:, 0], flows[:, k], rtol=1e-13)


@settings(max_examples=30, deadline=None)
@given(
    x1=st.floats(10, 2000),
    x2=st.floats(-10, 10),
    x3=st.floats(1, 500),
    x4=st.floats(0.5, 6),
    rain=st.lists(st.floats(0, 300), min_size=5, max_size=40),
)
def test_water_balance_closes_for_any_parameters(x1, x2, x3, x4, rain):
    component = Gr4j(x1=x1, x2=x2, x3=x3, x4=x4, area=2.5e6)
    component.initialize()
    begin = sum(s.sum() for s in component.storage().values())
    entered = moved = 0.0
    for p in rain:
        run(component, [p], [3.0])
        fluxes = component.boundary_fluxes().values()
        entered += sum(f.sum() for f in fluxes)
        moved += sum(abs(f).sum() for f in fluxes)
        assert all((s >= 0).all() for s in component.storage().values())
    end = sum(s.sum() for s in component.storage().values())
    assert abs(end - begin - entered) <= 1e-12 * (moved + begin + end)


def test_passes_the_checker():
    assert {f.state for f in check(Gr4j(area=[1e6, 4e6], x2=-1.5))} == {"ok"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"x1": -1.0}, "'x1' is -1, which is outside"),
        ({"x4": 0.2}, "'x4' is 0.2, which is outside [0.5, inf]"),
        ({"production": 1.2}, "'production' is 1.2"),
        ({"x1": [1.0, 2.0], "x3": [1.0, 2.0, 3.0]}, "'x1' has the shape (2,), but 'x3' has 3"),
        ({"x2": np.nan}, "'x2' is not finite"),
    ],
)
def test_bad_parameters_are_refused(options, sentence):
    with pytest.raises(ComponentError) as error:
        Gr4j(**options)
    assert sentence in str(error.value)
    assert "component 'gr4j'" in str(error.value)
