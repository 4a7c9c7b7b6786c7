"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager

import pytest
import xarray as xr

from hybridwater.errors import DataError, MeshError, WeightsError
from hybridwater.files import open_netcdf, write_bytes, write_files, write_netcdf
from hybridwater.meshes import read_mpas, read_remap, read_routelink, read_ugrid


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


def test_files_are_written_together_or_not(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    write_files({first: b"1", second: b"2"})
    with pytest.raises(WeightsError, match=r"'b' could not be written"), small_files_only():
        write_files({first: b"3", second: b"x" * 5000}, error=WeightsError)
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    assert len(list(tmp_path.iterdir())) == 2


def test_interrupted_writing_leaves_no_rubbish(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
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


def test_half_a_dataset_is_not_left(tmp_path, monkeypatch):
    path = tmp_path / "mesh.nc"
    path.write_text("old")

    def fill_the_disk(self, target, **_):
        target.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fill_the_disk)
    with pytest.raises(MeshError, match=r"could not be written \(No space left.*mesh\.nc"):
        write_netcdf(xr.Dataset(), path, error=MeshError)
    assert [p.name for p in tmp_path.iterdir()] == ["mesh.nc"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    "read", [read_ugrid, read_mpas, read_routelink, read_remap, lambda p: open_netcdf(p, MeshError)]
)
def test_files_that_are_not_there_or_no_netcdf(read, tmp_path):
    with pytest.raises(MeshError, match=r"does not exist.*absent\.nc"):
        read(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("not NetCDF")
    with pytest.raises(MeshError, match=r"cannot be read.*text\.nc"):
        read(tmp_path / "text.nc")


def test_a_dataset_is_returned_as_it_is_and_a_file_is_read(tmp_path):
    data = xr.Dataset({"rain": ("time", [1.0, 2.0])})
    assert open_netcdf(data) is data
    path = write_netcdf(data, tmp_path / "rain.nc")
    assert open_netcdf(path).identical(data)
    with open_netcdf(path, lazy=True) as opened:
        assert opened.identical(data)
