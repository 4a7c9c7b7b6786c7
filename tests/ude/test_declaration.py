import pytest
import sympy

import hybridwater.ude as hu
from hybridwater.errors import DeclarationError


def test_a_function_becomes_a_model():
    @hu.model
    def bucket(m):
        """One bucket.

        More text.
        """
        P = m.forcing("prcp", "mm d-1", "rain")
        S = m.state("soil", "mm", initial=100, description="soil water")
        k = m.parameter("k", "d-1", bounds=(0.001, 1), citation="somebody")
        c = m.constant("cap", 300, "mm")
        q = m.flux("q", k * hu.maximum(S - c, 0), "mm d-1")
        m.derivative(S, P - q)

    assert isinstance(bucket, hu.UDE)
    assert (bucket.name, bucket.description, bucket.time_unit) == ("bucket", "One bucket.", "d")
    assert bucket.states == (hu.State("soil", "mm", 100.0, "soil water"),)
    assert bucket.forcings == (hu.Forcing("prcp", "mm d-1", "rain"),)
    assert bucket.constants == (hu.Constant("cap", "mm", 300.0),)
    assert bucket.parameter("k") == hu.Parameter(
        "k", "d-1", (0.001, 1.0), 0.5005, citation="somebody"
    )


def test_name_and_time_unit_can_be_given():
    @hu.model(name="other", time_unit="h")
    def ignored(m):
        S = m.state("soil", "mm")
        m.derivative(S, -m.parameter("k", "h-1", (0, 1)) * S)

    assert (ignored.name, ignored.time_unit, ignored.description) == ("other", "h", "")


def test_the_initial_value_may_be_a_parameter():
    @hu.model
    def tank(m):
        s0 = m.parameter("s0", "mm", (0, 100))
        S = m.state("soil", "mm", initial=s0)
        m.derivative(S, -m.parameter("k", "d-1", (0, 1)) * S)

    assert tank.states[0].initial == "s0"
    assert tank.used_parameters == {"s0", "k"}
    assert tank.program.parameters == ("k",)


def declaration():
    m = hu.Declaration("tank")
    S = m.state("soil", "mm")
    E = m.forcing("pet", "mm d-1")
    return m, S, E


def test_a_network_takes_its_options():
    m, S, E = declaration()
    et = m.network(
        "et",
        {S: (0, 500), E: (0, 8), hu.exp(-E / E): (0, 1)},
        "mm d-1",
        hidden=[8],
        positive="exp",
        monotone={S: 1},
        zero_when_empty=S,
        scale=2,
        conceptual=E,
    )
    m.derivative(S, -et)
    network = m.build().network("et")
    assert network.sizes == (3, 8, 1)
    assert network.n_weights == 3 * 8 + 8 + 8 + 1
    assert [i.monotone for i in network.inputs] == [1, 0, 0]
    assert network.is_monotone
    assert (network.zero_when_empty, network.empty_scale) == ("soil", 5.0)
    assert network.conceptual == E


def test_monotone_of_no_input():
    m, S, E = declaration()
    with pytest.raises(DeclarationError) as caught:
        m.network("et", {S: (0, 1)}, "mm d-1", monotone={E: 1})
    assert str(caught.value) == (
        "'pet' is monotone but not an input. Where: network 'et' of 'tank'."
    )


def test_two_derivatives_of_one_state():
    m, S, E = declaration()
    m.derivative(S, E)
    with pytest.raises(DeclarationError, match="The derivative of 'soil' is given twice"):
        m.derivative(S, E)


def test_a_state_without_derivative():
    m, _, _ = declaration()
    with pytest.raises(DeclarationError) as caught:
        m.build()
    assert str(caught.value) == (
        "'soil' has no derivative. Where: model 'tank'. "
        "To mend it: Give every state one m.derivative(state, expression)."
    )


def test_a_derivative_of_no_state():
    m, S, E = declaration()
    m.derivative(S, E)
    m.derivative(E, E)
    with pytest.raises(DeclarationError, match="'pet' has a derivative but is not a state"):
        m.build()


@pytest.mark.parametrize("value", ["pet", "__import__('os').getpid()", None, True, [1]])
def test_text_is_not_evaluated(value):
    m, S, _ = declaration()
    for call in (
        lambda: m.flux("q", value, "mm d-1"),
        lambda: m.derivative(S, value),
        lambda: m.network("et", {"soil": (0, 1)}, "mm d-1"),
        lambda: m.network("et", {S: (0, 1)}, "mm d-1", conceptual="pet"),
        lambda: m.network("et", {S: (0, 1)}, "mm d-1", monotone={"soil": 1}),
    ):
        with pytest.raises(DeclarationError, match="is not an expression") as caught:
            call()
        assert "for text use UDE.from_dict" in str(caught.value)


def test_numbers_are_expressions():
    m, S, _ = declaration()
    m.flux("q", 0, "mm d-1")
    m.derivative(S, 0.0)
    assert m.build().derivatives["soil"].is_zero


def test_a_constant_may_be_shared():
    m, S, E = declaration()
    first = m.constant("day", 1, "d")
    assert m.constant("day", 1.0, "d") == first
    m.derivative(S, -S / first + E)
    assert [c.name for c in m.build().constants] == ["day"]


def test_a_constant_has_one_value():
    m, S, E = declaration()
    m.constant("day", 1, "d")
    m.constant("day", 2, "d")
    m.derivative(S, E)
    with pytest.raises(DeclarationError, match="'day' is used as constant and as constant"):
        m.build()


def test_symbols_are_real():
    _, S, _ = declaration()
    assert S == sympy.Symbol("soil", real=True)
