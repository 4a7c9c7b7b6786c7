"""A real Julia, in processes of its own: starting, calling, stopping, and what it leaves behind.

The Julia functions of these tests are made in a module of their own, by ``evaluate``.
"""

from __future__ import annotations

import os
import re
import textwrap

import pytest

pytestmark = [pytest.mark.julia, pytest.mark.slow]

HEAD = """
import os, signal, sys, threading, time
import numpy as np
from hybridwater._julia import call, start


def evaluate(source):
    start()
    import juliacall
    box = juliacall.Main.seval("Module(:Box)")
    juliacall.Base.eval(box, juliacall.Base.Meta.parse("using HybridWater"))
    return juliacall.Base.eval(box, juliacall.Base.Meta.parse(source))

LOOP = '''
seconds -> begin
    stop = time() + seconds
    steps = 0
    while time() < stop
        HybridWater.check_interrupt()
        steps += length(zeros(10))
    end
    return steps
end
'''
"""


@pytest.fixture(scope="module")
def run(python):
    def run(source, **how):
        return python(HEAD + textwrap.dedent(source), **how).stdout

    return run


def test_arrays_go_in_and_out_as_they_are(run):
    out = run("""
        three = np.arange(24.0).reshape(2, 3, 4)
        same, shape = evaluate("x -> (x, size(x))"), evaluate("x -> (typeof(x) |> string, size(x))")
        assert call(shape, three) == ("Array{Float64, 3}", (4, 3, 2))
        for given in [
            three, three[:, ::-1], three.T, three[0, 0], np.zeros((0, 3)), np.array(5.0),
            np.arange(3), np.array([True, False]), np.float32([[1, 2]]),
        ]:
            got, _ = call(same, given)
            assert got.dtype == given.dtype and got.shape == given.shape, (got, given)
            assert got.flags.c_contiguous and got.flags.owndata and got.flags.writeable
            assert np.array_equal(got, given)
        given = np.ones(3)
        call(evaluate("x -> (x .= 7; nothing)"), given)
        assert given.sum() == 3
        print("good")
    """)
    assert out == "good\n"


def test_other_values(run):
    out = run("""
        same = evaluate("(x...) -> x")
        given = (1, 2.5, True, "text", None, (1, (2, "b")))
        assert call(same, *given) == given
        ((nested, one),) = call(same, (np.ones(2), 1))
        assert nested.tolist() == [1, 1] and one == 1
        handle = call(evaluate("() -> Dict(:a => 1)"))
        assert call(evaluate("d -> d[:a]"), handle) == 1
        for wrong in (np.array(["a"]), np.array([1j])):
            try: call(same, wrong)
            except TypeError as error: print(error)
    """)
    assert out.splitlines() == [
        "an array of <U1 cannot be given to Julia",
        "an array of complex128 cannot be given to Julia",
    ]


def test_failures_are_translated_and_leave_julia_working(run):
    out = run("""
        import pickle
        from hybridwater.errors import HybridwaterError, SolveFailed
        for source in (
            "() -> sqrt(-1.0)", "() -> nothing + 1", "() -> error(\\"first\\\\nsecond\\")",
            "() -> fetch(Threads.@spawn throw(DivideError()))",
            "() -> (@sync begin Threads.@spawn error(\\"in a task\\") end)",
        ):
            try: call(evaluate(source))
            except HybridwaterError as error:
                copy = pickle.loads(pickle.dumps(error))
                assert str(copy) == str(error) and "Stacktrace" in copy.backtrace
                print(isinstance(error, SolveFailed), error.what)
        try: call("no_such_function")
        except HybridwaterError as error: print(error.what)
        assert call(evaluate("() -> 1")) == 1
    """)
    lines = out.splitlines()
    assert lines[0].startswith("True The solve broke down: DomainError with -1.0")
    assert lines[1].startswith("False Julia failed: MethodError: no method matching +(::Nothing")
    assert lines[2] == "False Julia failed: first"
    assert lines[3].startswith("True The solve broke down: DivideError")
    assert lines[4] == "False Julia failed: in a task"
    assert lines[5] == "The Julia package HybridWater has no function 'no_such_function'"


def test_other_python_threads_go_on(run):
    out = run("""
        loop = evaluate(LOOP)
        call(loop, 0.01)
        ticks = []
        def tick():
            while not over.is_set():
                ticks.append(time.monotonic()); time.sleep(0.01)
        over = threading.Event()
        thread = threading.Thread(target=tick); thread.start()
        call(loop, 2.0)
        over.set(); thread.join()
        print(len(ticks), max(b - a for a, b in zip(ticks, ticks[1:])))
    """)
    count, gap = out.split()
    assert int(count) > 50
    assert float(gap) < 0.5


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_the_call_and_the_next_one_works(run):
    out = run("""
        loop = evaluate(LOOP)
        call(loop, 0.01)
        for _ in range(3):
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            begin = time.monotonic()
            try: call(loop, 60.0)
            except KeyboardInterrupt: print("stopped", time.monotonic() - begin < 10)
        print("next", call(loop, 0.1) > 0)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try: time.sleep(60)
        except KeyboardInterrupt: print("in Python", time.monotonic() - begin < 30)
        print("handler", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    assert out.splitlines() == ["stopped True"] * 3 + [
        "next True",
        "in Python True",
        "handler True",
    ]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_julia_threads_too(run):
    out = run(
        """
        many = evaluate('''
            seconds -> begin
                Threads.@threads for i in 1:4
                    stop = time() + seconds
                    while time() < stop
                        HybridWater.check_interrupt()
                    end
                end
            end
        ''')
        call(many, 0.01)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        begin = time.monotonic()
        try: call(many, 60.0)
        except KeyboardInterrupt: print(time.monotonic() - begin < 20)
        call(many, 0.01)
        print(start().threads)
    """,
        HYBRIDWATER_JULIA_THREADS="2",
    )
    assert out.split() == ["True", "2"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_solve_and_a_gradient_within_one_record(run):
    """Explicit steps through a stiff record: minutes, if nobody stops them."""
    out = run("""
        from hybridwater.engines import Options, get_engine
        from hybridwater.ude import UDE
        fast = UDE.from_dict({
            "name": "fast",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0, 1e9], "default": 1}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": "k * S"}},
            "states": {"S": {"unit": "mm", "equation": "prcp - q"}},
        })
        def given(k):
            return np.full((1, 1), k), np.zeros(0), np.ones((1, 1, 1)), np.ones((1, 1))
        def timed(work, stop=None):
            begin = time.monotonic()
            if stop is not None:
                threading.Timer(stop, os.kill, (os.getpid(), signal.SIGINT)).start()
            try: work()
            except KeyboardInterrupt: print("stopped")
            return time.monotonic() - begin
        for how in ({"substeps": 10**9}, {"method": "tsit5", "gradient": "forward"}):
            solver = get_engine("julia").compile(fast, Options(max_steps=10**9, **how))
            print(timed(lambda: solver.solve(*given(1e9)), 0.5) < 20)
        def gradient(pullback):
            return lambda: pullback(np.ones((1, 1, 1)))
        gradient(solver.solve_with_pullback(*given(1.0))[1])()  # all is compiled now
        pull = gradient(solver.solve_with_pullback(*given(1e7))[1])
        whole = timed(pull)
        print(timed(pull, whole / 8) < whole / 2)
        solver = get_engine("julia").compile(fast, Options(method="tsit5"))
        print(solver.solve(*given(1.0)).final_state.item())
    """)
    *stops, last = out.split()
    assert stops == ["stopped", "True"] * 3
    assert abs(float(last) - 1.0) < 1e-12


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_termination_and_batch_warnings_reach_python(run):
    out = run("""
        # As a child gets it of a process in which Julia runs.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGUSR1, lambda *_: print("warned", flush=True))
        loop = evaluate(LOOP)
        call(loop, 0.01)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        call(loop, 1.0)
        signal.signal(signal.SIGTERM, lambda *_: (print("checkpoint", flush=True), sys.exit(7)))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        try: call(loop, 1.0)
        except SystemExit: print("exit")
    """)
    assert out.split() == ["warned", "checkpoint", "exit"]


def test_other_threads_may_call(run):
    out = run("""
        from concurrent.futures import ThreadPoolExecutor
        work = evaluate("n -> (GC.gc(); s = 0.0; for i in 1:n; s += sum(zeros(1000) .+ 1); end; s)")
        call(work, 10)
        with ThreadPoolExecutor(4) as pool:
            print(set(pool.map(lambda n: call(work, n), [3000] * 8)))
    """)
    assert out.splitlines() == ["{3000000.0}"]


def test_nothing_leaks_into_main(run):
    out = run("""
        from hybridwater._julia import available
        from hybridwater._julia.startup import configure
        configure(available())
        from juliacall import Base, Main
        names = lambda: {str(n) for n in Base.names(Main, all=True, imported=True)}
        before = names()
        start()
        call("interrupted")
        try: call("describe")
        except Exception: pass
        print(sorted(names() - before))
    """)
    assert out == "[]\n"


def test_memory_stays_flat(run):
    out = run("""
        import gc, resource
        same = evaluate("x -> (x, x .+ 1, 2.0)")
        fail = evaluate("() -> sqrt(-1.0)")
        given = np.zeros((10, 100, 10))
        def rounds(n):
            for k in range(n):
                call(same, given)
                if k % 5 == 0:
                    try: call(fail)
                    except Exception: pass
            call(evaluate("() -> GC.gc()")); gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * resource.getpagesize() / 2**20
        rounds(300)
        before = rounds(300)
        after = rounds(1000)
        print(after - before)
    """)
    assert float(out) < 30  # MiB; a thousand rounds carry 240 MiB


def test_a_thousand_gradients_keep_memory_flat(run):
    out = run("""
        import gc
        import hybridwater as hw
        from hybridwater.engines import Options, get_engine
        from hybridwater.engines.julia import engine
        from hybridwater.ude.program import initial_weights
        model = hw.models.exp_hydro_hybrid((8, 16))
        rng = np.random.default_rng(0)
        days = np.stack([rng.gamma(0.5, 8, 120), rng.normal(8, 6, 120), np.full(120, 12.0)], -1)
        p = np.array([[model.parameter(n).default for n in model.program.parameters]])
        w, start_ = initial_weights(model.program, 0), np.array([[1.0, 500.0]])
        measure = evaluate("() -> (GC.gc(); GC.gc(); Base.gc_live_bytes() / 2^20)")
        names = evaluate("() -> length(names(HybridWater; all=true, imported=true))")
        generated = evaluate('''() -> begin
            packages = HybridWater.RuntimeGeneratedFunctions
            sum(length, getfield(HybridWater, packages._cachename).levels; init=0)
        end''')
        def rounds(n):
            for k in range(n):
                if k % 10 == 0:  # the same model as if it were new
                    engine._compiled.cache_clear()
                    get_engine("julia").compile.cache_clear()
                solver = get_engine("julia").compile(model, Options(method="tsit5", rtol=1e-3))
                solution, pullback = solver.solve_with_pullback(p, w + 1e-4 * k, days[None], start_)
                pullback(np.ones_like(solution.fluxes))
            del solution, pullback
            gc.collect()
            return measure(), names(), generated(), len(gc.get_objects())
        first, *_, last = [rounds(200) for _ in range(7)][1:]
        print(*np.subtract(last, first))
    """)
    megabytes, names, generated, objects = map(float, out.split())
    assert megabytes < 1  # Julia's live memory
    assert names == 0  # what evaluated code would leave in the module
    assert generated == 0  # texts of functions that are kept
    assert objects < 100  # Python's


@pytest.mark.parametrize("order", ["torch first", "Julia first"])
def test_torch_works_in_either_order(run, order):
    first, second = "import torch", "start()"
    if order == "Julia first":
        first, second = second, first
    out = run(f"""
        {first}
        {second}
        x = torch.linspace(0, 1, 1000, dtype=torch.float64, requires_grad=True)
        (torch.sin(x) @ torch.eye(1000, dtype=torch.float64)).sum().backward()
        a = torch.randn(200, 200)
        torch.linalg.solve(a, a)
        print(call(evaluate("x -> sum(inv(x * x'))"), np.eye(50)), float(x.grad[0]))
    """)
    assert out.split() == ["50.0", "1.0"]


def test_spawned_processes_start_their_own(python, tmp_path):
    file = tmp_path / "work.py"
    file.write_text(
        "import multiprocessing, os\n"
        "from hybridwater._julia import call\n"
        "def work():\n"
        "    return call('interrupted'), os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    call('interrupted')\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        stopped, where = pool.apply(work)\n"
        "    print(stopped, where != os.getpid())\n"
    )
    source = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r})\n"
    done = python(source + f"runpy.run_path({str(file)!r}, run_name='__main__')")
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_processes_are_refused(run):
    out = run("""
        import multiprocessing
        def work(queue):
            try: queue.put(call("interrupted"))
            except Exception as error: queue.put(str(error))
        start()
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        process = context.Process(target=work, args=(queue,)); process.start()
        print(queue.get(timeout=60)); process.join(60)
        print(process.exitcode)
    """)
    assert out.startswith("Julia does not survive a fork")
    assert out.split()[-1] == "0"


def test_the_log_says_how_long_it_took(run):
    out = run("""
        import logging
        logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
        start()
    """)
    assert re.fullmatch(r"Julia [\d.]+ started in [\d.]+ s with \d+ threads\n", out)
