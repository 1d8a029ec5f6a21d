import itertools

import pytest

from fmri_instruct.answers.parsing import parse_answers
from fmri_instruct.prompts.paraphrases import described
from fmri_instruct.tasks.definitions import load_tasks

TASKS = load_tasks()
AGE, VISUAL, CLUSTERING = TASKS


def answers_to(text, *tasks):
    return [parse_answers(text, tasks or TASKS)[task.name] for task in tasks or TASKS]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_rendered_statement_is_read_back(task):
    for candidate, statement in itertools.product(task.candidates, task.statements):
        assert answers_to(statement.format(answer=candidate), task) == [candidate]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_bare_answer_in_any_letter_case_is_read_back(task):
    for candidate in task.candidates:
        for text in (candidate, candidate.upper(), f"{candidate.title()}.", f' "{candidate}" '):
            assert answers_to(text, task) == [candidate]


def test_descriptions_of_all_tasks_are_read_back_in_every_order_and_wording():
    for answers in itertools.product(*(task.candidates for task in TASKS)):
        truth = dict(zip((task.name for task in TASKS), answers, strict=True))
        for order in itertools.permutations(TASKS):
            assert parse_answers(described(order, truth), TASKS) == truth


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_statement_and_its_contradiction_are_unparsed(task):
    for one, other in itertools.permutations(task.candidates, 2):
        for first, second in itertools.product(task.statements, repeat=2):
            text = f"{first.format(answer=one)} {second.format(answer=other)}"
            assert answers_to(text, task) == [None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("No idea.", None),
        ("This person belongs to an age group.", None),
        ("Either younger or older.", None),
        ("olderish", None),
        ("The colder scanner.", None),
        ("Not older.", None),
        ("The person is not in the older group.", None),
        ("The person isn't older.", None),
        ("The person isn’t older.", None),
        ("Neither younger nor older.", None),
        ("It is older. It is not older.", None),
        ("Is this person younger or older? Older.", "older"),
        ("Younger rather than older.", "younger"),
        ("The person is not younger but older.", "older"),
        ("Age group: OLDER", "older"),
        ("The older, much older person.", "older"),
        ("No doubt about the scanner.\nYounger!", "younger"),
    ],
)
def test_age_group_from_tricky_texts(text, expected):
    assert answers_to(text, AGE) == [expected]


@pytest.mark.parametrize(
    ("text", "visual", "clustering"),
    [
        ("Visual strength is above, while clustering is below the range.", "above", "below"),
        ("Visual strength is above and clustering is below the range.", "above", "below"),
        ("Visual strength is not above but within the range.", "within", None),
        ("It is above the range.", None, None),
        ("Visual strength is 1.5 above the range. Clustering is 0.2 within it.", "above", "within"),
        ("Clustering is within the range; the visual system is below it.", "below", "within"),
        ("The visual system is strong. It lies above the range.", None, None),
        ("Visual and auditory strength is above the range.", "above", None),
        ("The visual system is above or below the range.", None, None),
        ("Clustered organisation is above the range.", None, "above"),
        ("Visualised data lie above the range.", None, None),
    ],
)
def test_a_mention_counts_for_the_task_of_its_clause(text, visual, clustering):
    assert answers_to(text)[1:] == [visual, clustering]


def test_a_longer_answer_is_not_mistaken_for_the_shorter_one_within_it():
    task = VISUAL.model_copy(update={"candidates": ("above", "well above")})

    assert answers_to("The visual system is well above the range.", task) == ["well above"]
