import random
import re

import pytest

from fmri_instruct.prompts.grammar import read_wordings
from fmri_instruct.prompts.paraphrases import BANK, PromptBank, described, numbered, spoken_list
from fmri_instruct.prompts.verification import verify_prompt
from fmri_instruct.settings import PARADIGMS
from fmri_instruct.tasks.definitions import load_tasks
from fmri_instruct.tasks.prompt_leaks import mentions
from fmri_instruct.tasks.ready import ready_tasks
from fmri_vqtok.errors import InputError


@pytest.fixture(scope="module")
def bank():
    return PromptBank.load()


def prompts(bank, paradigm, tasks, seeds):
    """Prompts for the same tasks and answers in the same order: they differ in words alone."""
    candidates = {task.name: task.candidates for task in tasks}
    write = {
        "single": lambda rng: bank.single(tasks[0], tasks[0].candidates, rng),
        "multi": lambda rng: bank.multi(tasks, candidates, rng),
        "open": lambda rng: bank.open(tasks, rng),
    }
    return [write[paradigm](None if seed is None else random.Random(seed)) for seed in seeds]


def conversations():
    """What may be asked in one turn of each paradigm, for every ready tasks file."""
    found = []
    for name in ready_tasks():
        tasks = load_tasks(name)
        for task in tasks:
            found += [pytest.param("single", [task], id=f"{name}-{task.name}")]
            found += [pytest.param("open", [task], id=f"{name}-{task.name}-open")]
        if len(tasks) > 1:
            found += [pytest.param("multi", tasks, id=f"{name}-multi")]
    return found


@pytest.mark.parametrize(("paradigm", "asked"), conversations())
def test_every_ready_task_has_two_hundred_prompts_of_each_paradigm_that_pass_the_checks(
    bank, paradigm, asked
):
    drawn = prompts(bank, paradigm, asked, range(500))

    assert len(set(drawn)) >= 200
    for prompt in {*drawn, *prompts(bank, paradigm, asked, [None])}:
        verify_prompt(prompt, paradigm, asked, "prompt")


@pytest.mark.parametrize(("paradigm", "asked"), conversations())
def test_no_held_out_prompt_shares_a_line_with_a_training_prompt(bank, paradigm, asked):
    training = {line for p in prompts(bank, paradigm, asked, range(200)) for line in p.split("\n")}
    held_out = [prompts(each, paradigm, asked, [None])[0] for each in bank.held_out()]

    assert len(set(held_out)) == 4
    for prompt in held_out:
        assert training & set(prompt.split("\n")[1:]) == set()


def test_a_task_with_one_question_is_asked_it_in_other_words_around(bank, tasks):
    task = tasks[0].model_copy(update={"questions": ("Who?",)})
    training, held_out = (prompts(bank, "single", [task], seeds) for seeds in (range(200), [None]))

    assert held_out[0] not in training
    assert [prompt for prompt in training if "Who?" not in prompt] == []


def test_words_around_a_question_that_are_an_answer_to_it_are_passed_over(bank, tasks):
    task = tasks[0].model_copy(update={"questions": ("Which?",), "candidates": ("scan", "fMRI")})
    for seed in range(50):
        text = bank.single(task, task.candidates, random.Random(seed)).removeprefix("<fmri>")
        assert mentions(text, task.candidates) in (["scan", "fMRI"], ["fMRI", "scan"])


@pytest.mark.parametrize(
    ("paradigm", "text", "words"),
    [
        ("single", "Which? Options: younger or older.", "<fmri> once, on a line in front"),
        ("single", "<fmri>\nIs <fmri> younger or older?", "once, on a line in front"),
        ("single", "<fmri>\nWhich? {candidates}.", "'{candidates}' of the wording"),
        ("single", "<fmri>\nWhich age group?", "offers no answers; list younger, older"),
        ("single", "<fmri>\nIs it older? younger, older", "names the answer 'older'"),
        ("multi", "<fmri>\nyounger or older?\n1. Which?", "offers no answers"),
        ("multi", "<fmri>\nWhich? younger or older", "offers no answers"),
        ("open", "<fmri>\nIs it younger or older?", "the open wording .* names .* 'younger'"),
    ],
)
def test_a_prompt_that_breaks_a_rule_is_refused(tasks, paradigm, text, words):
    with pytest.raises(InputError, match=words):
        verify_prompt(text, paradigm, tasks[:1], "prompt")


def test_an_open_prompt_may_name_answers_that_a_title_holds(bank, tasks):
    titled = tasks[0].model_copy(update={"title": "being younger or older"})
    prompt = bank.open([titled])
    verify_prompt(prompt, "open", [titled], "prompt")
    with pytest.raises(InputError, match="names the answer"):
        verify_prompt(prompt, "open", [tasks[0]], "prompt")


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


GRAMMAR = "held_out: ['h {topics}']\ntraining: ['{a} {topics}']\nslots: {a: ['', b]}"


def test_a_grammar_is_every_combination_of_its_phrases(tmp_path):
    (tmp_path / "open.yaml").write_text(GRAMMAR)
    assert read_wordings(tmp_path / "open.yaml", ["topics"]).training == ("{topics}", "b {topics}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("slots", "slost"), "slost: unknown key; did you mean 'slots'"),
        (("{a} {topics}", "{b} {topics}"), "has no slot 'b'; use a, topics"),
        (("h {topics}", "h {topics}, {topics}"), "write {topics} in it once"),
        (("h {topics}", "b {topics}"), "held_out: 'b {topics}' is of training scans too"),
        (("h {topics}", "h {topics"), "close every brace"),
        (("['h {topics}']", "[]"), "held_out: not a list of texts"),
        (("h {topics}", "h {topics} {count}"), "has no field 'count'; use topics"),
        (("{a: ['', b]}", "[a]"), "slots: not a mapping"),
    ],
)
def test_a_grammar_that_cannot_be_used_is_one_line_with_the_file(tmp_path, change, words):
    path = tmp_path / "open.yaml"
    path.write_text(GRAMMAR.replace(*change))

    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_wordings(path, ["topics"])

    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("[]", "not a mapping"), ("[", "cannot be read"), (None, "multi.yaml")],
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
