"""Cumulative water balance."""

from __future__ import annotations

import pytest

from hybridwater.errors import DataError, UnitError
from hybridwater.report import water_balance


def test_panels_and_legend(balance):
    figure = water_balance(balance)
    fluxes, storage, residual = figure.axes
    assert fluxes.get_ylabel() == "cumulative flux (mm)"
    assert "(mm)" in storage.get_ylabel()
    assert residual.get_ylabel() == "residual\n(mm)"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "in:  precipitation  3600 mm",
        "out:  evapotranspiration  2400 mm",
        "out:  discharge  1080 mm",
        "stored:  storage change  120 mm",
    ]


def test_caption_states_largest_residual(balance):
    figure = water_balance(balance, basin="03604000")
    assert "Largest residual 2.5 × 10⁻¹² mm, 6.9 × 10⁻¹⁶ of all inflow" in figure.caption  # noqa: RUF001
    assert "precipitation 3600 mm" in figure.alt


def test_depths_are_converted_to_millimetres(balance):
    metres = balance.assign(prcp=(balance["prcp"] / 1000).assign_attrs(balance["prcp"].attrs))
    metres["prcp"].attrs["units"] = "m"
    labels = [text.get_text() for text in water_balance(metres).legends[0].get_texts()]
    assert labels[0] == "in:  precipitation  3600 mm"


def test_unknown_role_is_refused(balance):
    balance["q"].attrs["role"] = "outt"
    with pytest.raises(DataError, match=r"role 'outt'.*Where: q\."):
        water_balance(balance)


@pytest.mark.parametrize("gone", [["residual"], ["storage_change"], ["prcp", "et", "q"]])
def test_incomplete_balance_is_refused(balance, gone):
    with pytest.raises(DataError, match="not complete"):
        water_balance(balance.drop_vars(gone))


def test_rates_are_refused(balance):
    balance["et"].attrs["units"] = "mm d-1"
    with pytest.raises(UnitError, match="'et' has the unit"):
        water_balance(balance)


def test_all_missing_is_refused(balance):
    balance["et"] = balance["et"].where(False)
    with pytest.raises(DataError, match="et series has no values"):
        water_balance(balance)
