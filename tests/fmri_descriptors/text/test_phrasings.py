"""Every phrasing of every descriptor says what its numbers say.

A test runs once for each kind of descriptor, over all descriptors of that kind.
"""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.text.render import render_descriptor, variant
from fmri_descriptors.text.sentences import stands_alone
from fmri_descriptors.text.templating import package_templates
from fmri_descriptors.text.values import FeatureValue, select_patterns
from fmri_descriptors.text.wording import level_word, number, z_number

NAMES = ("Visual", "Default", "Limbic", "Control", "Somatomotor")
N_PHRASINGS = {row.name: package_templates().n_phrasings(row.name) for row in DESCRIPTORS}
KINDS = {
    kind: [row for row in DESCRIPTORS if row.kind == kind]
    for kind in sorted({row.kind for row in DESCRIPTORS})
}
every_kind = pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS)
WORDS = re.compile(r"(?:well )?(?:above|below|within) the typical range", re.IGNORECASE)
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
        FeatureValue(f"x.{i}", 0.95 - i * 0.013, z, place, row.unit)
        for i, (place, z) in enumerate(zip(where(row, names), zs, strict=False))
    ]
    return select_patterns(values) if row.kind == "patterns" else values


def phrased(row, values):
    """Sentences of each phrasing."""
    return [render_descriptor(row, values, i) for i in range(N_PHRASINGS[row.name])]


def shown_where(value):
    """What a text must name to speak of a value's place."""
    return " and ".join(dict.fromkeys(value.networks))


def words_of(row, sentences, place):
    """Words of the one sentence that judges a place."""
    judging = [s for s in sentences if WORDS.search(s) and (row.kind == "value" or place in s)]
    assert len(judging) == 1, sentences
    (words,) = WORDS.findall(judging[0])
    return words.lower()


@every_kind
def test_phrasings_differ_and_give_the_same_numbers(rows):
    for row in rows:
        texts = [" ".join(sentences) for sentences in phrased(row, values_of(row, [1.5]))]
        assert len(set(texts)) == len(texts) >= 3
        assert len({tuple(sorted(NUMBER.findall(text))) for text in texts}) == 1


@every_kind
def test_a_planted_rise_or_fall_is_read_back_from_the_text(rows):
    for row in rows:
        for z in (1.0, 1.99, 2.0, 6.0, -1.0, -1.99, -2.0, -6.0):
            values = values_of(row, [z])
            for sentences in phrased(row, values):
                assert words_of(row, sentences, shown_where(values[0])) == level_word(z)


@every_kind
def test_nothing_within_1_is_called_above_or_below(rows):
    for row in rows:
        for z in (0.99, 0.0, -0.99):
            for sentences in phrased(row, values_of(row, [z, -z, 0.5])):
                words = {found.lower() for found in WORDS.findall(" ".join(sentences))}
                assert words == {"within the typical range"}


@every_kind
def test_every_sentence_stands_alone(rows):
    for row in rows:
        zs = [1.5, -2.5, 2.5, -1.5, math.nan]
        for sentences in phrased(row, values_of(row, zs)):
            assert all(stands_alone(sentence) for sentence in sentences)


@every_kind
def test_a_number_stands_behind_its_quantitys_unit(rows):
    for row in rows:
        for sentences in phrased(row, values_of(row, [1.5, -2.5, 2.5, -1.5])):
            assert all(row.unit in sentence for sentence in sentences if NUMBER.search(sentence))


@every_kind
@settings(deadline=None, max_examples=20, derandomize=True)
@given(zs=st.lists(st.floats(-8, 8) | st.just(math.nan), min_size=5, max_size=15))
def test_every_number_in_a_text_is_a_value_beside_its_own_place(rows, zs):
    for row in rows:
        values = values_of(row, zs)
        printed = {number(v.value) for v in values} | {z_number(v.z) for v in values}
        for sentences in phrased(row, values):
            text = " ".join(sentences)
            assert set(NUMBER.findall(text)) <= printed
            for bracket in re.finditer(r"\([^()]*, z [^()]*\)", text):
                before = re.sub(r" networks?$", "", text[: bracket.start()].rstrip())
                assert any(
                    value.numbers == bracket[0] and before.endswith(shown_where(value))
                    for value in values
                )


@settings(deadline=None, max_examples=20, derandomize=True)
@given(zs=st.lists(st.floats(-4, 4), min_size=5, max_size=5))
def test_every_network_stands_in_one_sentence_with_its_own_words(zs):
    for row in KINDS["networks"]:
        for sentences in phrased(row, values_of(row, zs)):
            if "all five networks" in sentences[0]:
                assert {level_word(z) for z in zs} == {"within the typical range"}
                continue
            for z, name in zip(zs, NAMES, strict=True):
                assert words_of(row, sentences, name) == level_word(z)


@every_kind
def test_what_is_missing_is_called_not_available_and_never_judged(rows):
    for row in rows:
        values = [FeatureValue("x", math.nan, math.nan, place) for place in where(row)]
        chosen = select_patterns(values) if row.kind == "patterns" else values
        text = " ".join(render_descriptor(row, chosen))
        assert "not available" in text
        assert not WORDS.search(text)
        assert not NUMBER.search(text)


@every_kind
def test_a_value_without_a_z_is_given_without_a_direction(rows):
    for row in rows:
        values = [FeatureValue("x", 0.42, math.nan, place) for place in where(row)]
        chosen = select_patterns(values) if row.kind == "patterns" else values
        for sentences in phrased(row, chosen):
            assert "0.42" in " ".join(sentences)
            assert not WORDS.search(" ".join(sentences))


SEVENTEEN = tuple(f"Network {chr(65 + i)}" for i in range(17))


@every_kind
def test_texts_about_many_networks_stay_short(rows):
    for row in rows:
        for names in (SEVENTEEN[:8], SEVENTEEN):
            for spread in (0.4, 1.0, 3.0):
                zs = [spread * math.sin(i * 1.7) * 1.5 for i in range(len(where(row, names)))]
                for sentences in phrased(row, values_of(row, zs, names)):
                    assert len(sentences) <= 5
                    assert max(len(sentence.split()) for sentence in sentences) <= 50


def test_a_phrasing_follows_from_seed_scan_and_descriptor_alone():
    assert variant(1, "sub-1", "graph_modularity") == variant(1, "sub-1", "graph_modularity")
    others = {(2, "sub-1", "fc"), (1, "sub-2", "fc"), (1, "sub-1", "fd"), (1, "sub-1", "fc")}
    assert len({variant(*other) for other in others}) == 4


def test_every_phrasing_is_used_about_equally_often():
    chosen = [variant(0, f"sub-{i}", "graph_modularity") % 3 for i in range(3000)]
    assert all(900 < chosen.count(i) < 1100 for i in range(3))
