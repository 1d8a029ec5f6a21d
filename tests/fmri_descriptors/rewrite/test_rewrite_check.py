"""The check of a rewrite: what a language model gets wrong is refused, and prose is not."""

import json
import re

import pytest

from fmri_descriptors.rewrite import check_rewrite
from fmri_descriptors.rewrite.prompt import cleaned


@pytest.fixture(scope="session")
def networks(aal2):
    return aal2.network_names


@pytest.fixture(scope="session")
def real(described_dir):
    """Every caption of the real scans."""
    lines = (described_dir / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture
def kind(networks):
    """Kind of the refusal of a rewrite, or None."""

    def refused(source, rewrite):
        refusal = check_rewrite(source, rewrite, networks)
        return None if refusal is None else refusal.kind

    return refused


def test_every_real_caption_passes_as_its_own_rewrite(real, kind):
    assert {kind(text, text) for text in real} == {None}


def test_a_good_rewrite_is_accepted(graph, prose, kind):
    assert kind(graph, prose) is None


FC = (
    "Connectivity is below the typical range: Cingulo-insular with Parietal (0.22, z -1.99), "
    "within Parietal (0.43, z -1.53) and 9 more. It is above the typical range: Visual with "
    "Temporal (0.51, z 1.20). It is within the typical range for 33 other pairs. Strongest "
    "connectivity: within Sensorimotor (1.00, z 0.25)."
)
GOOD_FC = [
    (
        "Connectivity between Parietal and Cingulo-insular (0.22, z -1.99), within Parietal (0.43, "
        "z -1.53), and 9 more pairs is below the typical range. By contrast, it is above the "
        "typical range between Temporal and Visual (0.51, z of 1.20), and the remaining 33 pairs "
        "are within the typical range. The strongest connectivity is observed within Sensorimotor "
        "(1.00, z 0.25)."
    ),
    (
        "Among the systems of this brain, connectivity lies below the typical range for the "
        "Cingulo-insular network with the Parietal network (0.22, z-score -1.99), within the "
        "Parietal network (0.43, z = -1.53) and for 9 other pairs, while it is above the typical "
        "range for the Visual and Temporal systems (0.51, z: 1.20); 33 pairs fall within the "
        "typical range. Connectivity is strongest within the Sensorimotor system (1.00, z 0.25)."
    ),
]


@pytest.mark.parametrize("rewrite", GOOD_FC)
def test_prose_that_keeps_every_fact_is_accepted(rewrite, kind):
    assert kind(FC, rewrite) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("(0.22, z -1.99)", "(0.22)", "number lost"),
        ("(0.22, z -1.99)", "(0.2, z -1.99)", "number lost"),
        ("z -1.99", "z -2.0", "number lost"),
        ("z -1.99", "z 1.99", "number lost"),
        ("and 9 more", "and others", "number lost"),
        ("33 other pairs", "33 of 45 pairs", "number added"),
        ("33 other pairs", "33 other pairs, three times as many", "number added"),
        ("(0.43, z -1.53)", "(0.43, z -1.53, 12%)", "number added"),
        ("It is above the typical range", "It is below the typical range", "direction"),
        ("Connectivity is below", "Connectivity is well below", "direction"),
        ("Connectivity is below the typical range", "Connectivity is elevated", "direction"),
        ("Strongest", "Weakest", "direction"),
        ("Cingulo-insular with Parietal", "Cingulo-insular with Visual", "network"),
        ("Cingulo-insular with Parietal", "Cingulo-insular", "network"),
        ("(0.22, z -1.99)", "(0.22, -1.99)", "quantity"),
        ("Strongest connectivity", "Strongest network strength", "quantity"),
        ("(1.00, z 0.25).", "(1.00, z 0.25), consistent with depression.", "word added"),
        ("(1.00, z 0.25).", "(1.00, z 0.25). The patient may have ADHD.", "word added"),
        ("is below the typical range", "is significantly below the typical range", "word added"),
        ("is within the typical range", "is not within the typical range", "negation"),
        ("within Sensorimotor (1.00", "within Sensorimotor (≈1.00", "word added"),
        (
            "It is within the typical range for",
            "It is within the typical range in Visual for",
            "network",
        ),
        (
            "above the typical range: Visual",
            "above or below the typical range: Visual",
            "ambiguous",
        ),
    ],
)
def test_what_a_language_model_gets_wrong_is_refused(old, new, why, kind):
    assert old in FC
    assert kind(FC, FC.replace(old, new, 1)) == why


def test_two_numbers_that_change_places_are_refused(kind):
    swapped = FC.replace("0.22", "#").replace("0.43", "0.22").replace("#", "0.43")
    assert kind(FC, swapped) == "network"


def test_directions_that_change_places_are_refused(kind):
    swapped = FC.replace("below", "#").replace("above", "below").replace("#", "above")
    assert kind(FC, swapped) == "direction"


def test_a_network_without_a_number_may_not_change_its_direction(graph, kind):
    moved = graph.replace(
        "is below the typical range in Parietal", "is below the typical range in Visual, Parietal"
    ).replace("Temporal, Visual", "Temporal")
    assert kind(graph, moved) == "network"


def test_a_network_may_not_be_left_out_of_a_list(graph, kind):
    assert kind(graph, graph.replace("Temporal, Visual", "Temporal")) == "network"


def test_a_statement_without_numbers_may_not_be_left_out(kind):
    source = "Modularity is 0.27 (z 0.32), within the typical range. fALFF is not available."
    assert kind(source, source.replace(" fALFF is not available.", "")) == "statement"


def test_a_clause_that_may_belong_to_either_neighbour_is_refused(kind):
    source = (
        "fALFF is above the typical range in Visual (0.41, z 1.10), Parietal (0.42, z 1.20). It is "
        "below the typical range in Temporal (0.10, z -1.30)."
    )
    rewrite = (
        "fALFF is above the typical range in Visual (0.41, z 1.10), and in Parietal (0.42, z "
        "1.20), and in Temporal (0.10, z -1.30) it is below the typical range."
    )
    assert kind(source, rewrite) == "ambiguous"


@pytest.mark.parametrize("word", ["but", "other than", "besides", "compared to", "except"])
def test_an_exception_that_the_source_does_not_make_is_refused(word, kind):
    source = "fALFF is within the typical range in every system; in Visual, it is 0.12 (z -0.54)."
    rewrite = f"fALFF is within the typical range in every system {word} Visual: 0.12 (z -0.54)."
    assert kind(source, rewrite) in {"ambiguous", "word added"}


def test_two_quantities_that_change_places_are_refused(kind):
    source = (
        "Modularity is 0.27 (z 0.32), within the typical range. Global efficiency is 0.20 (z "
        "-0.01), within the typical range."
    )
    swapped = source.replace("Modularity", "#").replace("Global efficiency", "Modularity")
    assert kind(source, swapped.replace("#", "Global efficiency")) == "quantity"


def test_gradients_that_change_places_are_refused(kind):
    source = (
        "Principal gradient range is 0.20 (z -1.85), below the typical range. Second gradient "
        "range is 0.25 (z -1.14), below the typical range."
    )
    swapped = source.replace("Principal", "#").replace("Second", "Principal").replace("#", "Second")
    assert kind(source, swapped) == "quantity"


def test_a_count_in_words_must_survive(kind):
    source = "fALFF is within the typical range in Visual and thirty-three other systems."
    assert kind(source, source.replace("thirty-three", "thirty-two")) == "number lost"


STRENGTH = (
    "The strength of positive connections (sum of r) lies above the typical range in the Visual "
    "(8.89, z 1.84) and Parietal (7.00, z 1.20) networks. In the Temporal network (3.00, z -1.10), "
    "the strength of positive connections (sum of r) lies below the typical range. The range of "
    "the second gradient is 0.20 diffusion units (z 0.11), within the typical range."
)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("0.20 diffusion units", "0.20", "unit"),
        ("0.20 diffusion units", "0.20 squared diffusion units", "unit"),
        (" (sum of r) lies", " lies", "unit"),
        ("(sum of r)", "(mean Fisher z)", "unit"),
        ("strength of positive connections", "strength of negative connections", "word added"),
    ],
)
def test_a_unit_or_kind_of_edge_that_changes_is_refused(old, new, why, kind):
    assert kind(STRENGTH, STRENGTH.replace(old, new)) == why


def test_places_that_open_a_sentence_belong_to_what_follows(kind):
    rewrite = STRENGTH.replace(
        "The strength of positive connections (sum of r) lies above the typical range in the "
        "Visual (8.89, z 1.84) and Parietal (7.00, z 1.20) networks.",
        "In the Visual (8.89, z 1.84) and Parietal (7.00, z 1.20) networks, the strength of "
        "positive connections (sum of r) lies above the typical range.",
    )
    assert rewrite != STRENGTH
    assert kind(STRENGTH, rewrite) is None
    assert (
        kind(
            f"Modularity is 0.27 (z 0.32), within the typical range. {STRENGTH}",
            f"Modularity is 0.27 (z 0.32), within the typical range. {rewrite}",
        )
        is None
    )


@pytest.mark.parametrize("count", ["fourteen", "seventeen", "seven", "forty-five"])
def test_what_a_paragraph_counts_must_survive(count, kind):
    source = (
        "Next to seven training scans, fourteen of forty-five connectivity values lie outside the "
        "typical range of one standard deviation, where chance alone would put about seventeen."
    )
    assert kind(source, re.sub(rf"\b{count}\b", "nine", source, count=1)) == "number lost"
    assert kind(source, source.replace("outside", "within")) is not None


def test_a_word_that_the_user_allows_is_accepted(graph, networks):
    rewrite = f"Interestingly, {graph}"
    assert check_rewrite(graph, rewrite, networks).detail == "interestingly"
    assert check_rewrite(graph, rewrite, networks, extra_words=["Interestingly"]) is None


def corrupted(text, networks):
    """Real captions with one thing wrong."""
    first = re.search(r"-?\d+\.\d+", text)[0]
    placed = re.search(r"\(-?\d+\.\d+, z", text)
    yield "a dropped number", text.replace(first, "", 1)
    yield "a rounded number", text.replace(first, f"{float(first):.1f}", 1)
    yield "a lost sign", text.replace("z -", "z ", 1) if "z -" in text else f"{text} -1.00"
    yield "a diagnosis", f"{text} This suggests early Alzheimer's disease."
    yield "an added number", f"{text} The mean z is 0.50."
    if placed:
        # The network that the first number belongs to, and one that it does not.
        before = text[: placed.start()]
        here = max(networks, key=before.rfind)
        there = next(name for name in networks if name not in before[-60:])
        swapped = re.sub(rf"\b({here}|{there})\b", lambda m: there if m[0] == here else here, text)
        yield "two networks that changed places", swapped
    for old, new in [("above the", "below the"), ("below the", "above the")]:
        if old in text:
            yield "a direction turned round", text.replace(old, new, 1)


def test_every_corruption_of_every_real_caption_is_refused(real, networks):
    passed = [
        (name, text)
        for source in real
        for name, text in corrupted(source, networks)
        if check_rewrite(source, text, networks) is None
    ]
    assert passed == []


def test_unicode_minus_signs_and_markup_are_read_as_plain_text():
    assert cleaned("**Modularity** is −0.27\n\n (z\u00a0‑1.10)") == "Modularity is -0.27\n(z -1.10)"


def test_the_thoughts_of_a_reasoning_model_are_left_out():
    assert cleaned("<think>0.27 is low.\nHm.</think>\nModularity is 0.27.") == "Modularity is 0.27."
