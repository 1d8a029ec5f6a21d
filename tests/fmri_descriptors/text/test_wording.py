import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_descriptors.text.wording import (
    LEVEL_WORDS,
    capitalised,
    count,
    direction,
    level_word,
    listing,
    number,
    z_number,
)

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("z", "words"),
    [
        (2.0, "well above the typical range"),
        (1.99, "above the typical range"),
        (1.0, "above the typical range"),
        (0.99, "within the typical range"),
        (0.0, "within the typical range"),
        (-0.99, "within the typical range"),
        (-1.0, "below the typical range"),
        (-1.99, "below the typical range"),
        (-2.0, "well below the typical range"),
        (math.nan, "not comparable"),
    ],
)
def test_words_follow_the_size_and_sign_of_z(z, words):
    assert level_word(z) == words


@settings(deadline=None)
@given(finite, finite)
def test_a_higher_z_never_gets_lower_words(a, b):
    low, high = sorted((a, b))
    assert LEVEL_WORDS.index(level_word(high)) <= LEVEL_WORDS.index(level_word(low))


@settings(deadline=None)
@given(finite)
def test_the_written_z_has_the_words_of_the_z(z):
    assert level_word(float(z_number(z))) == level_word(z)


@settings(deadline=None)
@given(finite)
def test_a_written_value_is_near_the_value_and_plain(value):
    text = number(value)
    assert float(text) == pytest.approx(value, rel=0.051, abs=1e-300)
    assert "e" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.416, "0.42"),
        (-12.3456, "-12.35"),
        (0.00347, "0.0035"),
        (-0.0832, "-0.083"),
        (0.0996, "0.10"),
        (-0.00997, "-0.010"),
        (0.0, "0.00"),
    ],
)
def test_values_are_written_with_two_decimals_or_two_digits(value, text):
    assert number(value) == text


def test_no_minus_stands_before_zero():
    assert (number(-0.0), z_number(-0.004)) == ("0.00", "0.00")


@settings(deadline=None)
@given(finite)
def test_the_direction_of_the_words_is_the_sign_of_a_z_beyond_1(z):
    assert direction(level_word(z)) == (0 if abs(z) < 1 else math.copysign(1, z))


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "no"),
        (1, "one"),
        (13, "thirteen"),
        (20, "twenty"),
        (44, "forty-four"),
        (100, "one hundred"),
        (153, "one hundred fifty-three"),
        (1275, "one thousand two hundred seventy-five"),
    ],
)
def test_counts_are_written_in_words(n, words):
    assert count(n) == words


def test_no_two_counts_are_written_alike():
    assert len({count(n) for n in range(3000)}) == 3000


@pytest.mark.parametrize(
    ("parts", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")]
)
def test_lists_read_as_in_a_sentence(parts, text):
    assert listing(parts) == text


def test_a_sentence_begins_with_a_capital_unless_its_word_has_one_inside():
    assert capitalised("modularity is high.") == "Modularity is high."
    assert capitalised("fALFF is high.") == "fALFF is high."
