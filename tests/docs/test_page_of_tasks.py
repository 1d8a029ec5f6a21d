"""The page about tasks leads from a table of people to scores: its files and its code are run."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fmri_cli.main import main
from fmri_instruct.tasks.definitions import load_tasks
from fmri_instruct.tasks.ready import ready_tasks

from ..pipeline.small_lab import write_model

PAGE = (Path(__file__).resolve().parents[2] / "docs/tasks.md").read_text(encoding="utf-8")
N_PEOPLE, N_REGIONS = 16, 12
SMALL = """
describe:
  features: {ica_components: 3, louvain_runs: 1}
fit-tokenizer:
  n_frames: 32
  patch_frames: 16
  n_codes: 8
  text_tokens: 8
  caption_tokens: 16
  training: {steps: 2, batch_size: 2, checkpoint_every: 2, evaluate_every: 2, log_every: 1}
fit-llm:
  max_windows: 1
  text_tokens: 16
  corpus_tokens: 16
  validation_examples: 1
  loop: {steps: 2, batch_size: 1, checkpoint_every: 2, evaluate_every: 2, log_every: 1}
tune:
  conversations: 1
  validation_examples: 1
  loop: {steps: 2, batch_size: 1, checkpoint_every: 2, evaluate_every: 2, log_every: 1}
evaluate: {max_new_tokens: 2, resamples: 20}
"""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def yaml_file(name):
    [found] = [text for text in blocks("yaml") if text.startswith(f"# {name}\n")]
    return found


@pytest.fixture
def lab(tmp_path, smollm2, monkeypatch):
    """Sixteen people in the columns of the page's table, its files, and a recipe that is quick."""
    [shown] = [text for text in blocks("text") if text.startswith("participant_id")]
    assert shown.splitlines()[0] == "participant_id\tsex\tage\tdiagnosis\tados_total"
    rng = np.random.default_rng(0)
    lines = [shown.splitlines()[0]]
    (tmp_path / "scans").mkdir()
    for i in range(N_PEOPLE):
        series = rng.normal(size=(96, N_REGIONS)).cumsum(axis=0)
        np.save(tmp_path / "scans" / f"sub-{i:02d}.npy", series)
        diagnosis = ("control", "autism", "pending")[i % 3]
        lines.append(f"sub-{i:02d}\t{'FM'[i % 2]}\t{20 + 3 * i}\t{diagnosis}\t{i % 3 * 7}")
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "tasks.yaml").write_text(yaml_file("tasks.yaml"))
    regions = [f"region {k}\t{('Motor', 'Visual')[k % 2]}" for k in range(N_REGIONS)]
    (tmp_path / "regions.tsv").write_text("\n".join(("label\tnetwork", *regions)) + "\n")
    model = write_model(tmp_path / "model", words=smollm2)
    recipe = yaml_file("recipe.yaml").replace(
        "aal2",
        "regions.tsv\n  test_subjects: ['12', '13', '14', '15']\n  validation_subjects: ['11']",
    )
    recipe = recipe.replace("smollm2-135m-instruct", str(model))
    (tmp_path / "recipe.yaml").write_text(recipe + SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_page_leads_from_a_table_of_people_to_scores(lab):
    names, printed = {}, []
    labels, baselines, scores, compared = blocks("python")
    commands, run_all, _ = blocks("bash")

    def run(code):
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(code, names)
        printed.append(told.getvalue())

    for line in commands.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    run(labels)
    run(baselines)
    assert main(shlex.split(run_all)[1:]) == 0
    run(scores)
    run(compared)

    assert "autism binary {'control': 6, 'autism': 5, None: 5}" in printed[0]
    assert "age training mean mae {'value': " in printed[1]
    assert "age fMRI-LM, one question mae " in printed[2]
    assert sum(map(float, printed[3].split())) == pytest.approx(1)
    assert "autism connectome + logistic regression auc " in printed[2]
    made = json.loads((lab / "runs/mine/evaluation/scores.json").read_text())["tasks"]
    assert made["age"]["rows"][0]["mae"]["value"] > 0
    assert "main score: MAE; MAE in years" in (lab / "runs/mine/report/report.html").read_text()


@pytest.mark.slow
def test_the_folds_of_the_page_score_everybody_once(lab):
    loop, pool = re.fullmatch(
        r"for fold in .*; do\n  (.*)\ndone\n(.*)\n", blocks("bash")[2]
    ).groups()
    recipe = lab / "recipe.yaml"
    named = r"\n  (test|validation)_subjects: .*"
    recipe.write_text(re.sub(named, "", recipe.read_text()))
    for fold in "12":
        line = loop.replace("$fold", fold).replace("n_folds=5", "n_folds=2")
        assert main(shlex.split(line)[1:]) == 0, line
    runs = "runs/fold-1/evaluation runs/fold-2/evaluation"
    assert main(shlex.split(pool.replace("runs/fold-*/evaluation", runs))[1:]) == 0

    made = json.loads((lab / "runs/folds/scores.json").read_text())
    assert made["tasks"]["sex"]["n_subjects"] == N_PEOPLE
    assert len(made["folds"]) == 2
    for row in made["tasks"]["age"]["rows"]:
        assert len(row["by_fold"]) == 2


def test_the_table_of_ready_tasks_is_what_ships():
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| (`.*`) \|$", PAGE, flags=re.MULTILINE)
    listed = {name: re.findall(r"`(\w+)`", tasks) for name, tasks in rows}
    assert listed == {name: [task.name for task in load_tasks(name)] for name in ready_tasks()}
