"""What is found out without starting Julia."""

import dataclasses
import json
import sys

import pytest

from hybridwater import _julia
from hybridwater._julia.availability import available, manifest, sources
from hybridwater.errors import MissingDependency


def test_nothing_has_been_set_up(clean):
    found = available()
    assert not found.ready
    assert found.reason == "Julia has not been set up"
    assert found.fix == "Run 'hybridwater julia install'"
    assert found.where == "no Julia"
    with pytest.raises(MissingDependency, match="Julia cannot be used: Julia has not been set up"):
        found.demand()


def test_looking_starts_nothing(clean):
    available()
    assert "juliacall" not in sys.modules


def test_the_settings_name_both(choose, program, make_project):
    project = make_project()
    choose(julia_executable=program, julia_project=project)
    found = available()
    assert found.ready
    assert found.named
    assert found.where == f"{program} with {project} (settings)"
    assert (found.reason, found.fix) == ("", "")
    found.demand()


def test_the_environment_names_both(clean, program, make_project):
    project = make_project()
    clean.setenv("PYTHON_JULIACALL_EXE", str(program))
    clean.setenv("PYTHON_JULIACALL_PROJECT", str(project))
    assert available().where == f"{program} with {project} (environment)"


def test_the_settings_come_before_the_environment(choose, clean, program, make_project):
    project = make_project()
    clean.setenv("PYTHON_JULIACALL_EXE", "elsewhere")
    clean.setenv("PYTHON_JULIACALL_PROJECT", "elsewhere")
    choose(julia_executable=program, julia_project=project)
    assert available().source == "settings"


def test_a_program_on_the_path_may_be_named_in_short(clean, program, make_project):
    clean.setenv("PATH", str(program.parent))
    clean.setenv("PYTHON_JULIACALL_EXE", "julia")
    clean.setenv("PYTHON_JULIACALL_PROJECT", str(make_project()))
    found = available()
    assert found.ready
    assert found.executable == program


@pytest.mark.parametrize(
    ("given", "reason"),
    [("EXE", "without a project"), ("PROJECT", "without a Julia program")],
)
def test_one_variable_without_the_other(clean, program, make_project, given, reason):
    value = {"EXE": program, "PROJECT": make_project()}[given]
    clean.setenv(f"PYTHON_JULIACALL_{given}", str(value))
    found = available()
    assert not found.ready
    assert reason in found.reason
    assert "PYTHON_JULIACALL_EXE and PYTHON_JULIACALL_PROJECT" in found.fix


def test_a_program_that_is_not_there(choose, tmp_path, make_project):
    choose(julia_executable=tmp_path / "none", julia_project=make_project())
    found = available()
    assert found.reason == f"There is no Julia program at {tmp_path / 'none'}"
    assert found.fix == "Correct the path in the settings"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"HybridWater": None}, "has no package HybridWater"),
        ({"HybridWater": "0.0.1"}, "The project holds HybridWater 0.0.1, and this is"),
        ({"PythonCall": None}, "lacks the Julia package PythonCall"),
        ({"PythonCall": "0.1.0"}, "The project holds PythonCall 0.1.0, and juliacall is"),
    ],
)
def test_a_project_that_does_not_fit(choose, program, make_project, changes, reason):
    choose(julia_executable=program, julia_project=make_project(**changes))
    found = available()
    assert not found.ready
    assert reason in found.reason
    assert found.fix == "Run 'hybridwater julia install'"


def test_a_project_without_a_dependency(choose, program, make_project, monkeypatch, tmp_path):
    needs = (_julia.PACKAGE / "Project.toml").read_text("utf-8")
    package = tmp_path / "HybridWater"
    package.mkdir()
    needs = needs.replace("[deps]\n", "") + '\n[deps]\nRareThing = "0"\n'
    (package / "Project.toml").write_text(needs.split("[compat]")[0] + '[deps]\nRareThing = "0"\n')
    choose(julia_executable=program, julia_project=make_project())
    monkeypatch.setattr("hybridwater._julia.availability.PACKAGE", package)
    assert available().reason.startswith("The project lacks the Julia package RareThing")


def test_a_project_of_an_older_state_of_the_package(choose, program, make_project):
    choose(julia_executable=program, julia_project=make_project(needs=["ForwardDiff"]))
    found = available()
    assert "does not know that HybridWater needs it" in found.reason
    assert found.fix == "Run 'hybridwater julia install'"


def test_a_project_that_was_never_resolved(choose, program, tmp_path):
    choose(julia_executable=program, julia_project=tmp_path)
    assert "has no manifest" in available().reason


def test_what_juliapkg_has_installed(resolved, program):
    found = available()
    assert found.ready
    assert not found.named
    assert found.where == f"{program} with {resolved} (juliapkg)"
    assert (found.library, found.binaries) == ("lib", "bin")


def test_juliapkg_installed_for_another_version(resolved):
    meta = resolved / "pyjuliapkg" / "meta.json"
    record = json.loads(meta.read_text())
    for entry in record["deps_files"].values():
        entry["hash_sha256"] = "0"
    meta.write_text(json.dumps(record))
    assert available().reason == "Julia was set up for another version of hybridwater"


def test_juliapkg_used_another_program(resolved, choose, tmp_path):
    choose(julia_executable=tmp_path / "other")
    assert "with another program than" in available().reason


def test_what_was_installed_is_gone(resolved, program):
    program.unlink()
    assert "is gone" in available().reason


def test_a_damaged_record_counts_as_none(resolved):
    (resolved / "pyjuliapkg" / "meta.json").write_text("[]")
    assert available().reason == "Julia has not been set up"


def test_manifests_of_all_ages(tmp_path):
    assert manifest(tmp_path) is None
    (tmp_path / "Manifest.toml").write_text("not TOML")
    assert manifest(tmp_path) is None
    (tmp_path / "Manifest.toml").write_text('[[Old]]\nversion = "1.0.0"\n')
    assert manifest(tmp_path) == {"Old": {"version": "1.0.0"}}
    text = 'manifest_format = "2.0"\n[[deps.New]]\nversion = "2.0.0"\n'
    (tmp_path / "Manifest-v1.12.toml").write_text(text)
    (tmp_path / "Manifest.toml").unlink()
    assert manifest(tmp_path) == {"New": {"version": "2.0.0"}}


def test_it_cannot_be_changed(clean):
    with pytest.raises(dataclasses.FrozenInstanceError):
        available().ready = True


def test_sources_are_told_apart(tmp_path, make_project):
    project = make_project()
    text = (project / "Manifest.toml").read_text()
    (project / "Manifest.toml").write_text(text.replace(_julia.PACKAGE.as_posix(), "package"))
    here = project / "package" / "src"
    here.mkdir(parents=True)
    seen = {sources(project)}
    for name, content in [("a.jl", "1"), ("a.jl", "2"), ("b.jl", "2")]:
        (here / name).write_text(content)
        seen.add(sources(project))
    assert len(seen) == 4
    assert sources(tmp_path / "nowhere") == ""
