import pytest

from hybridwater.errors import SettingsError
from hybridwater.training.schedule import Stage, check_schedule, default_schedule


def test_defaults_follow_the_model(reservoir, hybrid):
    assert [s.kind for s in default_schedule(hybrid, regional=False)] == [
        "skeleton",
        "pretrain",
        "joint",
    ]
    assert [s.kind for s in default_schedule(reservoir, regional=False)] == ["joint"]
    assert all(s.window for s in default_schedule(hybrid, regional=True))


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"kind": "join", "epochs": 1}, "no stage 'join'"),
        ({"kind": "joint", "epochs": 0}, "epochs=0"),
        ({"kind": "joint", "epochs": 2.5}, "epochs=2.5"),
        ({"kind": "joint", "epochs": 1, "window": 0}, "window=0"),
        ({"kind": "joint", "epochs": 1, "optimiser": "sgd"}, "no optimiser"),
        ({"kind": "joint", "epochs": 1, "learning_rate": 0.0}, "learning rate"),
        ({"kind": "joint", "epochs": 1, "optimiser": "lbfgs", "window": 9}, "windows"),
        ({"kind": "joint", "epochs": 1, "optimiser": "lm", "window": 9}, "windows"),
        ({"kind": "pretrain", "epochs": 1, "optimiser": "lm"}, "has no 'lm'"),
    ],
)
def test_bad_stages_are_refused(keywords, says):
    with pytest.raises(SettingsError, match=says):
        Stage(**keywords)


def test_stages_that_the_model_cannot_do_are_refused(reservoir, hybrid):
    with pytest.raises(SettingsError, match="no networks"):
        check_schedule([Stage("skeleton", 1)], reservoir)
    with pytest.raises(SettingsError, match="not a Stage"):
        check_schedule(["joint"], hybrid)
