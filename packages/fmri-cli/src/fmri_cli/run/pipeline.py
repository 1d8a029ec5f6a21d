"""The stages of a run as one table: their order, commands, inputs, and what to install."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RUN = "run"
"""Name of the run's own directory among the inputs."""

Value = str | Path | float | bool | tuple[str, ...] | None
"""Value of a stage's argument or option; True for an option without a value."""


@dataclass(frozen=True)
class StageRow:
    """One stage of a run.

    Parameters
    ----------
    directory
        Name of its directory in the run.
    command
        Its command and section of the recipe.
    arguments
        What its command reads, in order: directories of stages, or keys of the recipe.
    options
        The same for options, which are left out if the recipe does not have the key; an option
        whose key is true has no value.
    settings
        Where its settings are declared, as `module:Class`.
    extra
        Extra of fmri-cli that installs the command.
    """

    directory: str
    command: str
    settings: str
    arguments: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    extra: str = "all"

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of all that the stage reads."""
        return (*self.arguments, *self.options.values())

    def command_line(self, values: Mapping[str, Value]) -> list[str]:
        """Arguments as a user would type them after the command, given values by name."""
        line = [str(values[name]) for name in self.arguments]
        for option, name in self.options.items():
            value = values[name]
            if value is True:
                line.append(option)
            elif isinstance(value, tuple):
                line += [word for each in value for word in (option, each)]
            elif value is not None and value is not False:
                line += [option, str(value)]
        return line


STAGES = (
    StageRow(
        "cohort",
        "cohort",
        "fmri_descriptors.settings:CohortSettings",
        ("source",),
        {
            "--phenotypes": "phenotypes",
            "--atlas": "atlas",
            "--confounds": "confounds",
            "--tr": "tr",
            "--task": "task",
            "--space": "space",
            "--strict": "strict",
            "--jobs": "jobs",
            "--scheduler": "scheduler",
        },
        extra="descriptors",
    ),
    StageRow(
        "descriptors",
        "describe",
        "fmri_descriptors.settings:DescribeSettings",
        ("cohort",),
        {"--phenotype-dictionary": "phenotype_dictionary"},
        extra="descriptors",
    ),
    StageRow(
        "tokenizer",
        "fit-tokenizer",
        "fmri_vqtok.config.stages:FitTokenizerSettings",
        ("cohort",),
        {
            "--descriptors": "descriptors",
            "--text": "text",
            "--language-model": "language_model",
        },
    ),
    StageRow(
        "tokens",
        "tokenize",
        "fmri_vqtok.config.stages:TokenizeSettings",
        ("cohort", "tokenizer"),
        extra="tokenizer",
    ),
    StageRow(
        "language-model",
        "fit-llm",
        "fmri_llm.settings:FitLLMSettings",
        ("tokens", "tokenizer", "descriptors"),
        {"--text": "text", "--language-model": "language_model"},
    ),
    StageRow(
        "instructions",
        "make-instructions",
        "fmri_instruct.settings:MakeInstructionsSettings",
        ("cohort", "descriptors"),
        {"--tasks": "tasks"},
    ),
    StageRow(
        "tuned-model",
        "tune",
        "fmri_instruct.settings:TuneSettings",
        ("language-model", "tokens", "instructions"),
    ),
    StageRow(
        "evaluation",
        "evaluate",
        "fmri_instruct.settings:EvaluateSettings",
        ("tuned-model", "tokens", "instructions", "cohort"),
        {"--descriptors": "descriptors"},
    ),
    StageRow("report", "report", "fmri_cli.report.settings:ReportSettings", (RUN,)),
)

COMMANDS = tuple(row.command for row in STAGES)

BESIDE = {
    "simulate": "fmri_descriptors.simulate.settings:SimulateSettings",
    "evaluate-descriptors": "fmri_descriptors.probing.settings:EvaluateDescriptorsSettings",
    "evaluate-folds": "fmri_instruct.settings:EvaluateFoldsSettings",
}
"""Stages that are no part of a run: a recipe may have their sections. Their settings by command."""

DISTRIBUTED = ("fit-tokenizer", "fit-llm", "tune")
"""Commands whose work several processes of a launcher share."""

SETTINGS = {row.command: row.settings for row in STAGES} | BESIDE
"""Where the settings of each of our stages are declared, as `module:Class`."""


def stage_values(run: Path) -> dict[str, Value]:
    """Directory of every stage of a run, by name, and the run's own."""
    values: dict[str, Value] = {RUN: run}
    return values | {row.directory: run / row.directory for row in STAGES}


def row_of(command: str) -> StageRow | None:
    """Row of a command, or None if it is no stage of a run."""
    return next((row for row in STAGES if row.command == command), None)
