import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killed import DAYS, make
from pairs import Surface
from reservoirs import start

from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentError, CouplingError
from hybridwater.meshes import latlon_mesh

RAIN = {"recharge_flux": 3.0}
EDGE = {"source": "up.runoff_flux", "target": "down.recharge_flux", "lag": "2 d"}


def pair(folder=None, edge=None, **options):
    parts = {"up": start(0.4, inputs=RAIN, rate=0.1), "down": start(rate=0.02)}
    return CoupledModel(parts, [{**EDGE, **(edge or {})}], directory=folder, **options)


def files(folder):
    return {p.name: p.read_bytes() for p in sorted(Path(folder).glob("*.nc"))}


def run(folder, kill_at=0):
    script = Path(__file__).with_name("killed.py")
    return subprocess.run([sys.executable, script, folder, str(kill_at)], check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 77, 151])
def test_killed_in_any_step_and_resumed_is_the_same_to_the_last_byte(tmp_path, step):
    assert run(tmp_path / "whole") == 0
    assert run(tmp_path / "killed", kill_at=step) == -9
    assert run(tmp_path / "killed") == 0
    whole, killed = files(tmp_path / "whole"), files(tmp_path / "killed")
    assert set(whole) == {"late.nc", "ledger.nc", "rain.nc", "surface.nc"}
    for name in whole:
        assert whole[name] == killed[name], name


def test_resumes_in_the_same_process_and_in_another_model(tmp_path):
    model = make(tmp_path / "a")
    model.run("17 d")
    model.checkpoint(tmp_path / "here.npz")
    model.run(f"{DAYS - 17} d")
    totals = model.ledger()["total_given"].values
    expected = model.component("late").get_value_ptr("reservoir_amount").copy()
    model.resume(tmp_path / "here.npz")
    assert model.time == 17 * 86400
    model.run(f"{DAYS - 17} d")
    assert (model.component("late").get_value_ptr("reservoir_amount") == expected).all()
    assert (model.ledger()["total_given"].values == totals).all()
    assert model.output("late").sizes["time"] == DAYS / 0.3
    model.close()


def test_a_branch_goes_on_with_a_change(tmp_path):
    model = pair()
    model.run("10 d")
    path = model.checkpoint(tmp_path / "c.npz")
    other = pair(edge={"share": 0.5})
    with pytest.raises(CouplingError, match="another case: its exchanges has"):
        other.resume(path)
    other.resume(path, branch=True)
    other.run("10 d")
    model.run("10 d")
    both = [m.component("down").get_value_ptr("reservoir_amount")[0] for m in (model, other)]
    assert both[1] < both[0]
    assert float(abs(other.ledger()["total_residual"])) < 1e-3
    parts = {"up": start(0.4, inputs=RAIN, rate=0.1), "down": start(rate=0.02)}
    without = CoupledModel(parts, [])
    with pytest.raises(CouplingError, match="in transit"):
        without.resume(path, branch=True)


def test_a_branch_may_add_an_exchange(tmp_path):
    parts = {"up": start(0.4, inputs=RAIN, rate=0.1), "down": start(rate=0.02, inputs=RAIN)}
    model = CoupledModel(parts, [])
    model.run("3 d")
    path = model.checkpoint(tmp_path / "c.npz")
    other = pair()
    other.resume(path, branch=True)
    other.run("30 d")
    assert float(abs(other.ledger()["total_residual"])) < 1e-3


def test_what_cannot_be_resumed_is_refused(tmp_path):
    model = pair(tmp_path)
    with pytest.raises(CouplingError, match="no checkpoint"):
        model.resume()
    (tmp_path / "checkpoint.npz").write_bytes(b"something else")
    with pytest.raises(CouplingError, match="not a checkpoint"):
        model.resume()
    model.run("2 d")
    path = model.checkpoint()
    with pytest.raises(CouplingError, match="its components has"):
        CoupledModel({"up": start(), "sea": start()}).resume(path, branch=True)
    parts = {"up": start(0.4, inputs=RAIN, rate=0.7), "down": start(rate=0.02)}
    with pytest.raises(ComponentError, match="not a state of"):
        CoupledModel(parts, [EDGE]).resume(path)
    (tmp_path / "ledger.nc").unlink()
    with pytest.raises(CouplingError, match="holds 0 records"):
        pair(tmp_path).resume()
    with pytest.raises(CouplingError, match="no directory"):
        pair().checkpoint()


def test_a_checkpoint_of_another_order_is_refused(tmp_path):
    fine = latlon_mesh(np.arange(0, 7.0), np.arange(40, 45.0), name="fine")
    coarse = latlon_mesh(np.arange(0, 7.0, 2), np.array([40, 42, 44]), name="coarse")

    def make(remap):
        up = start(area=fine.areas, mesh=fine, inputs=RAIN)
        parts = {"up": up, "down": start(area=coarse.areas, mesh=coarse)}
        return CoupledModel(parts, [{**EDGE, "remap": remap}])

    model = make("conservative")
    model.run("2 d")
    path = model.checkpoint(tmp_path / "c.npz")
    make("conservative").resume(path)
    with pytest.raises(CouplingError, match="another case: its exchanges has"):
        make("second order").resume(path)


def test_ctrl_c_leaves_a_checkpoint(tmp_path):
    import signal

    class Pressed(Surface):
        def _advance(self):
            super()._advance()
            if int(self._steps) == 4:
                signal.raise_signal(signal.SIGINT)

    model = CoupledModel({"one": Pressed(area=np.ones(2))}, directory=tmp_path)
    with pytest.raises(KeyboardInterrupt, match="resume"):
        model.run("100 d")
    assert model.time == 5 * 86400
    again = CoupledModel({"one": Surface(area=np.ones(2))}, directory=tmp_path)
    again.resume()
    assert again.time == 5 * 86400
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
