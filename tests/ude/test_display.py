import pytest

from hybridwater.ude import UDE, models


def tank():
    return UDE.from_dict(
        {
            "name": "tank",
            "description": "A tank.",
            "forcings": {"prcp": {"unit": "mm d-1", "description": "rain"}},
            "states": {"soil": {"unit": "mm", "equation": "prcp - et - q_out"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0.001, 1], "default": 0.25}},
            "constants": {"cap": {"unit": "mm", "value": 300}},
            "fluxes": {"q_out": {"unit": "mm d-1", "equation": "k * max(soil - cap, 0)"}},
            "networks": {
                "et": {
                    "unit": "mm d-1",
                    "inputs": {"soil": [0, 500], "prcp": [0, 30]},
                    "positive": True,
                    "monotone": {"soil": 1, "prcp": -1},
                    "zero_when_empty": "soil",
                }
            },
        }
    )


def test_text():
    assert str(tank()) == "\n".join(
        [
            "UDE 'tank', time in d",
            "  A tank.",
            "forcings",
            "  prcp  [mm d-1] rain",
            "parameters",
            "  k  [d-1] 0.25 in (0.001, 1)",
            "constants",
            "  cap  [mm] 300",
            "fluxes",
            "  q_out  [mm d-1] = k*max(0, -cap + soil)",
            "  et     [mm d-1] = network(soil, prcp) 2-16-16-1, positive, increasing in soil, "
            "decreasing in prcp, zero when soil is empty",
            "states",
            "  dsoil/dt  [mm] = -et + prcp - q_out",
        ]
    )


def test_text_of_a_bounded_network():
    data = tank().to_dict()
    data["networks"]["et"] |= {"positive": False, "bounds": [0, 5]}
    assert "2-16-16-1, in (0, 5), increasing" in str(UDE.from_dict(data))


def test_constants_of_replaced_equations_are_not_shown():
    assert "hamon_factor" in str(models.exp_hydro())
    assert "hamon_factor" not in str(models.exp_hydro_hybrid())


def test_short_form():
    assert repr(tank()) == "<UDE 'tank': 1 states, 1 networks>"


def test_latex():
    latex = tank()._repr_latex_()
    assert latex.startswith("$$\\begin{aligned}\n")
    assert latex.endswith("\n\\end{aligned}$$")
    assert r"\frac{d\,\mathrm{soil}}{dt} &=" in latex
    assert r"\mathrm{q\_out} &= \mathrm{k}\,\max" in latex
    assert r"\mathrm{et} &= \mathrm{NN}_{\mathrm{et}}(\mathrm{soil},\,\mathrm{prcp})" in latex


def test_latex_of_a_smooth_step():
    latex = models.exp_hydro()._repr_latex_()
    assert r"\operatorname{step}_{\mathrm{storage\_width}}\left(\mathrm{snow}\right)" in latex


@pytest.mark.parametrize(
    "make", [models.exp_hydro, models.exp_hydro_hybrid, models.hbv, models.gr4j, models.neural_ode]
)
def test_every_equation_is_shown(make):
    ude = make()
    text, latex = str(ude), ude._repr_latex_()
    for name in ude.order:
        assert f"\n  {name} " in text
        assert rf"\mathrm{{{name.replace('_', chr(92) + '_')}}} &=" in latex
    for state in ude.states:
        assert f"d{state.name}/dt" in text
    for brace, end in ("{}", "()"):
        assert latex.count(brace) == latex.count(end)
