import subprocess

import pytest
import torch
from typer.testing import CliRunner

from hybridwater.cli import app
from hybridwater.errors import WeightsError
from hybridwater.mgn import cards, released, save_network
from hybridwater.mgn.cards import read_card, write_card


@pytest.fixture
def folder(tmp_path, network, monkeypatch):
    """Return the folder of released weights, with one file and its card."""
    monkeypatch.setattr(released, "FOLDER", tmp_path)
    save_network(network, tmp_path / "rain.safetensors", {"kind": "remap"})
    write_card(
        tmp_path / "rain.safetensors", title="Rain", text="Not for snow.", data={"reference": "run"}
    )
    return tmp_path


def test_released_weights_are_listed_and_found(folder, network):
    assert list(released.released()) == ["rain"]
    assert released.find_weights("rain") == folder / "rain.safetensors"
    with pytest.raises(WeightsError, match="did you mean 'rain'"):
        released.find_weights("rains")
    found = released.verify_weights("rain")
    assert (found.problem, found.kind, found.size) == ("", "remap", network.size)
    shown = CliRunner().invoke(app, ["weights", "list"])
    assert "rain" in shown.output
    assert f"{network.size:,d} weights" in shown.output
    assert CliRunner().invoke(app, ["weights", "verify"]).output == "rain: ok\n"


def test_a_card_says_where_weights_come_from(folder):
    card = read_card(folder / "rain.md")
    assert card["data"] == {"reference": "run"}
    assert card["versions"]["torch"]
    assert "Not for snow." in (folder / "rain.md").read_text()


def test_a_card_does_not_name_the_commit_of_another_repository(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    named = ["git", "-C", tmp_path, "-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run([*named, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    package = tmp_path / ".venv/site-packages/hybridwater"
    package.mkdir(parents=True)
    monkeypatch.setattr(cards.hybridwater, "__file__", str(package / "__init__.py"))
    assert cards.commit() == ""


def test_what_is_not_as_the_card_says_is_found(folder, network):
    path, card = folder / "rain.safetensors", folder / "rain.md"
    text = card.read_text()
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    save_network(network, path, {"kind": "remap"})
    assert "sha256" in released.verify_weights("rain").problem
    with torch.no_grad():
        next(network.parameters()).mul_(torch.nan)
    save_network(network, path)
    assert "not finite" in released.verify_weights("rain").problem
    path.write_bytes(path.read_bytes()[:100])
    shown = CliRunner().invoke(app, ["weights", "verify", str(path)])
    assert shown.exit_code == 1
    assert "cannot be read" in shown.output
    for broken, said in (
        (text.replace("hybridwater.card/1", "hybridwater.card/0"), "has the schema"),
        (text.replace("sha256 =", "sha255 ="), "lacks sha256"),
        (text.replace("+++", "---"), "cannot be read"),
    ):
        card.write_text(broken)
        with pytest.raises(WeightsError, match=said):
            read_card(card)
    card.unlink()
    with pytest.raises(WeightsError, match="There is no card"):
        read_card(card)


def test_the_weights_of_the_package_are_what_their_cards_say():
    for name in released.released():
        assert not released.verify_weights(name).problem, name
