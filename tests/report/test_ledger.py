import numpy as np
import pytest

from hybridwater.components.template import Template
from hybridwater.coupling import CoupledModel
from hybridwater.errors import DataError
from hybridwater.report import water_ledger
from hybridwater.report.ledger import relative_residual


def model(**options):
    up = Template(inputs={"recharge_flux": 3.0}, **options)
    return CoupledModel(
        {"up": up, "down": Template(rate=0.02, **options)},
        [{"source": "up.runoff_flux", "target": "down.recharge_flux"}],
    )


@pytest.mark.parametrize("options", [{}, {"start": "1990-10-01"}])
def test_components_are_drawn_with_what_crossed_and_what_stayed(options):
    made = model(**options)
    made.run("500 d")
    ledger = made.ledger()
    figure = water_ledger(ledger)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:4:2] == ["up", "down"]
    stored = figure.axes[1].lines[0].get_ydata()
    assert stored[-1] == pytest.approx(float(ledger["total_storage_change"][0]) / 1e9)
    assert "2 components" in figure.caption
    assert float(relative_residual(ledger).max()) < 1e-12


def test_what_is_missing_is_relative_to_the_water_there_is():
    made = model()
    made.run("3 d")
    ledger = made.ledger()
    ledger["residual"] = ledger["residual"] + 1e3
    scale = ledger["storage"].sum("component") + abs(ledger["boundary_flux"]).sum("flux")
    assert (relative_residual(ledger) < 1e3 / scale.values).all()
    assert np.isfinite(relative_residual(ledger)).all()


def test_an_empty_ledger_is_refused():
    with pytest.raises(DataError, match="no row"):
        water_ledger(model().ledger())
