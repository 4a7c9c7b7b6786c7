import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridwater.discovery import Comparison
from hybridwater.errors import DataError
from hybridwater.report import model_comparison


def compared(**failures: str) -> Comparison:
    table = pd.DataFrame(
        {
            "NSE train": [0.8, 0.9, float("nan")],
            "NSE test": [0.7, -3.0, float("nan")],
            "imbalance": [0.0, 1e-3, float("nan")],
            "uncertainty": [0.2, 0.5, float("nan")],
            "run (s)": [0.1, 0.2, float("nan")],
            "length": [-100.0, -103.0, float("nan")],
            "parameters": [5, 9, float("nan")],
            "weights": [0, 0, float("nan")],
        },
        index=["simple", "other", "broken"],
    )
    return Comparison(table, {}, {}, failures, xr.Dataset())


def test_a_row_per_model_that_worked():
    figure = model_comparison(compared(broken="It broke."))
    skill = figure.axes[0]
    assert [t.get_text() for t in skill.get_yticklabels()] == ["simple", "other"]
    assert "of simple" in figure.alt
    balance = figure.axes[1]
    assert balance.get_xlabel() == "imbalance (–)"  # noqa: RUF001
    assert balance.lines[0].get_xdata().tolist() == [1e-17, 1e-3]
    assert "water balance" in figure.caption


def test_models_without_a_balance_have_no_dot():
    """Instantaneous fluxes have no sum that storages could be held against."""
    nothing = compared(broken="It broke.")
    nothing.table["imbalance"] = float("nan")
    balance = model_comparison(nothing).axes[1]
    assert np.isnan(balance.lines[0].get_xdata()).all()
    assert balance.get_xlim()[1] == 1


def test_the_simplest_model_without_strong_evidence_against_it():
    assert compared().preferred == "simple"


def test_nothing_to_draw_is_told():
    everything = dict.fromkeys(("simple", "other", "broken"), "It broke.")
    with pytest.raises(DataError, match="every model failed"):
        model_comparison(compared(**everything))
