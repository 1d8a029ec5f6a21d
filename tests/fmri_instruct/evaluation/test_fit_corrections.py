"""What is taken out of answers, and from whose scans it is learned."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from fmri_instruct.answers.corrections import Correction, Corrections
from fmri_instruct.evaluation.evaluate import evaluate_reader
from fmri_instruct.evaluation.fit_corrections import (
    fit_calibration,
    fit_corrections,
    fit_prior,
    why_not_calibrated,
)
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import read_task

from ..folders import made_up_rows

SEX = ("female", "male")
TASK = read_task(
    {
        "name": "sex", "title": "sex", "answers": list(SEX), "questions": ["Which sex?"],
        "statements": ["It is {answer}."], "label": {"phenotype": "sex"},
    },
    "here",
)  # fmt: skip


def answers(odds, truth, subjects=None, candidates=SEX):
    """Answers of log odds (n, K) about scans of these true answers."""
    return [
        ScanAnswer(
            scan_id=f"s{k:03d}", subject=f"p{k}" if subjects is None else subjects[k],
            task="sex", paradigm="single", truth=truth[k], answer=None,
            probabilities=dict(zip(candidates, softmax(row).tolist(), strict=True)),
        )
        for k, row in enumerate(np.asarray(odds, dtype=float))
    ]  # fmt: skip


def planted(n, seed, bias=3.0, sharpness=4.0):
    """Answers that are right in part, far too sure, and lean towards the second one."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(scale=1.5, size=n)
    truth = [SEX[int(male)] for male in rng.random(n) < expit(evidence)]
    odds = np.column_stack([np.zeros(n), sharpness * evidence + bias])
    return answers(odds, truth), evidence


def test_a_model_that_looks_at_no_scan_is_left_without_a_preference():
    blind = answers([[0.0, 2.0]] * 400, ["female", "male"] * 200)

    prior = fit_prior(SEX, blind, keep_frequency=False)
    found = Correction(prior=prior, n_prior=400).apply(blind[0].probabilities)

    # One imagined scan of each answer beside the four hundred.
    assert found["male"] == pytest.approx(0.5, abs=0.005)


def test_with_the_frequency_left_in_a_blind_model_answers_the_frequency():
    blind = answers([[0.0, 2.0]] * 400, ["female"] * 300 + ["male"] * 100)

    prior = fit_prior(SEX, blind, keep_frequency=True)
    found = Correction(prior=prior, n_prior=400).apply(blind[0].probabilities)

    assert found["male"] == pytest.approx(0.25, abs=0.01)


def test_a_model_that_knows_its_training_scans_by_heart_is_not_corrected():
    truth = ["female"] * 30 + ["male"] * 10
    sure = answers([[20.0, 0.0] if sex == "female" else [0.0, 20.0] for sex in truth], truth)

    prior = fit_prior(SEX, sure, keep_frequency=True)

    assert prior == pytest.approx({"female": 0, "male": 0}, abs=1e-6)


def test_bias_and_temperature_undo_planted_ones():
    validation, _ = planted(2000, seed=0)
    held_out, evidence = planted(200, seed=1)

    temperature, bias = fit_calibration(SEX, validation, Correction())
    fitted = Correction(temperature=temperature, bias=bias, n_calibration=2000)
    found = [fitted.apply(answer.probabilities)["male"] for answer in held_out]

    assert temperature == pytest.approx(4, rel=0.15)
    assert found == pytest.approx(expit(evidence), abs=0.05)
    assert sum(bias.values()) == pytest.approx(0, abs=1e-5)


def test_two_answers_are_calibrated_as_logistic_regression_on_their_log_odds_does_it():
    validation, evidence = planted(4000, seed=2)
    log_odds = 4 * evidence[:, None] + 3
    true = [answer.truth == "male" for answer in validation]

    temperature, bias = fit_calibration(SEX, validation, Correction())
    expected = LogisticRegression(C=np.inf).fit(log_odds, true)

    # The priors weigh as much as one of four thousand people.
    assert 1 / temperature == pytest.approx(expected.coef_[0, 0], rel=0.01)
    assert bias["male"] - bias["female"] == pytest.approx(expected.intercept_[0], abs=0.01)


def test_a_subject_with_many_scans_weighs_as_much_as_one_with_few():
    once, _ = planted(40, seed=3)
    repeated = answers(
        [
            np.log(list(a.probabilities.values()))
            for a in once
            for _ in range(1 + 9 * (a is once[0]))
        ],
        [a.truth for a in once for _ in range(1 + 9 * (a is once[0]))],
        [a.subject for a in once for _ in range(1 + 9 * (a is once[0]))],
    )

    one, other = (fit_calibration(SEX, each, Correction()) for each in (once, repeated))

    assert one[0] == pytest.approx(other[0], rel=1e-4)
    assert one[1] == pytest.approx(other[1], abs=1e-4)


def test_calibration_is_off_and_says_so_where_an_answer_has_too_few_validation_subjects():
    whose = [(f"w{k}", "female") for k in range(30)] + [(f"m{k}", "male") for k in range(9)]
    again = [("m0", "male"), ("m1", "male")]  # more scans of the same people

    note = why_not_calibrated(SEX, whose + again, 10)
    given, _ = planted(60, seed=4)
    found = fit_corrections([TASK], given, given, EvaluateSettings(), {"sex": note})

    assert why_not_calibrated(SEX, whose + again, 9) is None
    assert note == "'male' is true of 9 validation subjects, and 10 are needed"
    correction = found.of("sex", "single")
    assert (correction.note, correction.n_calibration) == (note, 0)
    assert (correction.temperature, correction.bias) == (1.0, {})


def test_each_correction_is_off_where_the_settings_say_so():
    given, _ = planted(60, seed=5)

    for settings, on in (
        (EvaluateSettings(prior="none", calibrate=False), (False, False)),
        (EvaluateSettings(prior="equal", calibrate=False), (True, False)),
        (EvaluateSettings(prior="none"), (False, True)),
        (EvaluateSettings(), (True, True)),
    ):
        found = fit_corrections([TASK], given, given, settings, {}).of("sex", "single")
        assert (found.prior != {}, found.n_calibration > 0) == on
        assert found.note is None


def test_each_way_of_asking_is_corrected_by_its_own_answers():
    leans = {"single": 0.0, "multi": 1.0, "context": 2.0}
    given = [
        replace(answer, paradigm=paradigm)
        for paradigm, lean in leans.items()
        for answer in answers([[0.0, lean]] * 200, ["female", "male"] * 100)
    ]
    settings = EvaluateSettings(calibrate=False)

    found = fit_corrections([TASK], given, [], settings, {})

    for paradigm, lean in leans.items():
        prior = found.of("sex", paradigm).prior
        assert prior["male"] - prior["female"] == pytest.approx(lean, abs=0.05)


@pytest.mark.parametrize("n_answers", [2, 3, 5])
def test_probabilities_sum_to_one_after_every_correction(n_answers):
    rng = np.random.default_rng(n_answers)
    names = [f"answer {k}" for k in range(n_answers)]
    truth = [names[k % n_answers] for k in range(120)]
    given = answers(rng.normal(scale=200, size=(120, n_answers)), truth, candidates=names)

    correction = Correction(prior=fit_prior(names, given, keep_frequency=True), n_prior=120)
    temperature, bias = fit_calibration(names, given, correction)
    whole = Correction(
        prior=correction.prior, temperature=temperature, bias=bias, n_prior=120, n_calibration=120
    )

    for answer in given:  # of odds so long that some probabilities are zero
        found = whole.apply(answer.probabilities)
        assert list(found) == list(answer.probabilities)
        assert sum(found.values()) == pytest.approx(1, abs=1e-12)
        assert min(found.values()) >= 0


def test_corrections_are_read_as_they_were_written(tmp_path):
    given, _ = planted(60, seed=6)
    found = fit_corrections([TASK], given, given, EvaluateSettings(), {})

    found.write(tmp_path)

    assert Corrections.read(tmp_path) == found


class Leaning:
    """A reader of log odds by place of the scan, which leans towards `older`."""

    def __init__(self, odds):
        self.odds, self.places = odds, []

    def read(self, scan):
        place = int(scan.codes[0, 0])
        self.places.append(place)
        return self.odds[place]

    def log_likelihoods(self, scan, prompt, replies, *, whole):
        return np.array([(scan + 2.0) * reply.endswith("older") for reply in replies])

    def describe(self, scan, prompt, max_new_tokens):
        return ""


@pytest.fixture
def evaluate_leaning(tokens_dir, instructions_dir, cohort_dir):
    def run(odds, **changes):
        settings = EvaluateSettings(resamples=5, wordings=1, **changes)
        reader = Leaning(odds)
        return reader, evaluate_reader(
            reader, tokens_dir, instructions_dir, cohort_dir, settings, seed=1
        )

    return run


def test_held_out_scans_change_no_correction_and_no_scan_is_read_twice(evaluate_leaning):
    rows = sorted(made_up_rows(), key=lambda row: row.scan_id)
    test = [k for k, row in enumerate(rows) if row.split == "test"]
    odds = np.random.default_rng(0).normal(size=len(rows))
    changed = odds.copy()
    changed[test] += 1

    reader, one = evaluate_leaning(odds, calibration_subjects=1)
    _, other = evaluate_leaning(changed, calibration_subjects=1)

    assert sorted(reader.places) == list(range(len(rows)))
    assert one.corrections == other.corrections
    assert one.corrections.of("age_group", "single").n_calibration == 2
    assert one.answers != other.answers


def test_the_prior_is_of_training_scans_and_bias_and_temperature_of_validation_scans(
    evaluate_leaning,
):
    rows = sorted(made_up_rows(), key=lambda row: row.scan_id)
    odds = np.random.default_rng(0).normal(size=len(rows))
    of_split = {
        split: np.array([k for k, row in enumerate(rows) if row.split == split])
        for split in ("train", "validation")
    }

    def correction(split):
        changed = odds.copy()
        changed[of_split[split]] += 1
        _, results = evaluate_leaning(changed, calibration_subjects=1)
        return results.corrections.of("age_group", "single")

    _, before = evaluate_leaning(odds, calibration_subjects=1)
    plain = before.corrections.of("age_group", "single")
    assert correction("train").prior != plain.prior
    assert correction("validation").prior == plain.prior
    assert correction("validation").bias != plain.bias


def test_no_more_training_people_are_read_than_asked_for(evaluate_leaning):
    rows = sorted(made_up_rows(), key=lambda row: row.scan_id)
    reader, results = evaluate_leaning([0.0] * len(rows), prior_subjects=2, calibrate=False)

    splits = [rows[place].split for place in reader.places]
    assert (splits.count("train"), splits.count("validation")) == (2, 0)
    correction = results.corrections.of("age_group", "single")
    assert correction.n_prior == 2
    # (p + 1) / (1 + 1) of one older and one younger training person or two of a kind, by hand.
    p = softmax([0.0, 2.0])[1]
    kept = {rows[k].phenotypes["age_group"] for k in reader.places if rows[k].split == "train"}
    n_older = {1: 2 * ("older" in kept), 2: 1}[len(kept)]
    assert correction.prior["older"] == pytest.approx(np.log((2 * p + 1) / (n_older + 1)))


def test_what_was_taken_out_is_said_beside_the_scores(evaluate_leaning):
    _, results = evaluate_leaning([0.0] * 12)
    row = results.scores["tasks"]["age_group"]["rows"][0]

    assert "averaged over one held-out wording and the orders" in row["note"]
    assert "their mean over the scans of 6 training subjects is taken out" in row["note"]
    assert "not calibrated: 'younger' is true of 1 validation subjects" in row["note"]
