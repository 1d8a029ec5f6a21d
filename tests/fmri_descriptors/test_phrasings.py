"""Every phrasing of every descriptor says what its numbers say."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.render import render_descriptor, variant
from fmri_descriptors.templating import package_templates
from fmri_descriptors.values import FeatureValue, select_patterns
from fmri_descriptors.wording import level_word, number, z_number

NAMES = ("Visual", "Default", "Limbic", "Control", "Somatomotor")
N_PHRASINGS = {row.name: package_templates().n_phrasings(row.name) for row in DESCRIPTORS}
EVERY = [(row, i) for row in DESCRIPTORS for i in range(N_PHRASINGS[row.name])]
every_phrasing = pytest.mark.parametrize(
    ("row", "phrasing"), EVERY, ids=[f"{row.name}-{i}" for row, i in EVERY]
)
WORDS = re.compile(r"(?:well )?(?:above|below|within) the typical range")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def where(row, names=NAMES):
    if row.kind == "value":
        return [()]
    if row.kind == "networks":
        return [(name,) for name in names]
    within = 0 if row.kind != "pairs" else 1
    return [(a, b) for i, a in enumerate(names) for b in names[i + within :]]


def values_of(row, zs, names=NAMES):
    """One value a place, all different and falling, with the z-scores given (0 beyond them)."""
    zs = [*zs, *[0.0] * len(where(row, names))]
    values = [
        FeatureValue(f"x.{i}", 0.95 - i * 0.013, z, place)
        for i, (place, z) in enumerate(zip(where(row, names), zs, strict=False))
    ]
    return select_patterns(values) if row.kind == "patterns" else values


def sentences_of(row, phrasing, zs, names=NAMES):
    return render_descriptor(row, values_of(row, zs, names), phrasing)


def words_of(row, sentences, place):
    """Words of the sentence that judges a place; patterns list their places first."""
    if row.kind == "value":
        judging = sentences
    else:
        judging = [s for s in sentences if place in s and WORDS.search(s)]
    assert len(judging) == 1, sentences
    (words,) = WORDS.findall(judging[0])
    return words


def test_every_descriptor_has_at_least_three_phrasings():
    assert len(DESCRIPTORS) == len(N_PHRASINGS) == 23
    assert min(N_PHRASINGS.values()) >= 3


@pytest.mark.parametrize("row", DESCRIPTORS, ids=lambda row: row.name)
def test_phrasings_of_a_descriptor_differ_and_give_the_same_numbers(row):
    texts = [" ".join(sentences_of(row, i, [1.5])) for i in range(N_PHRASINGS[row.name])]
    assert len(set(texts)) == len(texts)
    assert len({tuple(sorted(NUMBER.findall(text))) for text in texts}) == 1


@every_phrasing
@pytest.mark.parametrize("z", [1.0, 1.99, 2.0, 6.0, -1.0, -1.99, -2.0, -6.0])
def test_a_planted_rise_or_fall_is_read_back_from_the_text(row, phrasing, z):
    place = values_of(row, [z])[0].place.removeprefix("in ")
    assert words_of(row, sentences_of(row, phrasing, [z]), place) == level_word(z)


@every_phrasing
@pytest.mark.parametrize("z", [0.99, 0.0, -0.99])
def test_nothing_within_1_is_called_above_or_below(row, phrasing, z):
    text = " ".join(sentences_of(row, phrasing, [z, -z, 0.5]))
    assert "above" not in text
    assert "below" not in text
    assert set(WORDS.findall(text)) == {"within the typical range"}


@every_phrasing
def test_every_phrasing_names_the_networks_it_speaks_of(row, phrasing):
    zs = [1.5, -2.5, 2.5, -1.5]  # each the only one of its words
    text = " ".join(sentences_of(row, phrasing, zs))
    for value in values_of(row, zs)[: len(zs)]:
        assert value.place.removeprefix("in ") in text


@every_phrasing
@settings(deadline=None, max_examples=15)
@given(zs=st.lists(st.floats(-8, 8) | st.just(math.nan), min_size=5, max_size=15))
def test_every_number_in_a_text_is_a_value_beside_its_own_place(row, phrasing, zs):
    values = values_of(row, zs)
    text = " ".join(render_descriptor(row, values, phrasing))
    printed = {number(v.value) for v in values} | {z_number(v.z) for v in values}
    assert set(NUMBER.findall(text)) <= printed
    for bracket in re.finditer(r"\([^()]*, z [^()]*\)", text):
        before = text[: bracket.start()].rstrip()
        assert any(
            value.numbers == bracket[0] and before.endswith(value.place.removeprefix("in "))
            for value in values
        )


@pytest.mark.parametrize("phrasing", range(3))
@pytest.mark.parametrize(
    "row", [r for r in DESCRIPTORS if r.kind == "networks"], ids=lambda row: row.name
)
@settings(deadline=None, max_examples=15)
@given(zs=st.lists(st.floats(-4, 4), min_size=5, max_size=5))
def test_every_network_stands_in_one_sentence_with_its_own_words(row, phrasing, zs):
    sentences = sentences_of(row, phrasing, zs)
    if "all five systems" in sentences[0]:
        assert {level_word(z) for z in zs} == {"within the typical range"}
        return
    for z, name in zip(zs, NAMES, strict=True):
        assert words_of(row, sentences, name) == level_word(z)


@every_phrasing
def test_what_is_missing_is_called_not_available_and_never_judged(row, phrasing):
    places = where(row)
    values = [FeatureValue("x", math.nan, math.nan, place) for place in places]
    chosen = select_patterns(values) if row.kind == "patterns" else values
    text = " ".join(render_descriptor(row, chosen, phrasing))
    assert "not available" in text
    assert not WORDS.search(text)
    assert not NUMBER.search(text)


@every_phrasing
def test_a_value_without_a_z_is_given_without_a_verdict(row, phrasing):
    values = [FeatureValue("x", 0.42, math.nan, place) for place in where(row)]
    chosen = select_patterns(values) if row.kind == "patterns" else values
    text = " ".join(render_descriptor(row, chosen, phrasing))
    assert "0.42" in text
    assert not WORDS.search(text)


SEVENTEEN = tuple(f"Network {chr(65 + i)}" for i in range(17))


@every_phrasing
@pytest.mark.parametrize("names", [SEVENTEEN[:8], SEVENTEEN], ids=["8 networks", "17 networks"])
@pytest.mark.parametrize("spread", [0.4, 1.0, 3.0])
def test_texts_about_many_networks_stay_short(row, phrasing, names, spread):
    zs = [spread * math.sin(i * 1.7) * 1.5 for i in range(len(where(row, names)))]
    sentences = sentences_of(row, phrasing, zs, names)
    assert len(sentences) <= 5
    assert max(len(sentence.split()) for sentence in sentences) <= 40


def test_a_phrasing_follows_from_seed_scan_and_descriptor_alone():
    assert variant(1, "sub-1", "graph_modularity") == variant(1, "sub-1", "graph_modularity")
    others = {(2, "sub-1", "fc"), (1, "sub-2", "fc"), (1, "sub-1", "fd"), (1, "sub-1", "fc")}
    assert len({variant(*other) for other in others}) == 4


def test_every_phrasing_is_used_about_equally_often():
    chosen = [variant(0, f"sub-{i}", "graph_modularity") % 3 for i in range(3000)]
    assert all(900 < chosen.count(i) < 1100 for i in range(3))
