"""Starting, with a juliacall that only looks like it: options, refusals, warnings."""

import os
from pathlib import Path

import pytest

import hybridwater
from hybridwater._julia.availability import sources

FAKE = """
import ctypes, os

collected = []

@ctypes.PYFUNCTYPE(ctypes.c_int8)
def collect():
    collected.append(1)
    return 0

class PythonCall:
    class GC:
        @staticmethod
        def gc(): ...

class Module:
    def listen(self, address, size): assert size > 0
    def attempt(self): ...
    if "FAKE_BUILT" in os.environ: BUILT_FROM = os.environ["FAKE_BUILT"]

class Threads:
    @staticmethod
    def nthreads(): return int(os.environ.get("FAKE_THREADS", "2"))

class Base:
    VERSION = "1.99.0"
    Threads = Threads
    @staticmethod
    def pkgversion(module): return os.environ["FAKE_VERSION"]

class Main:
    @staticmethod
    def seval(source):
        if "cglobal" in source: return ctypes.cast(collect, ctypes.c_void_p).value
        if os.environ.get("FAKE_EMPTY"): raise RuntimeError("Package not found\\nmore")
        return Module()

if os.environ.get("FAKE_BROKEN"):
    raise Exception("PythonCall.jl did not start properly")

options = {k: v for k, v in os.environ.items() if k.startswith("PYTHON_JULIACALL_")}
CONFIG = {
    "project": os.environ.get("PYTHON_JULIACALL_PROJECT", "elsewhere"),
    "opt_handle_signals": os.environ.get("PYTHON_JULIACALL_HANDLE_SIGNALS"),
}
"""


@pytest.fixture
def run(clean, python, tmp_path, program, make_project):
    """Run source after ``start`` was imported, with the fake juliacall."""
    fake = tmp_path / "path" / "juliacall"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(FAKE)
    (tmp_path / "settings.toml").write_text("")

    def run(source, **variables):
        variables = {
            "PYTHONPATH": os.pathsep.join([str(fake.parent), os.environ.get("PYTHONPATH", "")]),
            "FAKE_VERSION": hybridwater.__version__,
            "HYBRIDWATER_SETTINGS": str(tmp_path / "settings.toml"),
            "HYBRIDWATER_JULIA_EXECUTABLE": str(program),
            "HYBRIDWATER_JULIA_PROJECT": str(make_project()),
        } | variables
        head = "import os, sys\nfrom hybridwater._julia import start, started\n"
        return python(head + source, check=False, **variables)

    return run


def test_it_starts_once_with_all_options(run, program, tmp_path):
    image = tmp_path / "image.so"
    image.touch()
    done = run(
        "assert not started()\n"
        "julia = start()\n"
        "assert started() and start() is julia\n"
        "import juliacall\n"
        "print(julia.version, julia.threads, juliacall.collected)\n"
        "for k in sorted(juliacall.options): print(k, juliacall.options[k])",
        HYBRIDWATER_JULIA_THREADS="3",
        HYBRIDWATER_JULIA_SYSIMAGE=str(image),
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "1.99.0 2 [1]",
        "PYTHON_JULIACALL_AUTOLOAD_IPYTHON_EXTENSION no",
        f"PYTHON_JULIACALL_EXE {program}",
        "PYTHON_JULIACALL_HANDLE_SIGNALS yes",
        f"PYTHON_JULIACALL_PROJECT {tmp_path / 'project'}",
        f"PYTHON_JULIACALL_SYSIMAGE {image}",
        "PYTHON_JULIACALL_THREADS 3",
    ]


def test_threads_of_the_environment_stay_unless_set(run):
    source = "start()\nimport juliacall\nprint(juliacall.options['PYTHON_JULIACALL_THREADS'])"
    assert run(source).stdout == "auto\n"
    assert run(source, PYTHON_JULIACALL_THREADS="7").stdout == "7\n"
    both = run(source, PYTHON_JULIACALL_THREADS="7", HYBRIDWATER_JULIA_THREADS="3")
    assert both.stdout == "3\n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"HYBRIDWATER_JULIA_EXECUTABLE": "/none"}, "There is no Julia program at /none."),
        ({"FAKE_BROKEN": "1"}, "does not start (Exception: PythonCall.jl did not start properly)"),
        ({"FAKE_EMPTY": "1"}, "HybridWater does not load: Package not found. Where:"),
        ({"FAKE_VERSION": "0.0.1"}, "is version 0.0.1, and hybridwater"),
    ],
)
def test_refusals_say_what_to_do(run, variables, message):
    done = run("start()", **variables)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("hybridwater.errors.MissingDependency: ")
    assert message in last
    assert "To mend it: " in last


def test_a_system_image_that_is_not_there_is_said(run):
    done = run("start()", HYBRIDWATER_JULIA_SYSIMAGE="/none.so")
    assert "SettingsError: There is no system image at /none.so." in done.stderr
    assert "hybridwater julia precompile --sysimage /none.so" in done.stderr


def test_a_system_image_of_other_sources_is_refused(run, make_project, tmp_path):
    image = tmp_path / "image.so"
    image.touch()
    variables = {"HYBRIDWATER_JULIA_SYSIMAGE": str(image)}
    assert run("start()", FAKE_BUILT=sources(make_project()), **variables).stderr == ""
    done = run("start()", FAKE_BUILT="0123", **variables)
    assert "MissingDependency: The system image was built from other sources" in done.stderr
    assert f"hybridwater julia precompile --sysimage {image}" in done.stderr


def test_a_start_that_failed_is_not_tried_again(run):
    source = (
        "from hybridwater.errors import MissingDependency\n"
        "import builtins\n"
        "for i in range(2):\n"
        "    try: start()\n"
        "    except MissingDependency as error: print(id(error))\n"
    )
    first, second = run(source, FAKE_BROKEN="1").stdout.split()
    assert first == second


def test_only_the_main_thread_starts(run):
    source = (
        "import threading\n"
        "def inside():\n"
        "    try: start()\n"
        "    except Exception as error: print(error)\n"
        "thread = threading.Thread(target=inside, name='worker')\n"
        "thread.start(); thread.join(); start(); print('started')"
    )
    lines = run(source).stdout.splitlines()
    assert lines[0].startswith("Julia can only be started by the main thread of a process.")
    assert "thread 'worker'" in lines[0]
    assert lines[1] == "started"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_is_refused(run):
    source = (
        "start()\n"
        "if os.fork() == 0:\n"
        "    try: start()\n"
        "    except Exception as error: print(error, started(), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    line = run(source).stdout.splitlines()[0]
    assert line.startswith("Julia does not survive a fork")
    assert "multiprocessing.get_context('spawn')" in line
    assert line.endswith("False")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_is_refused_whoever_has_started_julia(run):
    source = (
        "import juliacall\n"
        "if os.fork() == 0:\n"
        "    try: start()\n"
        "    except Exception as error: print(error, started(), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    line = run(source, PYTHON_JULIACALL_HANDLE_SIGNALS="yes").stdout.splitlines()[0]
    assert line.startswith("Julia does not survive a fork")
    assert line.endswith("False")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_before_the_start_may_start_its_own(run):
    source = (
        "if os.fork() == 0:\n"
        "    start(); print('child', started(), flush=True); os._exit(0)\n"
        "os.wait(); start(); print('parent', started())"
    )
    assert run(source).stdout.splitlines()[:2] == ["child True", "parent True"]


def test_what_another_package_has_fixed_is_said(run, tmp_path):
    done = run(
        "import juliacall\nstart()",
        HYBRIDWATER_JULIA_THREADS="4",
        PYTHON_JULIACALL_PROJECT=str(Path("elsewhere")),
    )
    assert "it has 2 threads, and the settings say 4" in done.stderr
    assert "its signal handling is off" in done.stderr
    assert f"its project is elsewhere, and not {tmp_path / 'project'}" in done.stderr
    assert "To mend it: call hybridwater.engines.julia.start() before that package" in done.stderr


def test_nothing_is_said_if_another_package_has_started_it_well(run, tmp_path):
    done = run(
        "import juliacall\nstart()",
        PYTHON_JULIACALL_HANDLE_SIGNALS="yes",
        PYTHON_JULIACALL_PROJECT=str(tmp_path / "project"),
    )
    assert done.stderr == ""


@pytest.mark.parametrize(("system", "warned"), [("darwin", True), ("linux", False)])
def test_torch_before_julia_is_said_where_it_matters(run, system, warned):
    done = run(f"sys.platform = {system!r}\nsys.modules['torch'] = sys\nstart()")
    assert ("torch was imported before Julia was started" in done.stderr) == warned


def test_another_package_without_ours(run):
    done = run("import juliacall\nstart()", FAKE_EMPTY="1")
    assert "Another package has started Julia in a project without HybridWater" in done.stderr
    assert "Call hybridwater.engines.julia.start() before that package is imported" in done.stderr
