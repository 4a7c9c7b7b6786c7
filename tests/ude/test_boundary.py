import sympy

from hybridwater.ude.boundary import boundary_terms
from hybridwater.ude.functions import symbol
from hybridwater.ude.terms import Flux

a, b, c, d, k = (symbol(n) for n in "abcdk")


def test_flows_between_stores_cancel():
    assert boundary_terms([a - b, b - c], []) == {a: 1, c: -1}


def test_parts_become_the_whole():
    q = Flux("q", "mm d-1", b + c)
    assert boundary_terms([a - b - c], [q]) == {a: 1, symbol("q"): -1}


def test_shares_of_a_flux_add_up_to_it():
    fast, slow = Flux("fast", "mm d-1", k * b), Flux("slow", "mm d-1", (1 - k) * b)
    stores = [a - b, symbol("fast") - c, symbol("slow") - d]
    assert boundary_terms(stores, [fast, slow]) == {a: 1, c: -1, d: -1}


def test_names_are_preferred_to_fewer_terms():
    f, g = Flux("f", "mm d-1", a * b + c), Flux("g", "mm d-1", sympy.Integer(2) * d)
    assert boundary_terms([symbol("f") - c], [f, g]) == {symbol("f"): 1, c: -1}


def test_no_definition_is_used_where_it_does_not_help():
    q = Flux("q", "mm d-1", k * d)
    assert boundary_terms([a - symbol("q")], [q]) == {a: 1, symbol("q"): -1}
