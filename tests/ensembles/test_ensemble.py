"""Ensembles: what is kept, what is run again, and that the result is always the same."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from toys import Formula, double

from hybridwater.ensembles import Batch, Design, Ensemble, Parameters, normal, uniform
from hybridwater.errors import EnsembleError, MissingDependency

X = {"x": Parameters({"x": uniform(1, 3)})}


def made(folder=None, members=20, trouble=(), **more):
    return Ensemble(Formula(double, folder=folder, trouble=trouble, **more), X, Design(members))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of an ensemble that nothing happened to."""
    path = tmp_path_factory.mktemp("whole") / "e.nc"
    made().run(path).close()
    return path.read_bytes()


def test_one_dataset(tmp_path):
    ensemble = made()
    with ensemble.run(tmp_path / "e.nc") as found:
        assert dict(found.sizes) == {"member": 20, "site": 2, "source": 1}
        assert found["y"].attrs["units"] == "m"
        x = found["y"].sel(site="a").values / 2
        assert sorted((x - 1) // 0.1) == list(range(20))  # a latin hypercube
        assert (found["failure"] == "").all()
        assert found["draw"].values[:, 0].tolist() == list(range(20))
        again = ensemble.member(7).draws["x"]
        assert uniform(1, 3).quantile(again.uniforms[0]) == pytest.approx(x[7])
    assert not (tmp_path / "e.nc.parts").exists()
    with pytest.raises(EnsembleError, match="ensemble already"):
        ensemble.run(tmp_path / "e.nc")
    with ensemble.run(tmp_path / "e.nc", resume=True) as again:
        assert again.sizes["member"] == 20
    with pytest.raises(EnsembleError, match="of another ensemble"):
        made(members=24).run(tmp_path / "e.nc", resume=True)


def test_interrupted_at_two_fifths_and_resumed_is_the_same(tmp_path, whole):
    path = tmp_path / "e.nc"
    ensemble = made(tmp_path, trouble={8: "interrupt"})
    with pytest.raises(KeyboardInterrupt, match="8 of 20 members are done; resume"):
        ensemble.run(path)
    with pytest.raises(EnsembleError, match="2 finished batches"):
        ensemble.run(path)
    (tmp_path / "log").unlink()
    ensemble.run(path, resume=True).close()
    ran = [int(n) for n in (tmp_path / "log").read_text().split()]
    assert ran == list(range(8, 20))
    assert path.read_bytes() == whole


def test_of_another_ensemble_is_not_resumed(tmp_path):
    path = tmp_path / "e.nc"
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, trouble={8: "interrupt"}).run(path)
    with pytest.raises(EnsembleError, match="members was 20, and is 24 now"):
        made(members=24).run(path, resume=True)
    other = Ensemble(Formula(double), {"x": Parameters({"x": uniform(1, 4)})}, Design(20))
    with pytest.raises(EnsembleError, match="sources was"):
        other.run(path, resume=True)


@pytest.mark.slow
def test_processes_give_the_same_and_survive_the_death_of_one(tmp_path, whole):
    path = tmp_path / "e.nc"
    made(tmp_path, trouble={9: "dies"}).run(path, workers=2).close()
    assert path.read_bytes() == whole
    ran = [int(n) for n in (tmp_path / "log").read_text().split()]
    assert all(ran.count(n) == 1 for n in range(20) if n not in (8, 9))


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_ensemble import made
made(sys.argv[2], trouble={13: "dies"}).run(sys.argv[2] + "/e.nc")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_itself_and_resumed_is_the_same(tmp_path, whole):
    """Nothing can be caught or tidied up when the process of the ensemble is killed."""
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "e.nc.parts").glob("[0-9]*.nc"))) == 3
    made().run(tmp_path / "e.nc", resume=True).close()
    assert (tmp_path / "e.nc").read_bytes() == whole


@pytest.mark.slow
def test_what_always_dies_is_named_and_the_rest_kept(tmp_path):
    path = tmp_path / "e.nc"
    ensemble = made(tmp_path, trouble={9: "always dies"})
    with pytest.raises(EnsembleError, match=r"4 of 20 members failed \(8, 9, 10, 11\).*died 2 tim"):
        ensemble.run(path, workers=2)
    with ensemble.run(path, workers=2, resume=True, failed="leave_out") as found:
        assert np.isnan(found["y"]).all("site").values.nonzero()[0].tolist() == [8, 9, 10, 11]


def test_failed_members_are_named_with_their_seed_and_left_out_by_choice(tmp_path, caplog):
    path = tmp_path / "e.nc"
    ensemble = made(tmp_path, trouble={5: "raises", 6: "raises"})
    with pytest.raises(EnsembleError) as told:
        ensemble.run(path)
    for part in ("2 of 20 members failed (5, 6)", "seed 0", "member 5 (draws: x 5)", "cannot be"):
        assert part in str(told.value)
    ran = [int(n) for n in (tmp_path / "log").read_text().split()]
    assert ran.count(5) == 3  # in the batch, alone, and once more
    with caplog.at_level(logging.WARNING, "hybridwater"):
        found = ensemble.run(path, resume=True, failed="leave_out")
    assert "member 6" in caplog.text
    with found:
        assert np.isfinite(found["y"]).all("site").sum() == 18
        assert str(found["failure"].values[5]).startswith("ValueError: member 5 cannot be")


def test_if_all_fail_nothing_is_written(tmp_path):
    ensemble = made(members=4, trouble=dict.fromkeys(range(4), "raises"))
    with pytest.raises(EnsembleError, match="No member finished"):
        ensemble.run(tmp_path / "e.nc", failed="leave_out")
    assert not (tmp_path / "e.nc").exists()


def test_switching_one_off_leaves_the_draws_of_the_others():
    sources = {**X, "z": Parameters({"a": normal(0, 1), "b": normal(0, 1)})}
    sources["w"] = Parameters({"y": uniform(1, 3)})
    both = Ensemble(Formula(double), sources, Design(8, "sobol"))
    one = Ensemble(Formula(double), sources, Design(8, "sobol"), off=["z"])
    for number in range(8):
        assert "z" not in one.member(number).draws
        for name in ("x", "w"):
            a, b = both.member(number).draws[name], one.member(number).draws[name]
            assert a.seed == b.seed
            np.testing.assert_array_equal(a.uniforms, b.uniforms)


def test_two_sources_of_one_number_are_refused():
    both = {**X, "other": Parameters(factors={"x": uniform(1, 2)})}
    with pytest.raises(EnsembleError, match="parameter 'x' is decided by two sources, 'x' and 'ot"):
        Ensemble(Formula(double), both)
    Ensemble(Formula(double), both, off=["other"])


def test_bad_requests(tmp_path):
    with pytest.raises(EnsembleError, match="no source 'y'"):
        Ensemble(Formula(double), X, off=["y"])
    with pytest.raises(EnsembleError, match="no source is switched on"):
        Ensemble(Formula(double), X, off=["x"])
    with pytest.raises(EnsembleError, match="no member 20, only 0 to 19"):
        made().member(20)
    with pytest.raises(EnsembleError, match="did you mean 'leave_out'"):
        made().run(tmp_path / "e.nc", failed="leaveout")
    with pytest.raises(EnsembleError, match="0 processes"):
        made().run(tmp_path / "e.nc", workers=0)


def test_zarr(tmp_path):
    pytest.importorskip("zarr")
    with made().run(tmp_path / "e.nc") as a, made().run(tmp_path / "e.zarr") as b:
        xr.testing.assert_equal(a.load(), b.load())


class OnTwoEngines(Formula):
    """The first batch has another engine than the others, as workers may have."""

    def simulate(self, members):
        engine = "julia" if members[0].number else "embedded"
        return Batch(super().simulate(members).data.assign_attrs(engine=engine), {})


@pytest.mark.parametrize("file", ["e.nc", "e.zarr"])
def test_all_engines_are_named(tmp_path, file):
    if file.endswith("zarr"):
        pytest.importorskip("zarr")
    ensemble = Ensemble(OnTwoEngines(double), X, Design(9))
    with ensemble.run(tmp_path / file) as found:
        assert found.attrs["engine"] == "embedded, julia"


def test_without_zarr_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependency, match="pip install zarr"):
        made().run(tmp_path / "e.zarr")


def test_without_distributed_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match=r"pip install .hybridwater\[cluster\]"):
        made().run(tmp_path / "e.nc", workers="tcp://127.0.0.1:1")
