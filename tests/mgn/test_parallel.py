import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from runoff_case import coupler
from safetensors.torch import load_file
from shared_training import make, school

from hybridwater.errors import SettingsError
from hybridwater.mgn import fit_remap, parallel

PROGRAM = Path(__file__).parent / "shared_training.py"


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), str(rank), str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    for run in runs:
        _, said = run.communicate(timeout=300)
        assert run.returncode == 0, said
    one, other = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    alone, rain, truth = make()
    table = fit_remap(alone, rain, truth, iterations=6, batch=4, progress=False)
    mine = alone.correction.network.state_dict()
    for name, values in one.items():
        assert torch.equal(values, other[name]), name
        # the normalisers of the first passes know a half: near, and not equal; both see all edges
        if not name.startswith("edge_normalisers"):
            torch.testing.assert_close(values, mine[name], rtol=0.2, atol=0.02)
    rows = [name for name in one if name.endswith("normalisers.target.rows")]
    assert [one[name] for name in rows] == [mine[name] for name in rows]
    losses = pd.read_csv(tmp_path / "run/losses.csv")["loss"]
    assert losses.tolist() == pytest.approx(table["loss"].tolist(), rel=0.1)
    one, other = (load_file(tmp_path / f"discharge-{rank}.safetensors") for rank in (0, 1))
    for name, values in one.items():
        assert torch.equal(values, other[name]), name
    # offsets alone are learned of all days, by all; then each has a window of its own
    losses = pd.read_csv(tmp_path / "school/losses.csv")["loss"]
    alone = school(coupler())["loss"]
    assert losses[0] == pytest.approx(alone[0])
    assert losses[1] != pytest.approx(alone[1], rel=1e-3)


def test_alone_there_is_nothing_to_share(monkeypatch):
    assert (parallel.rank(), parallel.processes()) == (0, 1)
    assert parallel.mean(3.0, torch.device("cpu")) == 3.0
    assert parallel.part(torch.arange(3)).tolist() == [0, 1, 2]
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    with pytest.raises(SettingsError, match="batch of 3 cannot be shared by 2"):
        parallel.refuse_uneven(3)


def test_processes_talk_over_nccl_where_each_has_a_card():
    assert parallel.choose(1, 2, 0) == ("gloo", torch.device("cpu"))
    assert [parallel.choose(k, 2, 4) for k in (0, 1)] == [
        ("nccl", torch.device("cuda", 0)),
        ("nccl", torch.device("cuda", 1)),
    ]
    with pytest.raises(SettingsError, match="3 processes on this machine and 2 graphics cards"):
        parallel.choose(0, 3, 2)


def test_each_process_begins_with_its_own_card(monkeypatch):
    begun = []
    for name, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(parallel.distributed, "init_process_group", begun.append)
    monkeypatch.setattr(torch.cuda, "set_device", begun.append)
    with pytest.raises(SettingsError, match="not started by torchrun"):
        parallel.begin()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert parallel.begin() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert parallel.begin() == torch.device("cuda", 1)
    assert begun == ["gloo", torch.device("cuda", 1), "nccl"]
