"""Answers that words read of a scan: what they are learned from, and where they are read."""

import numpy as np
import pytest
import torch

from fmri_instruct.prompts.instructions import read_instructions
from fmri_instruct.tuning.answer_measures import learn_answers
from fmri_llm.brain_input.ridge import fit_ridge
from fmri_llm.data.examples import TokenWindows, scans_of
from fmri_llm.model.fmri_lm import FMRILM

from ..tiny_model import fresh_model

NAMES = ["the connectivity of the left", "the connectivity of the right side"]


@pytest.fixture
def tuned(model, rows):
    """A model whose text reads two measures already."""
    return fresh_model(model.base_name, rows[0].bold.shape[1], len(rows), measures=NAMES)


@pytest.fixture
def windows(tokens_dir):
    return TokenWindows.read(tokens_dir, "train")


@pytest.fixture
def instructions(instructions_dir):
    return read_instructions(instructions_dir, "train")


def test_each_answer_is_read_as_the_ridge_regression_of_training_labels_says(
    tuned, windows, instructions
):
    learned = learn_answers(tuned, windows, instructions)

    of_task = {i.scan_id: i for i in instructions if i.task == learned[0]}
    answers = sorted(next(iter(of_task.values())).candidates[learned[0]])
    scans = [scans_of([windows.scan(scan_id)]) for scan_id in of_task]
    with torch.no_grad():
        features = np.concatenate([tuned.scan_features(each).double().numpy() for each in scans])
        blocks = [tuned.brain_block(each, None, context=True) for each in scans]
    values = torch.cat([block.measures for block in blocks])[:, len(NAMES) :].numpy()
    is_first = np.array([each.answer == answers[0] for each in of_task.values()], dtype=float)
    wanted = (is_first - is_first.mean()) / is_first.std()
    weights, intercepts = fit_ridge(
        features, wanted[:, None], [each.subject for each in of_task.values()]
    )
    np.testing.assert_allclose(values[:, 0], features @ weights[0] + intercepts[0], atol=1e-4)


def test_answers_that_are_read_are_saved_with_the_model(tuned, windows, instructions, tmp_path):
    learn_answers(tuned, windows, instructions)
    tuned.save_pretrained(tmp_path)
    loaded = FMRILM.from_pretrained(tmp_path)
    assert loaded.measures == tuned.measures
    scan = scans_of([windows.scan(windows.scan_ids[0])])
    asked = (scan, "Is it one or the other?", ["one", "other"])
    assert torch.equal(loaded.score_answers(*asked), tuned.score_answers(*asked))


def test_a_model_whose_text_reads_no_measures_stays_as_it_is(model, windows, instructions):
    assert model.brain.measures is None
    assert learn_answers(model, windows, instructions) == []


def test_an_answer_that_no_training_scan_has_is_not_read(tuned, windows, instructions):
    task = next(each.task for each in instructions if isinstance(each.task, str))
    answer = next(each.answer for each in instructions if each.task == task)
    alike = [each for each in instructions if each.task == task and each.answer == answer]
    assert learn_answers(tuned, windows, alike) == []
    assert tuned.measures == tuple(NAMES)
