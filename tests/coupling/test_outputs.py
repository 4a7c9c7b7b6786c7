import sys

import numpy as np
import pytest
from killed import DAYS, make
from pairs import Aquifer, Surface
from reservoirs import start

from hybridwater.coupling import CoupledModel, Output
from hybridwater.coupling.outputs import at_cells
from hybridwater.errors import CouplingError, MissingDependency

RAIN = {"recharge_flux": 3.0}
BOTH = ["runoff_flux", "reservoir_amount"]


def lake(outputs, step=1.0, **options):
    """Return the outputs of a lake that fills, from 2001-01-20 to 2001-04-01."""
    part = start(step, rate=0.1, inputs=RAIN, start="2001-01-20")
    model = CoupledModel({"lake": part}, outputs={"lake": outputs}, **options)
    model.run("2001-04-01", progress=False)
    return model.output("lake").load()


def test_without_an_interval_every_step_is_kept():
    kept = lake(BOTH)
    assert kept.sizes["time"] == 71
    assert kept["runoff_flux"].attrs["cell_methods"] == "time: mean"
    assert kept["reservoir_amount"].attrs["cell_methods"] == "time: point"
    assert "end" in kept["reservoir_amount"].attrs["comment"]


@pytest.mark.parametrize("every", ["10 d", "month"])
def test_intervals_are_what_the_steps_in_them_say(every):
    methods = {"runoff_flux": "mean", "reservoir_amount": "maximum"}
    steps, kept = lake(BOTH), lake(Output(BOTH, every, methods))
    last = lake({"variables": BOTH, "every": every, "methods": {"runoff_flux": "sum"}})
    low = lake(Output(BOTH, every, {"runoff_flux": "minimum", "reservoir_amount": "mean"}))
    bounds = kept["time_bounds"].values
    assert (kept["time"].values == bounds[:, 0]).all()
    assert (bounds[1:, 0] == bounds[:-1, 1]).all()
    assert len(bounds) == (7 if every == "10 d" else 3)
    for i, (begin, end) in enumerate(bounds):
        inside = steps.isel(time=(steps["time"] >= begin) & (steps["time"] < end))
        flux, amount = inside["runoff_flux"], inside["reservoir_amount"]
        np.testing.assert_allclose(kept["runoff_flux"][i], flux.mean("time"), rtol=1e-13)
        np.testing.assert_allclose(last["runoff_flux"][i], flux.sum("time"), rtol=1e-13)
        assert (low["runoff_flux"][i] == flux.min("time")).all()
        assert (kept["reservoir_amount"][i] == amount.max("time")).all()
        assert (last["reservoir_amount"][i] == amount[-1]).all()
        np.testing.assert_allclose(low["reservoir_amount"][i], amount.mean("time"), rtol=1e-13)


def test_what_is_kept_is_said_as_cf_says_it():
    kept = lake(Output(BOTH, "10 d", {"runoff_flux": "sum", "reservoir_amount": "maximum"}))
    assert kept["runoff_flux"].attrs["units"] == "kg m-2"  # of kg m-2 d-1, over days
    assert kept["runoff_flux"].attrs["cell_methods"] == "time: sum (interval: 86400 s)"
    assert "standard_name" not in kept["runoff_flux"].attrs  # that of a flux
    assert kept["reservoir_amount"].attrs["cell_methods"] == "time: maximum (interval: 86400 s)"
    plain = lake(Output(BOTH, "10 d"))
    assert plain["runoff_flux"].attrs["cell_methods"] == "time: mean"
    assert plain["runoff_flux"].attrs["standard_name"] == "runoff_flux"
    assert plain["reservoir_amount"].attrs["cell_methods"] == "time: point"


def test_means_are_of_time_where_steps_do_not_fit():
    kept, steps = lake(Output(BOTH, "2 d"), step=0.7), lake(BOTH, step=0.7)
    bounds = (kept["time_bounds"].values - kept["time"].values[0]) / np.timedelta64(1, "h")
    assert bounds[:3, 1] / 24 == pytest.approx([2.1, 4.2, 6.3])  # the first step that is there
    expected = steps["runoff_flux"][:3].mean("time")
    np.testing.assert_allclose(kept["runoff_flux"][0], expected, rtol=1e-13)


def test_an_interval_that_has_not_ended_is_in_the_checkpoint(tmp_path):
    def model(folder):
        part = start(0.3, rate=0.1, inputs=RAIN)
        kept = {"lake": Output(BOTH, "7 d", {"reservoir_amount": "mean"})}
        return CoupledModel({"lake": part}, outputs=kept, directory=folder)

    whole, parts = model(tmp_path / "whole"), model(tmp_path / "parts")
    whole.run("40 d", progress=False)
    parts.run("18 d", progress=False)
    parts.checkpoint()
    parts.run("9 d", progress=False)  # forgotten
    parts.close()
    again = model(tmp_path / "parts")
    again.resume()
    again.run("22 d", progress=False)
    for each in (whole, again):
        each.close()
    one, other = (tmp_path / name / "lake.nc" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()
    kept = CoupledModel({"lake": start(0.3)}, outputs={"lake": BOTH}, directory=tmp_path / "parts")
    with pytest.raises(CouplingError, match="every 7 d"):
        kept.resume()


def test_passes_that_are_repeated_count_once(tmp_path):
    def surface(every):
        parts = {
            "surface": Surface(leakance=2.0, step=0.5, area=np.full(3, 1e6)),
            "aquifer": Aquifer(step=1.0, area=np.full(3, 1e6)),
        }
        model = CoupledModel(
            parts,
            [
                {"source": "surface.leakage_flux", "target": "aquifer"},
                {"source": "aquifer.groundwater_head", "target": "surface"},
            ],
            iteration={"relaxation": 0.3},
            outputs={"surface": Output(["leakage_flux"], every)},
        )
        model.run("8 d", progress=False)
        assert max(model.iterations["surface, aquifer"]) > 2
        return model.output("surface")["leakage_flux"].values

    # The window of the iteration is a day, so that half of each second interval is in it.
    np.testing.assert_allclose(
        surface("1.5 d")[:5], surface(None)[:15].reshape(5, 3, 3).mean(1), rtol=1e-12
    )


def two_lakes(outputs, **options):
    """Return the outputs of two lakes that fill at different rates."""
    part = start(1.0, area=[1e6, 2e6], rate=[0.1, 0.3], inputs=RAIN)
    model = CoupledModel({"lake": part}, outputs={"lake": outputs}, **options)
    model.run("9 d", progress=False)
    model.close()
    return model.output("lake").load()


@pytest.mark.parametrize("form", [None, "netcdf", "zarr"])
def test_only_the_sites_are_kept_and_say_which_cells_they_are(form, tmp_path):
    if form == "zarr":
        pytest.importorskip("zarr")
    where = {} if form is None else {"directory": tmp_path, "output_format": form}
    every = two_lakes(Output(BOTH, "3 d"))
    kept = two_lakes({"variables": BOTH, "every": "3 d", "sites": {"runoff_flux": [1]}}, **where)
    assert kept["runoff_flux"].dims == ("time", "runoff_flux_site")
    assert list(kept["runoff_flux_site"].values) == [1]
    np.testing.assert_array_equal(kept["runoff_flux"], every["runoff_flux"][:, [1]])
    np.testing.assert_array_equal(kept["reservoir_amount"], every["reservoir_amount"])
    turned = two_lakes(Output(["runoff_flux"], sites={"runoff_flux": [1, 0]}), **where)
    assert list(turned["cell"].values) == [1, 0]
    for values in (turned["runoff_flux"], two_lakes(BOTH)["runoff_flux"]):
        np.testing.assert_array_equal(at_cells(values, [0])[:, 0], turned["runoff_flux"][:, 1])
    with pytest.raises(CouplingError, match=r"\[0\] is none of the 1 cells that were kept"):
        at_cells(kept["runoff_flux"], [1, 0])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Output(BOTH, sites={"runoff_flux": [0, 9]}), r"has \d cells, and a site is in number 9"),
        (Output(BOTH, "7 d", {"reservoir_amount": "sum"}), "cannot be kept as 'sum'"),
        (Output(BOTH, "7 d", {"runoff_flux": "maxmum"}), "did you mean 'maximum'"),
        (["runof_flux"], "did you mean 'runoff_flux'"),
        (Output(BOTH, "weekly"), "not a duration"),
    ],
)
def test_refusals(wanted, words):
    with pytest.raises(CouplingError, match=words):
        lake(wanted)


def test_refused_declarations():
    with pytest.raises(CouplingError, match="did you mean 'runoff_flux'"):
        Output(BOTH, "7 d", {"runof_flux": "mean"})
    with pytest.raises(CouplingError, match="Sites are given for 'runof_flux'"):
        Output(BOTH, sites={"runof_flux": [0]})
    for cells in ([], [-1], [0.5], 3, ["outlet"]):
        with pytest.raises(CouplingError, match="no whole numbers of 0 or more"):
            Output(BOTH, sites={"runoff_flux": cells})
    with pytest.raises(CouplingError, match="no interval"):
        Output(BOTH, methods={"runoff_flux": "sum"})
    with pytest.raises(CouplingError, match="no output format 'zar'"):
        lake(BOTH, output_format="zar")


def test_zarr_holds_what_netcdf_holds_and_goes_on(tmp_path):
    pytest.importorskip("zarr")
    for form in ("netcdf", "zarr"):
        model = make(tmp_path / form, output_format=form)
        model.run("17 d", progress=False)
        model.checkpoint()
        model.run("13 d", progress=False)  # beyond what the checkpoint knows
        model.close()
        model = make(tmp_path / form, output_format=form)
        model.resume()
        model.run(f"{DAYS - 17} d", progress=False)
        model.close()
    both = [make(tmp_path / form, output_format=form) for form in ("netcdf", "zarr")]
    for model in both:
        model.resume()
    assert (tmp_path / "zarr" / "late.zarr").is_dir()
    for name in ("late", "surface", "rain"):
        one, other = (model.output(name).load() for model in both)
        assert one.identical(other)


def test_without_the_package_zarr_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependency, match=r"pip install \"hybridwater\[zarr\]\""):
        lake(BOTH, output_format="zarr", directory=tmp_path)
