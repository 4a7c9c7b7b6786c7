import dataclasses

import numpy as np
import pytest
import sympy
import xarray as xr

from hybridwater.discovery import Front, Proposal
from hybridwater.errors import DataError
from hybridwater.report import equation_front
from hybridwater.ude import Equation


@pytest.fixture
def front() -> Front:
    soil = np.linspace(0, 100, 50)
    samples = xr.Dataset(
        {"learned": ("sample", soil**2, {"units": "mm d-1"})},
        {"soil": ("sample", soil, {"units": "mm"})},
    )
    equation = Equation(sympy.Symbol("soil", real=True))
    proposals = tuple(
        Proposal(equation, c, c - 1, e, "proportional(soil)", soil)
        for c, e in ((2, 0.6), (4, 0.99), (9, 0.999))
    )
    return Front("q", "mm d-1", proposals, 1, "Because.", 0.02, samples)


def test_front_and_samples(front):
    figure = equation_front(front)
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [0.4, 0.01, 0.001])
    assert right.get_xlabel() == "soil (mm)"
    assert "recommended" in figure.caption
    assert "Because." in figure.alt


def test_nothing_recommended(front):
    figure = equation_front(dataclasses.replace(front, chosen=None))
    assert "none is recommended" in figure.caption
    assert len(figure.axes[1].lines) == 1


def test_empty_front_is_refused(front):
    with pytest.raises(DataError, match="no equation"):
        equation_front(dataclasses.replace(front, proposals=(), chosen=None))
