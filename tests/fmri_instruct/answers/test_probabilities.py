"""A real, tiny language model as a reader of scans; likelihoods against uncached passes."""

import numpy as np
import pytest
import torch

from fmri_instruct.answers.ask import answer_question
from fmri_instruct.answers.probabilities import ModelReader, choose_in_turn, softmax
from fmri_instruct.evaluation.evaluate import evaluate
from fmri_instruct.prompts.paraphrases import question_turn
from fmri_instruct.settings import EvaluateSettings
from fmri_llm.data.token_windows import ScanTokens, TokenWindows
from fmri_llm.settings import BrainInputSettings
from fmri_vqtok.errors import InputError

from ..folders import write_tokens
from ..tiny_model import fresh_model

PROMPT = question_turn(
    "<fmri>\nHow is it?\n1. A? Options: red or blue.\n2. B? Options: up or down."
)
PRESENT = np.array([True, True, False, True, True])


def scan_of(codes):
    """Scan whose third region is missing, of codes (windows, steps, regions)."""
    series = codes.reshape(-1, codes.shape[-1])
    return ScanTokens(series, PRESENT, np.ones(len(series), dtype=bool))


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).integers(0, 12, size=(3, 2, 5))


@pytest.fixture(scope="module")
def reader(model):
    return ModelReader(model)


def uncached(model, codes, prompt, reply, *, whole):
    """Log-likelihood of a reply from one forward pass over all windows, prompt and reply."""
    from fmri_llm.base_model import chat
    from fmri_llm.packing.sequences import TextSegment, pack
    from fmri_llm.settings import LossWeights

    messages = [*prompt, {"role": "assistant", "content": reply}]
    given, answer = chat.encode(model.text_tokenizer, messages)
    answer = answer if whole else answer[:-1]
    text = pack([[TextSegment(ids=given + answer, n_given=len(given))]])._asdict()
    model.loss_weights = LossWeights(f2f=0.0, t2t=0.0, questions=0.0)
    with torch.no_grad():
        series = torch.tensor(codes.reshape(1, -1, codes.shape[-1]))
        losses = model(codes=series, region_mask=torch.tensor(PRESENT[None]), **text)["losses"]
    return -float(losses["f2t"]) * len(answer)


@pytest.mark.parametrize("whole", [True, False])
def test_log_likelihoods_are_those_of_one_uncached_pass_over_all_windows(
    model, reader, codes, whole
):
    replies = ["red", "bluish"]

    found = reader.log_likelihoods(reader.read(scan_of(codes)), PROMPT, replies, whole=whole)

    expected = [uncached(model, codes, PROMPT, reply, whole=whole) for reply in replies]
    assert found == pytest.approx(expected, rel=1e-4)


def test_answers_in_turn_are_conditioned_on_the_models_own_earlier_answers(model, reader, codes):
    found = choose_in_turn(
        reader, reader.read(scan_of(codes)), PROMPT, [("red", "blue"), ("up", "down")]
    )

    def score(reply, *, whole):
        return uncached(model, codes, PROMPT, reply, whole=whole)

    first = softmax(np.array([score(f"1. {a}", whole=False) for a in ("red", "blue")]))
    own = ("red", "blue")[int(np.argmax(first))]
    second = softmax(np.array([score(f"1. {own}\n2. {b}", whole=True) for b in ("up", "down")]))
    assert found[0] == pytest.approx(dict(zip(("red", "blue"), first, strict=True)), abs=1e-4)
    assert found[1] == pytest.approx(dict(zip(("up", "down"), second, strict=True)), abs=1e-4)


def test_asking_changes_nothing_for_the_next_question(reader, codes):
    scan = reader.read(scan_of(codes))
    before = reader.log_likelihoods(scan, PROMPT, ["red", "blue"], whole=True)

    reader.describe(scan, PROMPT, 5)
    choose_in_turn(reader, scan, PROMPT, [("red", "blue"), ("up", "down")])

    after = reader.log_likelihoods(scan, PROMPT, ["red", "blue"], whole=True)
    assert after.tolist() == before.tolist()


def test_another_scan_gets_other_log_likelihoods(reader, codes):
    one, other = (
        reader.log_likelihoods(reader.read(scan_of(c)), PROMPT, ["red", "blue"], whole=True)
        for c in (codes, (codes + 1) % 12)
    )

    assert not np.allclose(one, other, atol=1e-3)


def test_a_region_without_signal_changes_no_likelihood(reader, codes):
    changed = codes.copy()
    changed[:, :, ~PRESENT] = (changed[:, :, ~PRESENT] + 5) % 12

    one, other = (
        reader.log_likelihoods(reader.read(scan_of(c)), PROMPT, ["red", "blue"], whole=True)
        for c in (codes, changed)
    )

    assert one == pytest.approx(other, abs=1e-4)


def test_a_description_is_written_from_the_reading_that_answers_come_from(reader, model, codes):
    scan = reader.read(scan_of(codes))

    text = reader.describe(scan, PROMPT, 6)

    series = torch.tensor(codes.reshape(1, -1, codes.shape[-1]))
    whole = model.generate_text(
        series, PROMPT, max_new_tokens=6, region_mask=torch.tensor(PRESENT[None])
    )
    assert [text] == whole


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_window_changes_the_likelihoods(reader, codes, place):
    changed = codes.copy()
    changed[place] = (changed[place] + 5) % 12

    one, other = (
        reader.log_likelihoods(reader.read(scan_of(c)), PROMPT, ["red", "blue"], whole=True)
        for c in (codes, changed)
    )

    assert not np.allclose(one, other, atol=1e-4)


def test_a_model_that_reads_one_window_as_signal_reads_the_middle_one(model, codes):
    none = {"relation_tokens": 0, "filter_tokens": False, "scale_tokens": 0}
    signal_alone = BrainInputSettings(**none, text_reads_signal=True)
    reads_signal = fresh_model(model.base_name, 5, 12, brain=signal_alone)
    reader = ModelReader(reads_signal)
    reads_signal.max_windows = 1

    one, middle, last = (
        reader.log_likelihoods(reader.read(scan_of(c)), PROMPT, ["red", "blue"], whole=True)
        for c in (codes, codes[1:2], codes[2:3])
    )

    assert one.tolist() == middle.tolist() != last.tolist()


def test_a_bound_on_signal_windows_leaves_no_window_out_of_the_relations(reader, model, codes):
    before = reader.log_likelihoods(reader.read(scan_of(codes)), PROMPT, ["red"], whole=True)
    model.max_windows = 1
    try:
        after = reader.log_likelihoods(reader.read(scan_of(codes)), PROMPT, ["red"], whole=True)
    finally:
        model.max_windows = None

    assert after.tolist() == before.tolist()


def test_evaluation_of_a_real_model_from_end_to_end(
    model, tokens_dir, instructions_dir, cohort_dir, tasks, tmp_path
):
    done = []

    def run():
        return evaluate(
            model,
            tokens_dir,
            instructions_dir,
            cohort_dir,
            EvaluateSettings(max_new_tokens=4, resamples=20),
            progress=lambda k, n: done.append((k, n)),
        )

    results = run()

    # Four held-out scans: a single question per task, one set of several, one description. Of six
    # training scans the same but the description. The probe reads two validation scans.
    assert done[-1] == (46, 46)
    assert len(results.answers) == 4 * 3 * len(tasks)
    for answer in results.answers:
        if answer.paradigm == "open":
            assert answer.text is not None
            assert answer.probabilities is None
        else:
            assert sum(answer.probabilities.values()) == pytest.approx(1)
            assert answer.probabilities[answer.answer] == max(answer.probabilities.values())
    assert run() == results


def test_a_real_model_is_asked_and_evaluated_with_the_same_numbers_and_every_prompt_is_kept(
    model, tokens_dir, instructions_dir, cohort_dir, tasks
):
    kept = []
    results = evaluate(
        model,
        tokens_dir,
        instructions_dir,
        cohort_dir,
        EvaluateSettings(max_new_tokens=1, resamples=2, wordings=2, calibration_subjects=1),
        keep=kept.append,
    )
    task = tasks[0]
    windows = TokenWindows.read(tokens_dir, "test")
    given = [a for a in results.answers if (a.task, a.paradigm) == (task.name, "single")]
    assert results.corrections.of(task.name, "single").n_calibration == 2

    for answer in given:
        scan = windows.scan(answer.scan_id)
        asked = answer_question(model, scan, task.name, tasks, corrections=results.corrections)
        assert asked.probabilities == answer.probabilities
        prompts = [
            row
            for row in kept
            if (row["scan_id"], row["task"], row["paradigm"])
            == (answer.scan_id, task.name, "single")
        ]
        assert [(row["wording"], row["order"]) for row in prompts] == [
            (wording, order)
            for wording in (0, 1)
            for order in (["older", "younger"], ["younger", "older"])
        ]
        older = [
            dict(zip(row["order"], row["probabilities"], strict=True))["older"] for row in prompts
        ]
        mean = {"younger": 1 - np.mean(older), "older": np.mean(older)}
        corrected = results.corrections.of(task.name, "single").apply(mean)
        assert answer.probabilities == pytest.approx(corrected)


def test_a_known_question_is_answered_with_its_tasks_candidates(model, codes, tasks):
    for question in ("which age group does this person belong to", "age_group"):
        answer = answer_question(model, scan_of(codes), question, tasks)

        assert answer.task == "age_group"
        assert set(answer.probabilities) == {"younger", "older"}
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert answer.text == max(answer.probabilities, key=answer.probabilities.get)


def test_a_question_of_ones_own_is_answered_with_the_candidates_given(model, codes, tasks):
    answer = answer_question(model, scan_of(codes), "Is it warm?", tasks, candidates=("yes", "no"))

    assert answer.task is None
    assert answer.question == "Is it warm?"
    assert set(answer.probabilities) == {"yes", "no"}


def test_an_unknown_question_is_refused_with_the_known_ones_and_the_fix(model, codes, tasks):
    with pytest.raises(InputError) as caught:
        answer_question(model, scan_of(codes), "Is it warm?", tasks)

    message = str(caught.value)
    assert "\n" not in message
    assert "'Is it warm?'" in message
    assert [task.name for task in tasks if task.questions[0] not in message] == []
    assert "possible answers" in message


@pytest.mark.parametrize("candidates", [["yes"], ["yes", "yes"]])
def test_fewer_than_two_candidates_are_refused(model, codes, tasks, candidates):
    with pytest.raises(InputError, match="at least two different answers"):
        answer_question(model, scan_of(codes), "Is it warm?", tasks, candidates=candidates)


def test_tokens_of_another_tokenizer_are_not_evaluated(
    model, rows, instructions_dir, cohort_dir, tmp_path
):
    tokens = write_tokens(rows, tmp_path / "tokens", tokenizer="0123456789abcdef")
    with pytest.raises(ValueError, match="made by tokenizer 0123456789abcdef") as caught:
        evaluate(model, tokens, instructions_dir, cohort_dir, EvaluateSettings())
    assert caught.value.exit_code == 1
