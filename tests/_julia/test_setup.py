"""Installing and describing, with a program that only writes down what it was asked."""

import importlib.metadata

import pytest

from hybridwater._julia import PACKAGE, UUID, setup
from hybridwater._julia.availability import available, sources
from hybridwater.errors import HybridwaterError, MissingDependency


@pytest.fixture(autouse=True)
def no_trial(monkeypatch):
    monkeypatch.setattr(setup, "_trial", lambda **variables: f"tried {variables}")


def asked(program):
    return (program.parent / "julia.log").read_text().splitlines()


def test_a_project_that_is_complete_is_only_compiled(choose, program, make_project):
    project = make_project()
    choose(julia_executable=program, julia_project=project)
    assert setup.install() == "tried {}"
    lines = asked(program)
    assert f"--project={project}" in lines
    assert "Pkg.instantiate()" in lines
    assert "Pkg.develop(path = package)" not in lines


def test_a_new_project_is_filled(choose, program, make_project, tmp_path):
    project = tmp_path / "new"
    choose(julia_executable=program, julia_project=project)
    with pytest.raises(MissingDependency, match="has no manifest"):  # the program does nothing
        setup.install()
    lines = asked(program)
    assert project.is_dir()
    assert "Pkg.develop(path = package)" in lines
    assert str(PACKAGE.resolve()) in lines


def test_offline_is_passed_on(choose, program, make_project):
    program.write_text(f'#!/bin/sh\necho "$JULIA_PKG_OFFLINE" >> {program.parent}/julia.log\n')
    choose(julia_executable=program, julia_project=make_project())
    setup.install(offline=True)
    setup.precompile()
    assert asked(program) == ["true", ""]


def test_a_failure_of_julia_is_said(choose, clean, program, make_project):
    choose(julia_executable=program, julia_project=make_project())
    clean.setenv("CODE", "3")
    with pytest.raises(HybridwaterError, match="Julia ended with code 3") as caught:
        setup.precompile()
    assert "--offline" in str(caught.value)


@pytest.mark.parametrize(
    ("what", "package"),
    [
        ("adjoints", "SciMLSensitivity"),
        ("discovery", "SymbolicRegression"),
        ("diffeqpy", "OrdinaryDiffEq"),
        ("diffeqpy", "OrdinaryDiffEqDefault"),
    ],
)
def test_large_packages_are_installed_when_asked_for(choose, program, make_project, what, package):
    choose(julia_executable=program, julia_project=make_project())
    setup.install()
    assert package not in asked(program)
    setup.install(**{what: True})
    assert package in asked(program)


def test_half_a_choice_is_refused(choose, make_project):
    choose(julia_project=make_project())
    with pytest.raises(MissingDependency, match="without a Julia program"):
        setup.install()


def test_compiling_needs_an_installation(clean):
    with pytest.raises(MissingDependency, match="hybridwater julia install"):
        setup.precompile()


def test_a_system_image_is_built_where_it_was_asked(choose, program, make_project, tmp_path):
    project = make_project()
    choose(julia_executable=program, julia_project=project)
    image = tmp_path / "images" / "hybridwater.so"
    assert setup.precompile(image) == f"tried {{'HYBRIDWATER_JULIA_SYSIMAGE': '{image}'}}"
    assert asked(program)[-3:] == [str(image), UUID, sources(project)]
    assert image.parent.is_dir()


def test_otherwise_juliapkg_installs(resolved, clean, monkeypatch):
    calls = []
    monkeypatch.setattr("juliapkg.state.reset_state", lambda: calls.append("reset"))
    monkeypatch.setattr("juliapkg.resolve", lambda **how: calls.append(how))
    assert setup.install() == "tried {}"
    assert calls == ["reset", {"force": True}]


def test_what_juliapkg_says_is_passed_on(clean, monkeypatch):
    def fail(**_):
        raise OSError("no network")

    monkeypatch.setattr("juliapkg.state.reset_state", lambda: None)
    monkeypatch.setattr("juliapkg.resolve", fail)
    with pytest.raises(HybridwaterError, match=r"could not be installed \(OSError: no network\)"):
        setup.install()


def test_status(choose, program, make_project):
    project = make_project(PythonCall="0.1.0")
    choose(julia_executable=program, julia_project=project, julia_threads=3)
    found = dict(setup.status())
    assert found["state"] == "not ready"
    assert found["Julia"] == str(program)
    assert found["project"] == str(project)
    assert found["chosen by"] == "settings"
    assert found["PythonCall"] == "0.1.0"
    assert found["threads"] == "3"
    assert found["system image"] == "none"


def test_status_says_what_adds_packages(choose, program, make_project):
    choose(julia_executable=program, julia_project=make_project(SymbolicRegression="1.2.3"))
    found = dict(setup.status())
    assert found["SymbolicRegression"] == "1.2.3"
    adds = "not in the project ('hybridwater julia install --{}' adds it)"
    assert found["SciMLSensitivity"] == adds.format("adjoints")
    assert found["OrdinaryDiffEq"] == adds.format("diffeqpy")


def test_without_juliacall_it_is_one_sentence(choose, program, make_project, monkeypatch, tmp_path):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    choose(julia_executable=program, julia_project=make_project())
    monkeypatch.setattr(importlib.metadata, "version", version)
    assert available().reason == "The Python package juliacall is not installed"
    assert dict(setup.status())["juliacall"] == "not installed"
    choose(julia_project=tmp_path / "new")
    with pytest.raises(MissingDependency, match=r'juliacall is not installed.*pip install "juliac'):
        setup.install()


def test_status_of_nothing(clean):
    found = dict(setup.status())
    assert found["Julia"] == "none"
    assert found["HybridWater"] == "not in the project"


def test_juliapkg_is_asked_for_large_packages(resolved, clean, monkeypatch):
    calls = []
    monkeypatch.setattr("juliapkg.resolve", lambda **how: None)
    monkeypatch.setattr("juliapkg.state.reset_state", lambda: None)
    monkeypatch.setattr("juliapkg.add", lambda name, uuid: calls.append(name))
    setup.install(adjoints=True, discovery=True, diffeqpy=True)
    assert calls[:2] == ["SciMLSensitivity", "SymbolicRegression"]
    assert calls[2:] == ["OrdinaryDiffEq", "OrdinaryDiffEqDefault"]
