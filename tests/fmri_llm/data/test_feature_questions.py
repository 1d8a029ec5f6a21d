"""Questions about the measures of a scan: their answers hold, and they ask what is clear."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from fmri_llm.data.feature_names import phrase
from fmri_llm.data.feature_questions import CLEAR, FeatureQuestions
from fmri_vqtok.errors import InputError

NETWORKS = ("Visual", "Limbic", "Dorsal-Attention")
COLUMNS = [
    *(f"graph.network_strength.{name}" for name in NETWORKS),
    "graph.modularity",
    "gradient1.range",
    "gradient2.Limbic",
    "fc.Visual-Limbic",
    "fc.Limbic-Dorsal-Attention",
    "fc.Visual-Visual",
    "ica.falff.Visual",
    "ica.fnc.Visual-Dorsal-Attention",
]
SCANS = [f"s{k}" for k in range(6)]
DOMAINS = {"graph": "graph", "gradient1": "gradients", "gradient2": "gradients", "fc": "FC",
           "ica": "ICA"}  # fmt: skip


def z_table():
    values = np.random.default_rng(0).normal(0, 1.5, size=(len(SCANS), len(COLUMNS)))
    values[0, :3] = (CLEAR * 0.9, -CLEAR * 0.9, CLEAR * 1.1)
    values[1, 4] = np.nan
    values[:, 6] = np.nan
    return pd.DataFrame(values, index=pd.Index(SCANS, name="scan_id"), columns=COLUMNS)


Z = z_table()
COLUMN_OF = {phrase(column, NETWORKS): column for column in COLUMNS}
QUESTIONS = FeatureQuestions(Z)


def drawn(scan_id, n=500, seed=0):
    rng = np.random.default_rng(seed)
    found = (QUESTIONS.draw(scan_id, rng, SCANS) for _ in range(n))
    return [question for question in found if question is not None]


@pytest.fixture(scope="module")
def asked():
    return [(scan_id, each) for k, scan_id in enumerate(SCANS) for each in drawn(scan_id, seed=k)]


LEVEL = re.compile(r"Is (.*) (above or below|below or above) average\?")
WHICH = re.compile(r"Which is higher, relative to the average: (.*), or (the .*)\?")
TRUE = re.compile(r"Is this true: (.*) is (well above|well below|above|below|within) the typical")


def level_word(z):
    """How captions word a z-score."""
    if abs(z) < 1:
        return "within"
    return ("well " if abs(z) >= 2 else "") + ("above" if z > 0 else "below")


def truth(scan_id, question):
    """Answer by an independent reading of the question's text and of the table."""
    z = Z.loc[scan_id]
    if found := LEVEL.fullmatch(question.text):
        return "above" if z[COLUMN_OF[found[1]]] > 0 else "below"
    if found := WHICH.fullmatch(question.text):
        first, second = (z[COLUMN_OF[words]] for words in found.groups())
        return "the first" if first > second else "the second"
    found = TRUE.match(question.text)
    return "yes" if level_word(z[COLUMN_OF[found[1]]]) == found[2] else "no"


def test_every_answer_is_true_and_among_the_options(asked):
    for scan_id, question in asked:
        assert question.answer == truth(scan_id, question), question
        assert question.answer in question.options
        assert len(set(question.options)) == len(question.options) == 2


def columns_of(question):
    for pattern in (LEVEL, WHICH):
        if found := pattern.fullmatch(question.text):
            return [COLUMN_OF[words] for words in found.groups() if words in COLUMN_OF]
    return [COLUMN_OF[TRUE.match(question.text)[1]]]


def test_the_domain_is_that_of_the_measures(asked):
    for _, question in asked:
        stems = {column.split(".")[0] for column in columns_of(question)}
        assert {DOMAINS[stem] for stem in stems} == {question.domain}


def test_every_measure_that_is_known_is_asked_about(asked):
    found = {column for _, question in asked for column in columns_of(question)}
    assert found == set(COLUMNS) - {"fc.Visual-Limbic"}


def test_a_missing_measure_is_never_asked_about_and_gives_no_level(asked):
    for scan_id, question in asked:
        assert Z.loc[scan_id, columns_of(question)].notna().all()


def test_measures_near_the_average_are_not_asked_about(asked):
    for scan_id, question in asked:
        z = Z.loc[scan_id, columns_of(question)].to_numpy()
        assert abs(z[0]) >= CLEAR
        if WHICH.fullmatch(question.text):
            assert abs(z[0] - z[1]) >= CLEAR
    in_doubt = {columns_of(q)[0] for scan_id, q in asked if scan_id == "s0"}
    assert in_doubt.isdisjoint(COLUMNS[:2])
    assert COLUMNS[2] in in_doubt


def test_either_option_of_a_level_is_named_first_about_as_often(asked):
    first = Counter(q.options[0] for _, q in asked if LEVEL.fullmatch(q.text))
    share = first["above"] / first.total()
    assert abs(share - 0.5) < 5 * 0.5 / first.total() ** 0.5


def test_all_three_kinds_are_asked(asked):
    kinds = [
        sum(pattern.match(question.text) is not None for _, question in asked)
        for pattern in (LEVEL, WHICH, TRUE)
    ]
    assert sum(kinds) == len(asked)
    assert min(kinds) > 0.1 * len(asked)


def test_a_statement_is_as_often_true_as_false_whatever_it_says():
    rng = np.random.default_rng(3)
    scan_ids = [f"t{k}" for k in range(300)]
    values = rng.normal(0, 1.3, size=(len(scan_ids), len(COLUMNS)))
    many = FeatureQuestions(pd.DataFrame(values, index=scan_ids, columns=COLUMNS))
    drawn_of_each = [many.draw(str(rng.choice(scan_ids)), rng, scan_ids) for _ in range(20_000)]
    answers = {}
    for question in drawn_of_each:
        if question is not None and (found := TRUE.match(question.text)):
            answers.setdefault(found[2], []).append(question.answer == "yes")
    assert set(answers) == {"well above", "above", "within", "below", "well below"}
    for word, true in answers.items():
        assert abs(np.mean(true) - 0.5) < 4 * 0.5 / len(true) ** 0.5, word


def test_the_same_seed_draws_the_same_questions():
    assert drawn("s2", 60) == drawn("s2", 60) != drawn("s2", 60, seed=1)


def test_levels_asks_every_clear_measure_of_a_scan_once():
    found = QUESTIONS.levels("s0")
    z = Z.loc["s0"]
    expected = [column for column in COLUMNS if abs(z[column]) >= CLEAR]
    assert [columns_of(question)[0] for question in found] == expected
    assert all(question.answer == truth("s0", question) for question in found)


def test_a_scan_without_a_clear_measure_gives_no_question():
    flat = FeatureQuestions(Z * 0)
    rng = np.random.default_rng(0)
    assert [flat.draw("s0", rng, SCANS) for _ in range(30)] == [None] * 30
    assert flat.levels("s0") == []


def test_a_scan_that_was_not_described_is_refused():
    with pytest.raises(InputError, match="no measures of scan 'who'; describe the same cohort"):
        QUESTIONS.draw("who", np.random.default_rng(0), SCANS)


def test_the_digest_is_that_of_scans_measures_and_values():
    others = (Z + 1, Z.rename(index={"s0": "t0"}), Z.drop(columns="graph.modularity"))
    assert QUESTIONS.digest == FeatureQuestions(z_table()).digest
    assert len({QUESTIONS.digest, *(FeatureQuestions(other).digest for other in others)}) == 4
