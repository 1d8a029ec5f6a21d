"""Names of networks come through texts as they are, whatever their letters, and read as names."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import Parcellation
from fmri_descriptors.registry import feature_columns
from fmri_descriptors.rewrite import check_rewrite
from fmri_descriptors.rewrite.facts import read_facts
from fmri_descriptors.rewrite.prompt import cleaned
from fmri_descriptors.text.captions import describe_features, paragraphs
from fmri_descriptors.text.cohort_captions import Measured, Wording, write_texts
from fmri_descriptors.text.wording import plain_name, quoted_name, the_networks

ADVERBS = ("Temporal", "Frontal", "Limbic", "Visual", "Second", "Range", "Global")
LISTS = ("Cingulate and insula", "Visual, primary", "Somatomotor or hand", "DMN. A", "17", "Visual")
MARKUP = ("$x_1^2$", "<b>bold</b>", "a|b", "{{ 7 * 7 }}", "{% raw %}", "*star*", "`code`", "# hash")
SIGNS = ("🧠 net", "שלום", "\u202eevil", "\u200fRTL", "naïve—dash", "ﬁne")
LONG = ("x" * 500, "Default Mode Network", "salience system", "b")
FAMILIES = {"adverbs": ADVERBS, "lists": LISTS, "markup": MARKUP, "signs": SIGNS, "long": LONG}


def parcellation(names):
    networks = [name for name in names for _ in range(2)]
    labels = [f"R{i}" for i in range(len(networks))]
    return Parcellation("own", labels, networks, ["B"] * len(labels))


def measured(names, n_scans=4):
    regions = parcellation(names)
    columns = feature_columns(regions)
    index = pd.Index([f"scan-{i}" for i in range(n_scans)], name="scan_id")
    features, z = (
        pd.DataFrame(np.random.default_rng(i).normal(size=(n_scans, len(columns))), index, columns)
        for i in range(2)
    )
    used = pd.DataFrame({"norms": "pooled", "n_people": 20}, index)
    return Measured(features=features, z=z * 1.5, parcellation=regions, used=used)


@pytest.fixture(params=FAMILIES, scope="module")
def names(request):
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def lines(names, tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    write_texts(measured(names), Wording(seed=0, form="long"), folder)
    text = (folder / "captions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def test_every_name_stands_in_the_stored_captions_as_it_is(names, lines):
    for line in lines:
        assert " ".join(sentence["text"] for sentence in line["sentences"]) == line["text"]
    for name in names:
        assert any(name in line["text"] for line in lines)


def test_a_caption_of_such_names_is_its_own_rewrite_and_its_numbers_find_their_networks(
    names, lines
):
    for line in lines:
        text = cleaned(line["text"], names)
        assert check_rewrite(line["text"], text, names) is None
        placed = {n for fact in read_facts(text, names).facts for n in fact.networks}
        assert placed - {"every system"} <= {name.lower() for name in names}


def test_a_network_that_was_swapped_for_another_is_refused(names, lines):
    one, other = names[0], names[1]
    swapped = re.compile("|".join(re.escape(name) for name in (one, other)))
    for line in (line for line in lines if line["domain"] == "ICA"):
        text = swapped.sub(lambda found: other if found[0] == one else one, line["text"])
        assert check_rewrite(line["text"], text, names) is not None


def test_control_characters_and_line_breaks_in_a_name_are_blanks():
    assert plain_name("A\nB\x00C\u2028D\x85E\tF\ud800") == "A B C D E F"
    names = ("Broken\nname", "Plain", "Next\u2028line")
    source = measured(names, n_scans=1)
    described = describe_features(source.features.iloc[0], source.z.iloc[0], source.parcellation)
    plain = describe_features(
        source.features.iloc[0].rename(lambda c: " ".join(c.split())),
        source.z.iloc[0].rename(lambda c: " ".join(c.split())),
        parcellation([plain_name(name) for name in names]),
    )
    assert [d.text for d in described] == [d.text for d in plain]
    told = [s.text for paragraph in paragraphs(described) for s in paragraph]
    assert any("Broken name" in text for text in told)
    assert all(text.isprintable() for text in told)


@pytest.mark.parametrize("name", ["Cingulate and insula", "Visual, primary", "DMN. A", "In or out"])
def test_a_name_that_would_read_as_two_stands_in_quotation_marks(name):
    assert quoted_name(name) == f"“{name}”"
    assert the_networks([name, "Visual"]) == f"the “{name}” and Visual networks"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Temporal", "the Temporal network"),
        ("Anderson", "the Anderson network"),
        ("Default Mode Network", "the Default Mode Network"),
        ("salience system", "the salience system"),
    ],
)
def test_one_name_is_called_a_network_once(name, words):
    assert the_networks([name]) == words


def test_no_text_uses_a_name_as_a_word_of_its_own():
    """Of a scan whose networks bear words of anatomy, each use of a name is that network."""
    source = measured(ADVERBS[:4], n_scans=3)
    for scan_id in source.features.index:
        described = describe_features(
            source.features.loc[scan_id], source.z.loc[scan_id], source.parcellation
        )
        for paragraph in paragraphs(described):
            for sentence in paragraph:
                for name in ADVERBS[:4]:
                    for found in re.finditer(name, sentence.text, re.IGNORECASE):
                        assert found[0] == name
                        assert re.match(r"[^;]*\bnetworks?\b", sentence.text[found.end() :])
