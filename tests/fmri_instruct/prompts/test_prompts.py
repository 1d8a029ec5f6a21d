import random

import pytest
import yaml

from fmri_instruct.prompts.paraphrases import BANK, PromptBank, described, numbered, spoken_list
from fmri_instruct.settings import PARADIGMS
from fmri_vqtok.errors import InputError


@pytest.fixture(scope="module")
def bank():
    return PromptBank.load()


def test_every_paradigm_has_several_wordings(bank):
    assert [paradigm for paradigm in PARADIGMS if len(set(bank.templates[paradigm])) < 4] == []


def test_a_prompt_holds_the_scans_place_the_question_and_the_answers_in_the_order_given(
    bank, tasks
):
    prompt = bank.single(tasks[1], ["within", "above", "below"])

    assert prompt.startswith("<fmri>\n")
    assert tasks[1].questions[0] in prompt
    assert "within, above or below" in prompt


def test_equal_generators_give_equal_wordings_and_others_occur(bank, tasks):
    def sample(seed):
        return bank.single(tasks[0], tasks[0].candidates, random.Random(seed))

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(60)}) > 10


def test_several_questions_are_numbered_each_with_its_own_answers(bank, tasks):
    prompt = bank.multi(tasks, {task.name: task.candidates for task in tasks})

    lines = prompt.split("\n")
    for number, task in enumerate(tasks, start=1):
        (line,) = [line for line in lines if line.startswith(f"{number}. ")]
        assert task.questions[0] in line
        assert spoken_list(task.candidates) in line


def test_an_open_request_names_every_attribute(bank, tasks):
    for seed in range(20):
        prompt = bank.open(tasks, random.Random(seed))
        assert [task.title for task in tasks if task.title not in prompt] == []


def test_numbered_answers_are_on_separate_lines():
    assert numbered(["younger", "above"]) == "1. younger\n2. above"


def test_a_description_has_a_sentence_per_attribute(tasks):
    answers = {task.name: task.candidates[0] for task in tasks}

    assert described(tasks, answers).count(".") == len(tasks)


@pytest.mark.parametrize(
    ("items", "expected"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_lists_read_as_in_english(items, expected):
    assert spoken_list(items) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [("{}", "not a list of texts"), ("[", "cannot be read"), (None, "multi.yaml")],
)
def test_a_bank_that_cannot_be_used_names_the_file(tmp_path, text, words):
    for paradigm in PARADIGMS:
        (tmp_path / f"{paradigm}.yaml").write_text((BANK / f"{paradigm}.yaml").read_text())
    if text is None:
        (tmp_path / "multi.yaml").unlink()
    else:
        (tmp_path / "multi.yaml").write_text(text)

    with pytest.raises(InputError, match=words) as caught:
        PromptBank.load(tmp_path)

    assert str(tmp_path / "multi.yaml") in str(caught.value)


def test_the_shipped_bank_is_plain_yaml_lists_without_repeats():
    for paradigm in PARADIGMS:
        lines = yaml.safe_load((BANK / f"{paradigm}.yaml").read_text())
        assert len(lines) == len(set(lines))
