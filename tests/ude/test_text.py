import time

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hybridwater.errors import DeclarationError
from hybridwater.ude import functions as fn
from hybridwater.ude.text import parse_expression, print_expression, require_finite

NAMES = ("soil", "prcp", "k")
SOIL, PRCP, K = (fn.symbol(n) for n in NAMES)


def parse(text):
    return parse_expression(text, NAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k * soil", K * SOIL),
        ("soil ** 2 / 3", SOIL**2 / 3),
        ("-soil + +k", K - SOIL),
        ("2.5e-3*prcp", sympy.Float(2.5e-3) * PRCP),
        ("min(soil, prcp, k)", sympy.Min(SOIL, PRCP, K)),
        ("max(soil - 10, 0)", sympy.Max(SOIL - 10, 0)),
        ("abs(soil)", sympy.Abs(SOIL)),
        ("sqrt(k)", sympy.sqrt(K)),
        ("exp(-k)", sympy.exp(-K)),
        ("where(soil >= k, prcp, 0)", sympy.Piecewise((PRCP, SOIL >= K), (0, True))),
        ("smooth_step(soil, k)", fn.smooth_step(SOIL, K)),
        ("sigmoid(k) + softplus(k)", fn.sigmoid(K) + fn.softplus(K)),
        ("sin(2 * pi * k)", sympy.sin(2 * sympy.pi * K)),
        ("  ( soil\n + k )  ", SOIL + K),
    ],
)
def test_arithmetic_is_read(text, expected):
    assert parse(text) == expected


INJECTIONS = [
    "__import__('os')",
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "soil.__class__",
    "soil.subs(k, 1)",
    "lambda: 1",
    "(lambda x: x)(soil)",
    "[x for x in (1, 2)]",
    "{x: 1 for x in (1, 2)}",
    "(x for x in (1, 2))",
    "'soil'",
    "b'soil'",
    'f"{soil}"',
    "soil[0]",
    "soil[0:1]",
    "{'a': 1}",
    "{1, 2}",
    "[soil]",
    "(soil, k)",
    "exp(x=soil)",
    "exp(*[soil])",
    "max(**{'a': 1})",
    "soil if k else prcp",
    "soil and k",
    "not soil",
    "soil or k",
    "~soil",
    "soil // k",
    "soil % k",
    "soil @ k",
    "soil << 2",
    "soil & k",
    "soil | k",
    "soil == k",
    "soil is k",
    "soil in k",
    "soil > k",
    "0 < soil < k",
    "(soil > k) + 1",
    "min(soil > k, 1)",
    "where(soil, 1, 2)",
    "where(soil > k > 0, 1, 2)",
    "(x := soil)",
    "x = soil",
    "soil; k",
    "soil\nk",
    "import os",
    "del soil",
    "await soil",
    "(yield soil)",
    "True",
    "None",
    "...",
    "1j",
    "eval('1')",
    "exec('1')",
    "open('x')",
    "getattr(soil, 'x')",
    "sympify('1')",
    "print(soil)",
    "exp",
    "exp + 1",
    "exp(exp)",
    "soil(k)",
    "soil.k",
    "soil k",
    "soil +",
    "soil \0",
    "# comment",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_anything_but_arithmetic_is_refused(text):
    with pytest.raises(DeclarationError):
        parse(text)


LOOK_ALIKES = [
    "\N{CYRILLIC SMALL LETTER DZE}oil",
    "s\N{CYRILLIC SMALL LETTER O}il",
    "\N{FULLWIDTH LATIN SMALL LETTER S}oil",
    "\N{LATIN SMALL LETTER LONG S}oil",
    "soil \N{MULTIPLICATION SIGN} k",
    "soil\N{ZERO WIDTH SPACE}",
    "\N{ARABIC-INDIC DIGIT THREE} * k",
]


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_letters_that_only_look_alike_are_refused(text):
    with pytest.raises(DeclarationError, match="not ASCII"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "soil ** 1000",
        "((9**64)**64)**64",
        "2 ** 64 ** 64",
        "(1/9) ** 9 ** 9",
        "1e308 * 1e308",
        "exp(1e6)",
        "exp(exp(exp(50)))",
        "2 ** ((-1) ** 0.5)",
        "(" * 5000 + "soil" + ")" * 5000,
        "-" * 15000 + "soil",
        "soil" + "+k" * 9000,
        "exp(" * 3000 + "soil" + ")" * 3000,
        "soil + " * 5000 + "k",
    ],
)
def test_what_would_take_for_ever_is_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(DeclarationError):
        parse(text)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("text", ["soil / 0", "log(0)", "log(-1)", "sqrt(-4)", "0 / 0", "1e999"])
def test_numbers_that_are_not_finite_are_refused(text):
    with pytest.raises(DeclarationError, match=r"infinite, not real|not arithmetic"):
        parse(text)


@pytest.mark.parametrize("text", ["", "   ", None, 3, "k" * 20_001])
def test_no_text_is_refused(text):
    with pytest.raises(DeclarationError, match="empty, not text, or longer than 20000"):
        parse_expression(text, NAMES)


def refused(text):
    with pytest.raises(DeclarationError) as caught:
        parse_expression(text, NAMES, "the equation of 'q'")
    return str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest():
    assert refused("k * sol") == (
        "The name 'sol' is not declared (did you mean 'soil'?). Where: the equation of 'q'. "
        "To mend it: Declare 'sol' as state, forcing, parameter, constant, flux or network."
    )


def test_an_unknown_function_is_answered_with_the_nearest():
    message = refused("sqr(k)")
    assert message.startswith(
        "The function 'sqr' may not be used in an equation (did you mean 'sqrt'?)."
    )
    assert "smooth_step" in message


def test_the_wrong_number_of_arguments():
    assert refused("exp(k, k)") == (
        "The function 'exp' takes 1 argument(s), not 2. Where: the equation of 'q'."
    )


def test_a_caret_is_no_power():
    assert refused("k ^ 2") == (
        "'^' is not a power here. Where: the equation of 'q'. To mend it: Write '**'."
    )


def test_what_is_not_arithmetic_is_quoted():
    assert refused("k + soil.real").startswith(
        "The equation has something that is not arithmetic: 'soil.real'. "
        "Where: the equation of 'q'. To mend it: Use + - * / **, comparisons inside where(...)"
    )


def test_a_condition_that_is_none():
    assert refused("where(k, 1, 2)").startswith("'k' is not a condition.")


def test_a_syntax_error_shows_the_text():
    assert refused("k * (soil").startswith("The equation text 'k * (soil' cannot be read (")


numbers = st.one_of(
    st.integers(-20, 20).map(sympy.Integer),
    st.floats(-1e6, 1e6, allow_nan=False).map(sympy.Float),
    st.fractions(-5, 5, max_denominator=9).map(sympy.Rational),
)
leaves = st.one_of(st.sampled_from([SOIL, PRCP, K]), numbers)


def compound(inner):
    pairs = st.tuples(inner, inner)
    triples = st.tuples(inner, inner, inner)
    relations = st.sampled_from([sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge])
    one = [sympy.exp, sympy.tanh, sympy.sin, sympy.cos, sympy.Abs, fn.sigmoid, fn.softplus]
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] - p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.filter(lambda p: not p[1].is_zero).map(lambda p: p[0] / p[1]),
        st.tuples(inner, st.integers(2, 4))
        .filter(lambda p: not (p[0].is_number and abs(p[0]) > 1e9))
        .map(lambda p: p[0] ** p[1]),
        inner.map(lambda a: sympy.sqrt(1 + a**2)),
        inner.map(lambda a: sympy.log(2 + a**2)),
        st.tuples(st.sampled_from(one), inner)
        .filter(lambda p: not (p[1].is_number and abs(p[1]) > 50))
        .map(lambda p: p[0](p[1])),
        pairs.map(lambda p: sympy.Min(*p)),
        triples.map(lambda p: sympy.Max(*p)),
        pairs.filter(lambda p: not p[1].is_zero).map(lambda p: fn.smooth_step(*p)),
        st.tuples(relations, inner, inner, inner, inner).map(
            lambda p: fn.where(p[0](p[1], p[2]), p[3], p[4])
        ),
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.recursive(leaves, compound, max_leaves=8))
def test_what_is_printed_is_read_back_to_the_same(expression):
    try:
        require_finite(expression, "")
    except DeclarationError:
        assume(False)
    assert parse(print_expression(expression)) == expression


@pytest.mark.parametrize(
    "expression",
    [
        sympy.exp(1) * SOIL,
        sympy.pi * SOIL,
        SOIL ** sympy.Rational(1, 3),
        1 / sympy.sqrt(SOIL),
        SOIL**K,
        SOIL ** (-2.5),
        sympy.Float(0.1) + SOIL,
        sympy.Float(1e-12) * SOIL,
        -SOIL / (K + 1),
    ],
)
def test_awkward_expressions_are_read_back(expression):
    assert parse(print_expression(expression)) == expression
