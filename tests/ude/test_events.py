import pytest

from hybridwater.errors import DeclarationError, UnitError
from hybridwater.ude import UDE, model


def siphon(**changes):
    """A store that empties to its intake as soon as it reaches its crest."""
    spec = {
        "name": "siphon",
        "forcings": {"prcp": {"unit": "mm d-1"}},
        "parameters": {
            "crest": {"unit": "mm", "bounds": [10, 100], "default": 20},
            "intake": {"unit": "mm", "bounds": [0, 10], "default": 4},
        },
        "states": {"S": {"unit": "mm", "initial": 3, "equation": "prcp - out"}},
        "fluxes": {"out": {"unit": "mm d-1", "equation": "q"}},
        "events": {"q": {"unit": "mm d-1", "when": "S - crest", "amount": "S - intake"}},
    }
    return spec | changes


def test_both_spellings_give_the_same_model():
    @model(name="siphon")
    def traced(m):
        P = m.forcing("prcp", "mm d-1")
        S = m.state("S", "mm", initial=3)
        crest = m.parameter("crest", "mm", bounds=(10, 100), default=20)
        intake = m.parameter("intake", "mm", bounds=(0, 10), default=4)
        q = m.event("q", "mm d-1", when=S - crest, amount=S - intake)
        m.derivative(S, P - m.flux("out", q, "mm d-1"))

    ude = UDE.from_dict(siphon())
    assert traced == ude
    assert UDE.from_dict(ude.to_dict()) == ude
    assert "moves S - intake when S - crest > 0" in str(ude)
    assert ude.boundary == {"prcp": ("in", 1.0), "out": ("out", 1.0)}
    assert ude.order == ("q", "out")


@pytest.mark.parametrize(
    ("fluxes", "message"),
    [
        ({"out": {"unit": "mm d-1", "equation": "max(q, 0)"}}, "'q' is not added to"),
        ({"out": {"unit": "mm d-1", "equation": "q * q / prcp"}}, "'q' is not added to"),
        (
            {
                "twice": {"unit": "mm d-1", "equation": "2 * q"},
                "out": {"unit": "mm d-1", "equation": "q * twice / prcp"},
            },
            "is not added to",
        ),
    ],
)
def test_events_are_used_in_sums_only(fluxes, message):
    with pytest.raises(DeclarationError, match=message):
        UDE.from_dict(siphon(fluxes=fluxes))


def test_events_cannot_decide_anything():
    events = siphon()["events"]
    events["r"] = {"unit": "mm d-1", "when": "q - prcp", "amount": "S"}
    with pytest.raises(DeclarationError, match=r"'q' cannot be used here.*condition of 'r'"):
        UDE.from_dict(siphon(events=events))


def test_units_of_events_are_checked():
    for part, text in (("amount", "prcp"), ("when", "S - prcp")):
        events = siphon()["events"]
        events["q"][part] = text
        with pytest.raises(UnitError):
            UDE.from_dict(siphon(events=events))
