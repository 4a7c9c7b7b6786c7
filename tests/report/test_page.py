"""The HTML report: self-contained, escaped, complete."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from hybridwater.errors import DataError, UnitError
from hybridwater.report import Illustration, Section, Table, style, training_curve, write_report

HOSTILE = "<script>alert('x')</script>\" onload=\"y & <b>"


class Page(HTMLParser):
    """Collects tags with attributes and the text within each kind of tag."""

    def __init__(self, path):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag  # well nested

    def handle_data(self, data):
        for tag in self.open[-1:]:
            self.texts[tag][-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def curve() -> style.ReportFigure:
    metrics = {"stage": "together", "epoch": range(1, 21), "loss": np.linspace(1, 0.3, 20)}
    skill = {"train_nse": np.linspace(0, 0.7, 20), "validation_nse": np.linspace(0, 0.6, 20)}
    return training_curve(pd.DataFrame(metrics | skill))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "nse": [0.71234, np.nan, -0.25],
            "area": [1234.5, 20.0, 3.25],
            "residual": [1e-13, 0.0, -3e-12],
            "days": [365, 12000, -1],
            "note": ["fine", None, HOSTILE],
        },
        index=pd.Index(["03604000", "01013500", "x"], name="basin"),
    )
    frame.attrs = {"units": {"nse": "1", "area": "km2", "residual": "mm"}, "caption": "Skill."}
    return frame


@pytest.fixture(scope="module")
def page(tmp_path_factory, curve, table) -> Page:
    path = write_report(
        tmp_path_factory.mktemp("page") / "new" / "report.html",
        title=HOSTILE,
        subtitle=HOSTILE,
        attributes={HOSTILE: HOSTILE, "seed": 0},
        sections=[
            Section(HOSTILE, f"One.\n\n{HOSTILE}", [curve], [table]),
            Section("Second", figures=[Illustration(curve, HOSTILE, HOSTILE)]),
        ],
    )
    return Page(path)


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "poster", "action", "data"):
                assert value.startswith(("data:image/png;base64,", "#"))
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert "http://" not in page.source
    assert "https://" not in page.source


def test_hostile_text_is_shown_as_text(page):
    assert "<script" not in page.source
    assert page.texts["h1"] == [HOSTILE]
    assert page.texts["title"] == [HOSTILE]
    assert page.texts["dt"][0] == page.texts["dd"][0] == HOSTILE
    assert page.texts["h2"][1] == HOSTILE
    assert page.texts["a"][0] == HOSTILE
    assert page.texts["figcaption"][1] == HOSTILE
    assert page.texts["td"][-1] == HOSTILE
    assert page.all("img")[1]["alt"] == HOSTILE


def test_figures_have_caption_and_alternative_text(page):
    first = page.all("img")[0]
    png = base64.b64decode(first["src"].removeprefix("data:image/png;base64,"))
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == int(first["width"])
    assert int.from_bytes(png[20:24], "big") == int(first["height"])
    assert first["alt"].startswith("Training curve of 20 epochs")
    assert page.texts["figcaption"][0].startswith("Loss and skill of 20 epochs")


def test_contents_lead_to_the_sections(page):
    links = [attrs["href"] for attrs in page.all("a")]
    assert links == ["#section-1", "#section-2"]
    assert [attrs["id"] for attrs in page.all("section")] == ["section-1", "section-2"]


def test_paragraphs(page):
    assert page.texts["p"][1:] == ["One.", HOSTILE]


def test_page_fits_phone_print_and_dark_mode(page):
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert "prefers-color-scheme: dark" in page.source
    assert "@media print" in page.source
    assert page.all("html")[0]["lang"] == "en"


def test_table_has_units_and_aligned_numbers(page):
    assert page.texts["th"] == ["basin", "nse", "area", "residual", "days", "note"]
    assert page.texts["span"] == ["(–)", "(km²)", "(mm)"]  # noqa: RUF001
    rows = np.array(page.texts["td"]).reshape(3, 6).tolist()
    assert rows[0] == ["03604000", "0.71", "1234", "1.0 × 10⁻¹³", "365", "fine"]  # noqa: RUF001
    assert rows[1] == ["01013500", "–", "20", "0", "12000", "–"]  # noqa: RUF001
    assert rows[2][:5] == ["x", "−0.25", "3", "−3.0 × 10⁻¹²", "−1"]  # noqa: RUF001
    assert page.texts["caption"] == ["Skill."]


def test_table_of_its_own_caption_units_and_digits(tmp_path, table):
    plain = table[["area"]].reset_index(drop=True)
    section = Section("A", tables=[Table(plain, "Areas", {"area": "m2"}, digits=6)])
    page = Page(write_report(tmp_path / "r.html", title="t", sections=[section]))
    assert page.texts["caption"] == ["Areas"]
    assert page.texts["span"] == ["(m²)"]
    assert page.texts["th"] == ["area"]
    assert page.texts["td"] == ["1234.50", "20.00", "3.25"]


def test_one_large_number_does_not_hide_the_others(tmp_path):
    skill = pd.DataFrame({"nse": [0.62, 0.36, -252.7, 0.71]})
    section = Section("A", tables=[Table(skill, "Skill", {"nse": "1"})])
    page = Page(write_report(tmp_path / "r.html", title="t", sections=[section]))
    assert page.texts["td"] == ["0.62", "0.36", "−252.70", "0.71"]  # noqa: RUF001


def test_same_content_gives_the_same_bytes(tmp_path, curve):
    def write(name):
        sections = [Section("A", figures=[curve])]
        return write_report(tmp_path / name, title="t", sections=sections).read_bytes()

    assert write("a.html") == write("b.html")


def test_figure_without_caption_is_refused_and_nothing_written(tmp_path):
    bare = Section("Results", figures=[matplotlib.figure.Figure()])
    with pytest.raises(DataError, match=r"no caption.*section 'Results'"):
        write_report(tmp_path / "r.html", title="t", sections=[bare])
    assert list(tmp_path.iterdir()) == []


def test_plain_figure_takes_a_caption(tmp_path):
    section = Section("A", figures=[Illustration(matplotlib.figure.Figure(), "Nothing.")])
    page = Page(write_report(tmp_path / "r.html", title="t", sections=[section]))
    assert page.all("img")[0]["alt"] == "Nothing."


def test_report_without_section_is_refused(tmp_path):
    with pytest.raises(DataError, match="no section"):
        write_report(tmp_path / "r.html", title="t", sections=[])


def test_unknown_unit_of_a_column_is_refused(tmp_path, table):
    section = Section("A", tables=[Table(table, units={"area": "acrez"})])
    with pytest.raises(UnitError, match="acrez"):
        write_report(tmp_path / "r.html", title="t", sections=[section])
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DataError, match="Free some space"):
        write_report(tmp_path / "r.html", title="t", sections=[Section("A")])
    assert list(tmp_path.iterdir()) == []


def test_caption_travels_with_the_figure():
    figure = style.new_figure(2)
    assert isinstance(figure, matplotlib.figure.Figure)
    assert (figure.caption, figure.alt) == ("", "")
