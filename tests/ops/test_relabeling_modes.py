"""Modes: any text gives the right strategy and parameter or one line of error."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from any_text import FUZZ
from ops.relabeling import GRAMMAR, STRATEGIES, parse_mode


def expected_mode(mode: str):
    if mode == "given":
        return STRATEGIES[mode], 0
    name, _, parameter = mode.partition("_")
    digits = parameter.replace(".", "", 1)
    if name not in STRATEGIES or name == "given" or not (digits.isascii() and digits.isdigit()):
        return None
    value = float(parameter)
    strategy = STRATEGIES[name]
    if not 0 < value < math.inf or value > strategy.high or (strategy.whole and not value.is_integer()):
        return None
    return strategy, value


@FUZZ
@given(
    mode=st.text()
    | st.from_regex(r"[a-z-]+_[0-9]*\.?[0-9]*")
    | st.builds(
        "{}_{}".format,
        st.sampled_from(sorted(STRATEGIES)),
        st.text("0123456789.eE+-_ \n٣", max_size=8) | st.integers().map(str) | st.floats().map(str),
    )
)
@example(mode="scoring_1000")
@example(mode="scoring_1" + "0" * 400)
@example(mode="given")
@example(mode="given_1")
def test_any_text_as_a_mode(mode):
    expected = expected_mode(mode)
    try:
        assert parse_mode(mode) == expected
    except ValueError as error:
        assert expected is None and len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    "mode, strategy, parameter",
    [
        ("scoring_1000", "scoring", 1000),
        ("scoring_2.0", "scoring", 2),
        ("fullmatch_1.5", "fullmatch", 1.5),
        ("relabelall_.5", "relabelall", 0.5),
        ("relabelall-replacenan_1.", "relabelall-replacenan", 1),
        ("relabelall-merge_007", "relabelall-merge", 7),
        ("given", "given", 0),
    ],
)
def test_parse_mode(mode, strategy, parameter):
    assert parse_mode(mode) == (STRATEGIES[strategy], parameter)


@pytest.mark.parametrize(
    "mode",
    ["", "scoring", "scoring_", "_1", "scoring_1_2", "scoring_-1", "scoring_0", "scoring_0.0", "scoring_1.5",
     "scoring_1e3", "scoring_nan", "scoring_inf", "scoring_ 1", " scoring_1", "scoring_1\n", "Scoring_1",
     "scoring_1,0", "scoring-1", "relabel_1", "relabelall-_1", "scoring_٣", "scoring_" + "9" * 400, "a\nb_1",
     "given_1", "given_"],
)  # fmt: skip
def test_what_is_no_mode(mode):
    with pytest.raises(ValueError) as raised:
        parse_mode(mode)
    message = str(raised.value)
    assert message.startswith("mode: ") and repr(mode) in message and len(message.splitlines()) == 1


def test_the_grammar_names_every_strategy():
    assert all(f"{name}_<" in GRAMMAR for name in STRATEGIES if name != "given")
    assert "given" in GRAMMAR.split(", ")
    published = ["scoring", "fullmatch", "relabelall", "relabelall-replacenan", "relabelall-merge"]
    assert list(STRATEGIES)[:5] == published
