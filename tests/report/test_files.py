"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager

import pytest

from hybridwater.errors import DataError
from hybridwater.report import save_figures, style
from hybridwater.report.files import write_bytes


@pytest.fixture
def figure() -> style.ReportFigure:
    figure = style.new_figure(2)
    figure.subplots().plot([1, 2], [3, 4])
    return figure


@contextmanager
def small_files_only():
    """Let the system refuse files above 1000 bytes, as a full disk would, half way through.

    No longer than a test needs it: pytest's own output may be a file, too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_figures_are_png_and_repeatable(figure, tmp_path):
    first, second = save_figures(tmp_path / "new" / "folder", {"a": figure, "b": figure})
    assert first == tmp_path / "new" / "folder" / "a.png"
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == second.read_bytes()


def test_write_that_fails_half_way_leaves_nothing(tmp_path):
    refused = pytest.raises(DataError, match=r"could not be written.*write elsewhere")
    with refused, small_files_only():
        write_bytes(tmp_path / "report.html", b"x" * 5000)
    assert list(tmp_path.iterdir()) == []


def test_write_that_fails_keeps_the_old_file(tmp_path):
    write_bytes(tmp_path / "report.html", b"old")
    with pytest.raises(DataError), small_files_only():
        write_bytes(tmp_path / "report.html", b"x" * 5000)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_bytes() == b"old"


def test_full_disk_says_so(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left on device.*Free some space"):
        write_bytes(tmp_path / "report.html", b"x")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(DataError, match="a file, not a folder"):
        write_bytes(tmp_path / "runs" / "report.html", b"x")


def test_path_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(DataError, match="That path is a folder"):
        write_bytes(tmp_path / "report.html", b"x")
    assert list((tmp_path / "report.html").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "a\0b", "c:\\x"])
def test_names_that_are_not_plain_are_refused(figure, tmp_path, name):
    with pytest.raises(DataError, match="not a plain file name"):
        save_figures(tmp_path, {"good": figure, name: figure})
    assert list(tmp_path.iterdir()) == []
