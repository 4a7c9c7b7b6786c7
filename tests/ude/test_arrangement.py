import pytest

from hybridwater.errors import DeclarationError, UnitError
from hybridwater.ude import UDE
from hybridwater.ude.program import Assign, Implicit, Root


def test_an_unknown_comes_before_the_fluxes_that_need_it(implicit_models):
    ude = implicit_models["one"]
    assert ude.order == ("surface", "warmth", "gain")
    (block,) = ude.arrangement.blocks.values()
    assert (block.unknowns, block.between) == (("surface",), ("warmth",))


def test_unknowns_whose_equations_need_each_other_are_solved_together(implicit_models):
    (block,) = implicit_models["two"].arrangement.blocks.values()
    assert set(block.unknowns) == {"between", "leaves"}


def test_unknowns_that_do_not_are_solved_one_after_the_other(energy_balance):
    spec = energy_balance()
    spec["unknowns"]["deep"] = {
        "unit": "K",
        "bounds": [150, 400],
        "equation": "c * (deep - surface) + c * (deep - air)",
    }
    ude = UDE.from_dict(spec)
    assert [b.unknowns for b in ude.arrangement.blocks.values()] == [("surface",), ("deep",)]
    assert ude.order.index("surface") < ude.order.index("deep")


def test_the_program_solves_and_then_names(implicit_models):
    steps = implicit_models["one"].program.steps
    assert [type(s) for s in steps] == [Root, Assign, Assign, Implicit, Assign, Assign]
    assert steps[0].residuals == ("surface__residual",)
    assert steps[3].names == ("surface",)


def test_both_spellings_give_the_same_model(implicit_models):
    for ude in implicit_models.values():
        assert UDE.from_dict(ude.to_dict()) == ude


def test_a_model_shows_its_unknowns(implicit_models):
    text = str(implicit_models["one"])
    assert "surface  [K] in (150, 400) such that 0 = radiation" in text
    assert "0 &= " in implicit_models["one"]._repr_latex_()


def refused(spec, error, message):
    with pytest.raises(error, match=message):
        UDE.from_dict(spec)


def test_bad_equations_are_refused(energy_balance):
    def changed(**changes):
        spec = energy_balance()
        spec["unknowns"]["surface"] |= changes
        return spec

    refused(changed(equation="radiation - c * air"), DeclarationError, "does not contain it")
    refused(changed(equation="radiation - surface"), UnitError, "side by side")
    refused(changed(equation="radiation - sky - warmth"), DeclarationError, "'sky' is not declared")
    refused(changed(bounds=[400, 150]), DeclarationError, "not a finite range")
    refused(changed(guess=500), DeclarationError, "begins at 500.0, outside the bounds")
    refused(changed(start=300), DeclarationError, "'start' is not known")
    circle = changed()
    circle["fluxes"]["warmth"]["equation"] = "c * (surface - air) + 0 * gain * heat"
    assert UDE.from_dict(circle)  # 0 * gain is nothing
    circle["fluxes"]["warmth"]["equation"] = "c * (surface - air) + gain * heat"
    refused(circle, DeclarationError, "in a circle: (warmth -> gain|gain -> warmth)")


def test_what_a_declaration_needs(energy_balance):
    from hybridwater.ude.declaration import Declaration

    m = Declaration("half")
    z = m.unknown("z", "m", bounds=(0, 1))
    with pytest.raises(DeclarationError, match="'z' has no equation"):
        m.build()
    m.residual(z, z - 1)
    with pytest.raises(DeclarationError, match="given twice"):
        m.residual(z, z - 1)
    with pytest.raises(DeclarationError, match="declared twice"):
        m.unknown("z", "m", bounds=(0, 1))
    m.residual(m.state("s", "m"), z)
    with pytest.raises(DeclarationError, match="'s' is not an unknown"):
        m.build()
