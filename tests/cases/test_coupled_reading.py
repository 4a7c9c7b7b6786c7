import pytest
from coupled_case import CASE, write_case

from hybridwater import cases
from hybridwater.errors import CaseError, ComponentError, HybridwaterError


def test_what_a_case_says(case_file):
    case = cases.load_coupled(case_file)
    assert list(case.components) == ["hill", "lake"]
    assert list(case.forcing) == ["weather"]
    assert case.start == "2001-01-01"
    assert case.components["hill"].model.options == {"area": 2e6, "initial": 5.0}
    assert [e.label for e in case.exchanges] == [
        "weather.rain -> hill.recharge_flux",
        "hill.runoff_flux -> lake.recharge_flux",
    ]
    assert case.directory == case_file.parent / "run"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[run]", "[runn]", ["'runn'", "did you mean 'run'"]),
        ("end = 2001-03-01", "", ["'end' is missing", "[run]"]),
        ("end = 2001", "ennd = 2001", ["'ennd'", "did you mean 'end'"]),
        ("end = 2001-03-01", "end = 5", ["'end' must be text"]),
        ("start = 2001-01-01", "window = '5'", ["'5' is not a duration", "key 'window'"]),
        ("start = 2001-01-01", "ledger = 3", ["'ledger' must be a table"]),
        (
            "start = 2001-01-01",
            "ledger = { on_error = 'wern' }",
            ["on_error = 'wern'", "key 'ledger'"],
        ),
        (
            "start = 2001-01-01",
            "ledger = { tolerence = 1e-9 }",
            ["'tolerence'", "did you mean 'tolerance'"],
        ),
        (
            "start = 2001-01-01",
            "iteration = { method = 'andersen' }",
            ["'andersen'", "did you mean 'anderson'", "key 'iteration'"],
        ),
        ('source = "csv"', 'source = "cvs"', ["'cvs'", "did you mean 'csv'", "[forcing.weather]"]),
        ('source = "csv"', "", ["'source' is missing", "[forcing.weather]"]),
        ('path = "hill.csv"', 'path = "hall.csv"', ["hall.csv", "relative to the case file"]),
        ('units = { rain = "mm d-1" }', "", ["'units' is missing"]),
        ('path = "hill.csv"', 'path = "hill.csv"\nmesh = "m"', ["no mesh 'm'", "[meshes.m]"]),
        ('path = "hill.csv"', 'path = "hill.csv"\nfile = "a"', ["'file' is not known"]),
        (
            "area = 2e6",
            "aria = 2e6",
            ["no keyword 'aria'", "did you mean 'area'", "[components.hill]"],
        ),
        ("area = 2e6", 'mesh = "m"', ["no mesh 'm'", "[components.hill]"]),
        ("area = 2e6", 'use = "surogate"', ['"analytic" or "surrogate"']),
        ("area = 2e6", 'use = "surrogate"', ["no surrogate of this", "hybridwater emulate"]),
        ("area = 2e6", "stand_in = true", ["no surrogate of this", "key 'stand_in'"]),
        ("area = 2e6", 'surrogate = { model = "nowhere" }', ["nowhere", "relative to"]),
        ("area = 2e6", 'configuration = "a.toml"', ["a.toml", "key 'configuration'"]),
        ("[components.lake]", '[components."a.b"]', ["'a.b' has a '.'"]),
        ("[components.lake]", "[components.weather]", ["forcing and of a component"]),
        (
            'source = "weather.rain"',
            'source = "wether.rain"',
            ["no component 'wether'", "did you mean 'weather'", "exchange, number 1"],
        ),
        (
            'target = "lake.recharge_flux"',
            'target = "lake.recharge"',
            ["did you mean 'recharge_flux'", "exchange, number 2"],
        ),
        ("remap = [0]", "remapp = [0]", ["'remapp'", "did you mean 'remap'"]),
        ("remap = [0]", 'share = "all"', ["wrong type", "exchange, number 2"]),
        ("remap = [0]", "share = 1.5", ["share 1.5"]),
        ("remap = [0]", 'remap = "w.nc"', ["w.nc", "key 'remap'"]),
        ("remap = [0]", 'remap = { file = "hill.csv" }', ["'variable' is missing"]),
        ("[[exchange]]", "[exchange]", ["is not TOML"]),
        ('"reservoir_amount"', '"reservoir"', ["did you mean 'reservoir_amount'", "[output]"]),
        (
            "[output]",
            "[[demand]]\ndemand = 'lake.wish'\nrealised = 'lake.recharge_flux'\n"
            "supply = 'hill.recharge_flux'\navailable = 'hill.reservoir_amount'\n[output]",
            ["no 'wish' among its outputs", "demand, number 1"],
        ),
        ("[output]", "[[demand]]\ndemand = 'lake.wish'\n[output]", ["'realised' is missing"]),
        ("lake = [", "late = [", ["no component 'late'", "did you mean 'lake'"]),
        ("[output]", "[output]\nevery = 'weekly'", ["not a duration", "[output]"]),
        ("[output]", "[output]\nformat = 'zar'", ["netcdf", "zarr", "[output]"]),
        (
            '["reservoir_amount", "runoff_flux"]',
            "{ variables = ['runoff_flux'], method = {} }",
            ["'method'", "did you mean 'methods'"],
        ),
        ('every = "20 d"', 'every = "20"', ["not a duration", "[restart]"]),
        ('every = "20 d"', "every = 20", ["'every' must be text"]),
    ],
)
def test_refusals(changed, old, new, words):
    with pytest.raises(HybridwaterError) as caught:
        cases.load_coupled(changed(old, new))
    message = str(caught.value)
    assert "case.toml" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('kind = "ugird"\npath = "m.nc"', ["'ugird'", "did you mean 'ugrid'", "[meshes.m]"]),
        ('path = "m.nc"', ["'kind' is missing"]),
        ('kind = "ugrid"', ["'path' is missing"]),
        ('kind = "ugrid"\npath = "m.nc"', ["m.nc", "relative to the case file"]),
        ('kind = "latlon"\nlon_bounds = [0, 1]', ["'lat_bounds' is missing"]),
        ('kind = "healpix"\nnside = 2.5', ["'nside' must be a whole number"]),
    ],
)
def test_refused_meshes(tmp_path, table, words):
    with pytest.raises(CaseError) as caught:
        cases.load_coupled(write_case(tmp_path, f"{CASE}\n[meshes.m]\n{table}\n"))
    for word in words:
        assert word in str(caught.value)


def test_unknown_components(changed):
    kind = 'kind = "hybridwater.components.template:Template"'
    with pytest.raises(ComponentError, match="did you mean 'gr4j'"):
        cases.load_coupled(changed(kind, 'kind = "grj4"'))
    with pytest.raises(ComponentError, match="cannot be imported"):
        cases.load_coupled(changed(kind, 'kind = "nowhere:Thing"'))
    with pytest.raises(CaseError, match="'kind' is missing"):
        cases.load_coupled(changed(kind, ""))


def test_a_class_beside_the_case_file(changed, tmp_path):
    (tmp_path / "my_hill_beside.py").write_text(
        "from hybridwater.components.template import Template\n\n\nclass Hill(Template): ...\n"
    )
    path = changed('"hybridwater.components.template:Template"', '"my_hill_beside:Hill"')
    assert cases.load_coupled(path).components["hill"].model.made.__name__ == "Hill"


def test_cases_of_fits_and_of_coupled_runs_are_told_apart(case_file, tmp_path):
    with pytest.raises(CaseError, match=r"hybridwater run case\.toml"):
        cases.load(case_file)
    fit = cases.write_template(tmp_path / "fit")
    with pytest.raises(CaseError, match=r"hybridwater fit case\.toml"):
        cases.load_coupled(fit)


def test_values_that_a_component_refuses_name_the_table(changed):
    with pytest.raises(CaseError, match=r"\[components.hill\]") as caught:
        cases.load_coupled(changed("area = 2e6", "area = -1")).build()
    assert "'area' is -1" in str(caught.value)


def test_a_start_without_records_is_refused(changed):
    with pytest.raises(CaseError, match="No record begins at 2000-01-01"):
        cases.load_coupled(changed("start = 2001-01-01", "start = 2000-01-01")).build()


def test_one_word_puts_the_surrogate_in_place(tmp_path):
    (tmp_path / "emulated").mkdir()
    text = CASE.replace("area = 2e6", 'area = 2e6\nuse = "surrogate"')
    table = '\n[components.hill.surrogate]\nmodel = "emulated"\n'
    case = cases.load_coupled(write_case(tmp_path, text + table))
    hill = case.components["hill"]
    assert hill.model.kind == "surrogate"
    assert hill.model.options == {
        "replaces": "hybridwater.components.template:Template",
        "model": tmp_path / "emulated",
    }
    assert {n.name: n.kind for n in case.graph()[0]}["hill"] == "surrogate"
    with pytest.raises(CaseError, match="from the start and from a later date"):
        cases.load_coupled(write_case(tmp_path, text + table + "from = 2001-01-21\n"))
    analytic = cases.load_coupled(write_case(tmp_path, CASE + table))
    assert analytic.components["hill"].model.kind.endswith("Template")
    analytic.build().run("3 d")
