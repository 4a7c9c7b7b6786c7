import pytest
import xarray as xr

from hybridwater.errors import MeshError
from hybridwater.meshes import files, read_mpas, read_remap, read_routelink, read_ugrid


@pytest.mark.parametrize("read", [read_ugrid, read_mpas, read_routelink, read_remap])
def test_files_that_are_not_there_or_no_netcdf(read, tmp_path):
    with pytest.raises(MeshError, match=r"no such file.*absent\.nc"):
        read(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("not NetCDF")
    with pytest.raises(MeshError, match=r"cannot be read.*text\.nc"):
        read(tmp_path / "text.nc")


def test_a_dataset_is_returned_as_it_is():
    data = xr.Dataset()
    assert files.load(data) is data


def test_nothing_half_is_left(tmp_path, monkeypatch):
    path = tmp_path / "mesh.nc"
    path.write_text("old")

    def fill_the_disk(self, target):
        target.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fill_the_disk)
    with pytest.raises(MeshError, match=r"cannot be written \(No space left.*mesh\.nc"):
        files.write(xr.Dataset(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["mesh.nc"]
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(MeshError, match="See whether the folder exists"):
        files.write(xr.Dataset(), tmp_path / "absent" / "mesh.nc")
