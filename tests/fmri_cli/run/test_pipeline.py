"""The table of stages agrees with the commands that the packages really have."""

import click
import pytest

from fmri_cli.main import cli, main
from fmri_cli.plugins import stage_entry_points
from fmri_cli.run.pipeline import RUN, STAGES
from fmri_cli.settings.recipes import RunSettings

ROWS = pytest.mark.parametrize("row", STAGES, ids=[row.command for row in STAGES])


@ROWS
def test_a_stage_reads_only_earlier_stages_or_keys_of_the_recipe(row):
    earlier = {other.directory for other in STAGES[: STAGES.index(row)]}
    assert set(row.reads) <= earlier | set(RunSettings.__dataclass_fields__) | {RUN}


@ROWS
def test_the_command_of_a_stage_takes_what_the_table_gives_it(row):
    own = stage_entry_points()[row.command].load()
    assert len(row.arguments) == sum(isinstance(p, click.Argument) for p in own.params)
    assert set(row.options) <= {name for parameter in own.params for name in parameter.opts}


@ROWS
def test_every_stage_has_the_shared_options(row):
    command = cli.get_command(click.Context(cli), row.command)
    names = {name for parameter in command.params for name in parameter.opts}
    assert {"--out", "--config", "--set", "--seed", "--device", "--debug"} <= names


def test_a_dry_run_of_the_demo_names_every_stage_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "runs" / "demo"
    assert main(["run-all", "--demo", "--out", str(out), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    states = [line for line in lines if "will run: first run" in line]
    assert [line.split()[0] for line in states] == [row.directory for row in STAGES]
    assert f"fmri describe {out}/cohort --out {out}/descriptors --config demo" in "\n".join(lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("tune.loop.stepz=3", "--set: tune.loop.stepz: unknown key; did you mean 'steps'?"),
        ("tuna.loop.steps=3", "--set: tuna: unknown section; did you mean 'tune'?"),
        ("tune=3", "--set: tune: is a section; write tune.key=value"),
        ("tune.loop.steps", "--set: tune.loop.steps; write it as key=value"),
        ("sead=3", "--set: sead: unknown key; did you mean 'seed'?"),
        ("seed=x", '--set: seed: "x"; give an integer'),
        ("source=", "demo.yaml: source: has no value"),
        ("source=./absent.tsv", "absent.tsv"),
    ],
)
def test_a_mistake_in_any_setting_is_found_before_the_first_stage_runs(
    tmp_path, capsys, assignment, message
):
    out = tmp_path / "run"
    assert main(["run-all", "--demo", "--out", str(out), "--set", assignment]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_base_that_cannot_be_trained_on_is_found_before_the_first_stage_runs(tmp_path, capsys):
    from transformers import MambaConfig

    base = tmp_path / "base"
    MambaConfig(hidden_size=8, num_hidden_layers=1, vocab_size=20).save_pretrained(base)
    (base / "model.safetensors").touch()
    for dry in (["--dry-run"], []):
        out = tmp_path / "run"
        line = ["run-all", "--demo", "--out", str(out), "--set", f"language_model={base}", *dry]
        assert main(line) == 1
        assert "(mamba): it carries a state" in capsys.readouterr().err
        assert not out.exists()
