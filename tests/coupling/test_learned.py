"""A learned remap in the place of the conservative one, in a coupled run."""

import numpy as np
import pytest
import torch
from reservoirs import Reservoir

from hybridwater.coupling import CoupledModel
from hybridwater.errors import CouplingError
from hybridwater.meshes import conservative_remap, latlon_mesh
from hybridwater.mgn import LearnedRemap

COARSE = latlon_mesh(np.arange(0, 7, 2.0), np.arange(40, 47, 2.0), name="coarse")
FINE = latlon_mesh(np.arange(0, 7.0), np.arange(40, 47.0), name="fine")


def learned(seed):
    """A remap whose weights are random: no training is needed for the books to close."""
    torch.manual_seed(seed)
    remap = LearnedRemap.of(
        conservative_remap(COARSE, FINE),
        COARSE,
        FINE,
        target_static={"height": np.linspace(0, 1, FINE.size)},
        width=4,
        hidden=1,
    )
    with torch.no_grad():
        for weights in remap.correction.parameters():
            weights.add_(torch.randn_like(weights))
    return remap


def model(remap, folder=None):
    up = Reservoir(
        step=0.5,
        area=COARSE.areas,
        initial=np.linspace(1, 50, COARSE.size),
        mesh=COARSE,
        inputs={"recharge_flux": 5.0},
    )
    down = Reservoir(step=1.0, area=FINE.areas, initial=10.0, mesh=FINE)
    edge = {"source": "up.runoff_flux", "target": "down.recharge_flux", "remap": remap}
    return CoupledModel({"up": up, "down": down}, [edge], directory=folder)


def test_the_books_close_at_any_weights():
    contents = []
    for remap in (learned(0), "conservative"):
        run = model(remap)
        run.run("60 d")
        ledger = run.ledger()
        stored = ledger["storage"].sum("component")
        assert (abs(ledger["residual"]) <= 1e-12 * stored).all()
        assert float(ledger["total_delivered"].sum()) > 0.0
        contents.append(run.component("down").get_value_ptr("reservoir_amount").copy())
        assert (contents[-1] >= 0.0).all()
        run.close()
    assert np.abs(contents[0] - contents[1]).max() > 0.01 * contents[1].max()
    # it moves water to other cells, and the same amount
    assert contents[0] @ FINE.areas == pytest.approx(contents[1] @ FINE.areas, rel=1e-12)


def test_a_checkpoint_knows_the_weights(tmp_path):
    run = model(learned(0))
    run.run("3 d")
    run.checkpoint(tmp_path / "here.npz")
    again = model(learned(0))
    again.resume(tmp_path / "here.npz")
    assert again.time == run.time
    with pytest.raises(CouplingError):
        model(learned(1)).resume(tmp_path / "here.npz")
