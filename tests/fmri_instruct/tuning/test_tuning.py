"""Tuning a real, tiny language model on instructions."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest

from fmri_instruct.evaluation.evaluate import evaluate
from fmri_instruct.prompts.instructions import read_instructions
from fmri_instruct.settings import EvaluateSettings, TuneSettings
from fmri_instruct.tuning.tune import PackedConversations, tune
from fmri_llm.data.examples import TokenWindows
from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.errors import InputError

from ..folders import write_tokens


def loop(steps, **changes):
    rhythm = {"checkpoint_every": steps, "evaluate_every": steps, "log_every": steps}
    return LoopSettings(
        **{"steps": steps, "batch_size": 2, "learning_rate": 5e-2, **rhythm} | changes
    )


@pytest.fixture(scope="module")
def make_plan(tokens_dir, instructions_dir, model):
    def make(conversations=3, n_examples=24, seed=0):
        return PackedConversations(
            TokenWindows.read(tokens_dir, "train"),
            read_instructions(instructions_dir, "train"),
            model.text_tokenizer,
            conversations=conversations,
            n_examples=n_examples,
            seed=seed,
        )

    return make


def as_lists(example):
    texts = [(list(s.ids), s.n_given, s.sees_brain) for s in example.segments]
    return example.scan.codes.tolist(), example.scan.region_mask.tolist(), texts


def test_an_example_depends_on_the_seed_and_its_number_alone(make_plan):
    backwards = make_plan(n_examples=30)

    later = [as_lists(backwards[k]) for k in reversed(range(24))][::-1]

    assert [as_lists(each) for each in make_plan()] == later
    assert later != [as_lists(each) for each in make_plan(seed=1)]


def test_every_epoch_has_every_scan_once(make_plan, rows):
    n_training = sum(row.split == "train" for row in rows)
    plan = make_plan(n_examples=4 * n_training)

    seen = Counter(int(example.scan.codes[0, 0]) for example in plan)

    assert sorted(seen.values()) == [4] * n_training


def test_an_example_holds_different_kinds_of_conversation_about_its_own_scan(
    make_plan, model, instructions_dir, rows
):
    plan = make_plan(conversations=3)
    scan_ids = sorted(row.scan_id for row in rows)
    known = {
        (each.scan_id, _prompt(model, each)): (each.paradigm, str(sorted([*each.candidates])))
        for each in read_instructions(instructions_dir, "train")
    }

    for example in plan:
        scan_id = scan_ids[int(example.scan.codes[0, 0])]
        kinds = [known[scan_id, prompt] for prompt in _prompts(example)]
        assert len(set(kinds)) == 3


def _prompt(model, instruction):
    from fmri_llm.base_model import chat

    prompt, _ = chat.encode(model.text_tokenizer, instruction.messages)
    return tuple(prompt)


def _prompts(example):
    """Prompts of an example; that of a choice ends with the first token of each answer segment."""
    first_answer = {s.continues: s.ids[0] for s in example.segments if s.continues is not None}
    return [
        (*segment.ids[: segment.n_given], *([first_answer[k]] if k in first_answer else []))
        for k, segment in enumerate(example.segments)
        if segment.continues is None
    ]


def test_all_kinds_are_packed_where_there_is_room(make_plan):
    assert {len(_prompts(example)) for example in make_plan(conversations=99)} == {5}


def test_a_single_question_is_trained_with_every_answer_and_the_probability_it_should_have(
    make_plan, model, instructions_dir
):
    asked = [i for i in read_instructions(instructions_dir, "train") if i.paradigm == "single"]
    wanted = {(i.scan_id, i.task): {i.answer: 0.75} for i in asked}
    plan = make_plan(conversations=99)
    plan.chances = wanted
    for example in [plan[k] for k in range(4)]:
        answers = [s for s in example.segments if s.continues is not None]
        totals = [sum(segment.weights) for segment in answers]
        assert {round(total, 6) for total in totals} == {0.0, 0.75}
        texts = {model.text_tokenizer.decode(s.ids[1:-1]).strip() for s in answers}
        assert texts >= set(asked[0].candidates[asked[0].task])


def test_a_scan_without_tokens_is_named(instructions_dir, model, rows, tmp_path):
    tokens = write_tokens(rows[1:], tmp_path)

    with pytest.raises(InputError, match=f"{rows[0].scan_id}: has instructions but no tokens"):
        PackedConversations(
            TokenWindows.read(tokens, "train"),
            read_instructions(instructions_dir, "train"),
            model.text_tokenizer,
            conversations=2,
            n_examples=1,
            seed=0,
        )


def test_tuning_lowers_the_loss_of_the_answers_and_writes_a_model_that_answers(
    model_dir, tokens_dir, instructions_dir, cohort_dir, tmp_path
):
    from fmri_llm.model.fmri_lm import FMRILM

    progress = []
    records = tune(
        model_dir,
        tokens_dir,
        instructions_dir,
        tmp_path,
        TuneSettings(loop=loop(50, log_every=10), conversations=3, validation_examples=2),
        seed=0,
        progress=lambda done, total: progress.append((done, total)),
    )

    trained = [r for r in records if r.split == "train"]
    losses = {name: [r.value for r in trained if r.name == name] for name in ("f2t", "choices")}
    assert losses["f2t"][-1] < losses["f2t"][0] - 0.4  # nats per token
    assert losses["choices"][-1] < losses["choices"][0] - 0.1  # nats per question
    assert {r.name for r in records} == {"f2t", "questions", "choices", "total"}
    assert {r.split for r in records} == {"train", "validation"}
    assert progress[-1] == (50, 50)
    tuned = FMRILM.from_pretrained(tmp_path)
    results = evaluate(
        tuned,
        tokens_dir,
        instructions_dir,
        cohort_dir,
        EvaluateSettings(max_new_tokens=2, resamples=5),
    )
    assert np.isfinite([p for a in results.answers for p in (a.probabilities or {}).values()]).all()


def test_test_instructions_are_not_opened(model_dir, tokens_dir, instructions_dir, tmp_path):
    closed = tmp_path / "instructions"
    closed.mkdir()
    for name in ("train.jsonl", "validation.jsonl"):
        (closed / name).write_bytes((instructions_dir / name).read_bytes())
    out = tmp_path / "out"
    out.mkdir()

    tune(
        model_dir,
        tokens_dir,
        closed,
        out,
        TuneSettings(loop=loop(1), conversations=1, validation_examples=1),
        seed=0,
    )

    assert (out / "losses.csv").is_file()


def test_tokens_of_another_region_order_are_refused(model_dir, rows, instructions_dir, tmp_path):
    tokens = write_tokens(rows, tmp_path / "tokens")
    record = json.loads((tokens / "tokens.json").read_text())
    (tokens / "tokens.json").write_text(json.dumps({**record, "order_hash": "six"}))

    with pytest.raises(ValueError, match="six") as caught:
        tune(model_dir, tokens, instructions_dir, tmp_path, TuneSettings(loop=loop(1)), seed=0)

    assert caught.value.exit_code == 1


def test_tokens_of_another_tokenizer_are_not_tuned_on(model_dir, rows, instructions_dir, tmp_path):
    tokens = write_tokens(rows, tmp_path / "tokens", tokenizer="0123456789abcdef")
    with pytest.raises(ValueError, match="made by tokenizer 0123456789abcdef") as caught:
        tune(model_dir, tokens, instructions_dir, tmp_path, TuneSettings(loop=loop(1)), seed=0)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("name", ["conversations", "validation_examples"])
def test_settings_out_of_range_are_refused(name):
    with pytest.raises(InputError, match=f"{name}: 0; give at least 1"):
        TuneSettings(**{name: 0})


def test_an_example_shows_all_windows_of_its_scan(make_plan, tokens_dir):
    windows = TokenWindows.read(tokens_dir, "train")
    whole = {windows.scan(scan_id).codes.tobytes() for scan_id in windows.scan_ids}
    assert {example.scan.codes.tobytes() for example in make_plan()} <= whole


def test_conversations_longer_than_the_bases_positions_are_refused_before_tuning(
    model_dir, tokens_dir, instructions_dir, tmp_path
):
    folder = tmp_path / "instructions"
    shutil.copytree(instructions_dir, folder)
    path = folder / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[-1]["messages"][0]["content"] += " word" * 1100
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tuned").mkdir()
    with pytest.raises(ValueError, match=r"language model has 1024; give shorter questions"):
        tune(model_dir, tokens_dir, folder, tmp_path / "tuned", TuneSettings(loop=loop(2)), seed=0)
    assert not list((tmp_path / "tuned").iterdir())


def test_questions_longer_than_the_bases_positions_are_refused_before_any_is_asked(
    model, tokens_dir, instructions_dir, cohort_dir, tmp_path
):
    folder = tmp_path / "instructions"
    shutil.copytree(instructions_dir, folder)
    path = folder / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[-1]["messages"][0]["content"] += " word" * 1100
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = []
    with pytest.raises(ValueError, match=r"language model has 1024; give shorter questions"):
        evaluate(
            model,
            tokens_dir,
            folder,
            cohort_dir,
            EvaluateSettings(),
            progress=lambda *counts: asked.append(counts),
        )
    assert not asked
