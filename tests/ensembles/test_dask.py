"""Ensembles on a Dask cluster that is there already."""

import threading
import time

import numpy as np
import pytest
import xarray as xr

try:
    import distributed
except ImportError:
    distributed = None

from toys import Formula, double

from hybridwater.ensembles import Design, Ensemble, ModelSimulator, Parameters, uniform
from hybridwater.errors import EnsembleError
from hybridwater.ude import models

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(distributed is None, reason="no package distributed"),
]
X = {"x": Parameters({"x": uniform(1, 3)})}


def made(folder=None, trouble=()):
    return Ensemble(Formula(double, folder=folder, trouble=trouble), X, Design(20))


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as made:
        yield made


def test_the_same_bytes_and_a_worker_that_dies_loses_nothing(cluster, tmp_path):
    made().run(tmp_path / "here.nc").close()
    address = cluster.scheduler_address
    made(tmp_path, trouble={9: "dies"}).run(tmp_path / "there.nc", workers=address).close()
    assert (tmp_path / "here.nc").read_bytes() == (tmp_path / "there.nc").read_bytes()


def test_what_raises_on_a_worker_is_named(cluster, tmp_path):
    ensemble = made(tmp_path, trouble={5: "raises"})
    with pytest.raises(EnsembleError, match=r"1 of 20 members failed.*member 5 cannot be"):
        ensemble.run(tmp_path / "e.nc", workers=cluster.scheduler_address)
    address = cluster.scheduler_address
    found = ensemble.run(tmp_path / "e.nc", workers=address, resume=True, failed="leave_out")
    with found:
        assert np.isnan(found["y"]).any("site").values.nonzero()[0].tolist() == [5]


def reservoir(engine):
    days = np.datetime64("2000-01-01", "ns") + np.arange(60) * np.timedelta64(1, "D")
    unit = {"units": "mm d-1"}
    rain, evaporation = (np.arange(60) % 7.0, np.ones(60))
    forcing = xr.Dataset(
        {"prcp": ("time", rain, unit), "pet": ("time", evaporation, unit)}, {"time": days}
    )
    model = models.linear_reservoir()
    runs = ModelSimulator(model, forcing, outputs=["q"], engine=engine, batch=2)
    return Ensemble(runs, {"k": Parameters({"k": uniform(0.01, 0.5)})}, Design(8))


@pytest.mark.julia
def test_workers_that_started_julia_solve_with_it(tmp_path):
    here = reservoir("embedded").run(tmp_path / "here.nc")
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            dashboard_address=None,
            silence_logs=50,
            preload="hybridwater.engines.julia",
        ) as cluster,
        here,
        reservoir("auto").run(tmp_path / "there.nc", workers=cluster.scheduler_address) as there,
    ):
        assert there.attrs["engine"] == "julia"
        np.testing.assert_allclose(there["q"], here["q"], rtol=1e-12)


def test_a_scheduler_that_is_lost_is_no_failure_of_members(tmp_path):
    path, parts = tmp_path / "e.nc", tmp_path / "e.nc.parts"
    slow = Ensemble(Formula(double, pause=0.2), X, Design(20))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None,
        silence_logs=50,
    ) as lost:  # fmt: skip

        def lose():
            while not list(parts.glob("[0-9]*.json")):
                time.sleep(0.05)
            lost.sync(lost.scheduler.close)

        thread = threading.Thread(target=lose)
        thread.start()
        with pytest.raises(EnsembleError, match=r"scheduler of the Dask cluster was lost.*resume"):
            slow.run(path, workers=lost.scheduler_address, failed="leave_out")
        thread.join()
    assert 1 <= len(list(parts.glob("[0-9]*.json"))) < 5
    slow.run(path, resume=True).close()
    made().run(tmp_path / "here.nc").close()
    assert path.read_bytes() == (tmp_path / "here.nc").read_bytes()


def test_a_cluster_that_does_not_answer(tmp_path, monkeypatch):
    from hybridwater.ensembles import execution

    monkeypatch.setattr(execution, "_PATIENCE", "2s")
    with pytest.raises(EnsembleError, match="cluster does not answer"):
        made().run(tmp_path / "e.nc", workers="tcp://127.0.0.1:9")
