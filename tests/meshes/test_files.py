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
