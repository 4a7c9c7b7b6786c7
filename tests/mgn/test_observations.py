import signal

import numpy as np
import pytest
import torch
import xarray as xr
from runoff_case import aquifer, behind, coupler, place, record

from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.errors import ComponentError, DataError, SettingsError
from hybridwater.mgn import RunoffRecord, Schooling, train_on_discharge
from hybridwater.mgn import observations as module

SHORT = Schooling(iterations=6, silent=2, window=20, warm=5, refresh=3)


def routing():
    return place()[2].at([2, 3])


def misfit(made, kept):
    with torch.no_grad():
        flow = routing()(made.arriving(made(kept.given, kept.signals)[0].leaving))
    return float((flow - kept.observed).square().nanmean())


def test_it_learns_that_water_comes_late():
    made, kept = coupler(unobserved=None), record(80)
    before = misfit(made, kept)
    plan = Schooling(iterations=60, silent=40, window=60, warm=10, loss=(("nse", 1.0),))
    table = train_on_discharge(made, kept, routing(), plan, progress=False)
    assert len(table) == 60
    assert misfit(made, kept) < 0.2 * before


def test_gages_and_days_that_are_left_out_are_not_seen():
    found = []
    for shift in (0.0, 100.0):
        kept = record()
        kept.observed[:, 1] += shift
        kept.observed[40:] += shift
        made = coupler()
        days = np.arange(60) < 40
        train_on_discharge(made, kept, routing(), SHORT, days=days, gages=[0], progress=False)
        found.append(made.state_dict())
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])


@pytest.mark.parametrize("stop", [2, 5])
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path, monkeypatch, stop):
    whole, kept = coupler(), record()
    train_on_discharge(whole, kept, routing(), SHORT, directory=tmp_path / "a", progress=False)
    broken, step, count = coupler(), module._School._step, 0

    def interrupted(self):
        nonlocal count
        count += 1
        if count == stop:
            signal.raise_signal(signal.SIGINT)  # the step under way is finished
        step(self)

    options = {"directory": tmp_path / "b", "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(module._School, "_step", interrupted)
        train_on_discharge(broken, kept, routing(), SHORT, **options)
    again = coupler(seed=9)
    table = train_on_discharge(again, kept, routing(), SHORT, resume=True, **options)
    assert list(table.iteration) == [1, 2, 3, 4, 5, 6]
    found = again.state_dict()
    assert all(torch.equal(found[k], v) for k, v in whole.state_dict().items())
    names = {path.name for path in (tmp_path / "b").iterdir()}
    assert {"coupler.safetensors", "losses.csv", "checkpoint.pt"} <= names
    with pytest.raises(SettingsError, match="another"):
        train_on_discharge(again, record(held=0.1), routing(), SHORT, resume=True, **options)


def test_a_record_is_made_of_the_outputs_of_a_run():
    time = np.arange("2000-01-01", "2000-01-04", dtype="datetime64[D]").astype("datetime64[ns]")
    land = xr.Dataset(
        {
            "runoff": (("time", "cell"), np.full((3, 4), 2.0), {"units": "kg m-2 d-1"}),
            "snow": (("time", "cell"), np.ones((3, 4)), {"units": "kg m-2"}),
        },
        {"time": time},
    )
    flow = xr.DataArray(
        np.full((2, 5), 1000.0), {"time": time[:2]}, ("time", "gage"), attrs={"units": "l s-1"}
    )
    made = RunoffRecord.from_dataset(
        land, flow, given=["runoff"], signals={"runoff": "kg m-2 d-1", "snow": "g m-2"}
    )
    assert made.given.shape == (3, 4, 1)
    assert made.signals[0, 0].tolist() == [2.0, 1000.0]
    assert made.observed[:2].allclose(torch.ones(2, 5, dtype=torch.float64))
    assert bool(made.observed[2].isnan().all())
    signals = {"snow": "kg m-2"}
    for order, message in (([0, 2, 1], "not sorted"), ([0, 0, 1], "more than once")):
        with pytest.raises(DataError, match=message):
            RunoffRecord.from_dataset(
                land.isel(time=order), flow, given=["runoff"], signals=signals
            )
    hours = land.assign_coords(time=time[0] + np.arange(3) * np.timedelta64(1, "h"))
    with pytest.raises(DataError, match="not a day"):
        RunoffRecord.from_dataset(hours, flow, given=["runoff"], signals=signals)
    twice = flow.isel(time=[0, 0])
    with pytest.raises(DataError, match="one of them twice"):
        RunoffRecord.from_dataset(land, twice, given=["runoff"], signals=signals)
    with pytest.raises(DataError, match="'snoe' is missing: did you mean 'snow'"):
        RunoffRecord.from_dataset(land, flow, given=["runoff"], signals={"snoe": "kg m-2"})


def test_what_cannot_be_learned_from_is_refused():
    kept = record()
    with pytest.raises(DataError, match="same days"):
        RunoffRecord(kept.given[:5], kept.signals, kept.observed)
    gap = kept.given.clone()
    gap[3, 2, 1] = torch.nan
    with pytest.raises(DataError, match=r"1 values .* not finite.*day 3, cell 2, flux 1"):
        RunoffRecord(gap, kept.signals, kept.observed)
    with pytest.raises(DataError, match="The routing goes to 1 gages"):
        train_on_discharge(coupler(), kept, place()[2].at([2]), SHORT)
    with pytest.raises(SettingsError, match="The window has 90 days"):
        train_on_discharge(coupler(), kept, routing(), Schooling(window=90))
    kept.observed[:, 1] = torch.nan
    with pytest.raises(DataError, match="no observations"):
        train_on_discharge(coupler(), kept, routing(), SHORT)
    for bad in ({"iterations": 0}, {"rate": 0.0}, {"loss": (("nsee", 1.0),)}):
        with pytest.raises(SettingsError):
            Schooling(**bad)


def seen_behind(through, days=80, held=0.6):
    """Return a record whose discharge went through a surrogate."""
    kept, made = record(days), coupler()
    late = kept.given.clone()
    late[..., 0] *= 1.0 - held
    late[1:, :, 0] += held * kept.given[:-1, :, 0]
    flow = routing()(made.arriving(through(late.sum(-1))[0]))
    return RunoffRecord(kept.given, kept.signals, flow)


ENGINES = ["embedded", pytest.param("julia", marks=pytest.mark.julia)]


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_go_through_exchange_surrogate_and_routing(engine):
    through, kept = behind(engine), record(15)
    made = coupler(unobserved=None, precision="float64").double()
    features = made.remember(kept.signals)[0]
    made.acquaint(kept.given, features)

    def loss():
        leaving = made.exchange(kept.given, features).leaving
        flow = routing()(made.arriving(through(leaving)[0]))
        return (flow[6:] - kept.observed[6:]).square().mean()

    loss().backward()
    for weights in (made.offsets, list(made.network.decoders["land"].parameters())[-1]):
        k = int(weights.grad.abs().argmax())
        found, step = float(weights.grad.flatten()[k]), 1e-5
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weights.view(-1)[k] += sign * step
                ends.append(float(loss()))
                weights.view(-1)[k] -= sign * step
        assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)
        assert abs(found) > 1e-8


@pytest.mark.parametrize("engine", ENGINES)
def test_it_learns_from_what_a_surrogate_behind_it_gives(engine):
    through, made = behind(engine), coupler(unobserved=None)
    kept = seen_behind(through)

    def wrong():
        with torch.no_grad():
            leaving = made(kept.given, kept.signals)[0].leaving
            flow = routing()(made.arriving(through(leaving)[0]))
        return float((flow - kept.observed).square().mean())

    before = wrong()
    free = {"prior": 0.0, "smooth": 0.0, "small": 0.0, "loss": (("nse", 1.0),)}
    plan = Schooling(iterations=60, silent=50, window=60, warm=10, **free)
    train_on_discharge(made, kept, routing(), plan, through=through, progress=False)
    assert wrong() < 0.2 * before


def test_a_run_with_a_surrogate_goes_on(tmp_path):
    through = behind()
    kept = seen_behind(through, 60)
    options = {"through": through, "progress": False, "checkpoint_every": 1}
    whole, broken = coupler(), coupler()
    train_on_discharge(whole, kept, routing(), SHORT, directory=tmp_path / "a", **options)
    options["directory"] = tmp_path / "b"
    step = module._School._step
    for stop in (1, 4):  # while the network is silent, and in the windows

        def interrupted(self, stop=stop):
            if len(self.losses) == stop:
                signal.raise_signal(signal.SIGINT)
            step(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module._School, "_step", interrupted)
            train_on_discharge(broken, kept, routing(), SHORT, resume=stop > 1, **options)
        broken = coupler(seed=9)
    train_on_discharge(broken, kept, routing(), SHORT, resume=True, **options)
    found = broken.state_dict()
    assert all(torch.equal(found[k], v) for k, v in whole.state_dict().items())
    other = options | {"through": behind(k=0.3)}
    with pytest.raises(SettingsError, match="another"):
        train_on_discharge(broken, kept, routing(), SHORT, resume=True, **other)


def test_a_surrogate_of_other_cells_is_refused():
    made = SurrogateComponent(model=aquifer, area=np.ones(3))
    made.initialize()
    through = made.flow("recharge", "q")
    with pytest.raises(ComponentError, match=r"\(60, 12\), not \(step, 3\)"):
        train_on_discharge(coupler(), record(), routing(), SHORT, through=through, progress=False)
