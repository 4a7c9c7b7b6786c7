"""Figures become files."""

from __future__ import annotations

import pytest

from hybridwater.errors import DataError
from hybridwater.report import save_figures, style


@pytest.fixture
def figure() -> style.ReportFigure:
    figure = style.new_figure(2)
    figure.subplots().plot([1, 2], [3, 4])
    return figure


def test_figures_are_png_and_repeatable(figure, tmp_path):
    first, second = save_figures(tmp_path / "new" / "folder", {"a": figure, "b": figure})
    assert first == tmp_path / "new" / "folder" / "a.png"
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "a\0b", "c:\\x"])
def test_names_that_are_not_plain_are_refused(figure, tmp_path, name):
    with pytest.raises(DataError, match="not a plain file name"):
        save_figures(tmp_path, {"good": figure, name: figure})
    assert list(tmp_path.iterdir()) == []
