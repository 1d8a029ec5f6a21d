"""One stage at work: what it is handed, and its way from an empty folder to its final name."""

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmri_cli import runtime, screen
from fmri_cli.fingerprints import Input, derive_seed, input_path
from fmri_cli.run import base_model, processes
from fmri_cli.run.records import CHECKPOINTS, Request, read_record, write_record
from fmri_cli.run.up_to_date import is_up_to_date
from fmri_cli.run.workspace import Workspace


@dataclass
class Stage:
    """What the work of a stage gets from the command line.

    Parameters
    ----------
    directory
        Where to write. A resumable stage finds here what it wrote before it was killed.
    settings
        The stage's settings dataclass.
    seed
        Seed of this stage, derived from the run's.
    progress
        `progress(done, total)`.
    wanted_device
        `auto`, `cpu` or `cuda`, as the user asked.
    cleanup
        Closed when the stage ends.
    """

    directory: Path
    settings: Any
    seed: int
    progress: screen.ProgressCallback
    wanted_device: str
    cleanup: ExitStack
    notes: dict[str, Any] = field(default_factory=dict)
    _device: str | None = None

    @property
    def device(self) -> str:
        """`cpu` or `cuda`; asking makes torch repeatable for the rest of the stage."""
        if self._device is None:
            import torch

            self._device = runtime.choose_device(self.wanted_device)
            self.cleanup.enter_context(runtime.repeatable_torch(self.seed, self._device))
            self.note(device=self._device, torch_threads=torch.get_num_threads())
        return self._device

    def language_model(self, name: str) -> Path:
        """Local folder of a language model, given by name or by folder, which is probed."""
        folder = base_model.resolve(name)
        base_model.check(name, getattr(self.settings, "base_attention", None))
        return folder

    def note(self, **facts: Any) -> None:
        """Keep facts about the code that ran, JSON values, in the stage's record."""
        self.notes |= facts


@dataclass(frozen=True, kw_only=True)
class Job:
    """The work of a stage and all that it depends on.

    Parameters
    ----------
    command
        Name of the stage's command.
    work
        `work(stage, **inputs)` writes files and returns a one-line summary.
    settings, inputs
        What `work` gets.
    run_seed, device
        As asked for by the user.
    """

    command: str
    work: Callable[..., str]
    settings: Any
    inputs: dict[str, Input]
    run_seed: int
    device: str

    def run_in(self, directory: Path, progress: screen.ProgressCallback) -> dict[str, Any]:
        """Let the stage write its files, and return the facts for its record."""
        seed = derive_seed(self.run_seed, self.command)
        runtime.seed_globals(seed)
        with ExitStack() as cleanup:
            stage = Stage(directory, self.settings, seed, progress, self.device, cleanup)
            summary = self.work(stage, **self.inputs)
        return {"summary": summary, "stage_seed": seed, "code_path": stage.notes}


def make(
    job: Job, name: str, request: Request, workspace: Workspace, working_folders: Collection[str]
) -> None:
    """Do the work, write the record, give the directory its name; say what came out.

    Parameters
    ----------
    job
        What to do.
    name
        Name of the final directory.
    request
        What decides the result, and so the name of the working directory.
    workspace
        The run, whose lock is held.
    working_folders
        Folders from which the stage resumes when an unfinished run of the same request left them;
        none for a stage that begins again.
    """
    started = time.perf_counter()
    directory = workspace.working_directory(name, request.key)
    if is_up_to_date(directory, request):  # killed between its record and its final name
        processes.announce(None)
    else:
        workspace.open(name, request.key, keep=working_folders)
        processes.announce(directory)
        with screen.progress_bar(name) as progress:
            facts = job.run_in(directory, progress)
        workspace.discard_hidden(directory)
        facts |= {
            "read": {key: read_names(value) for key, value in job.inputs.items()},
            "versions": runtime.installed_versions(),
            "machine": runtime.machine(),
            "wall_seconds": round(time.perf_counter() - started, 3),
            **base_model.facts_of(directory),
        }
        write_record(directory, request, facts)
    summary = (read_record(directory) or {}).get("summary", "")
    if (directory / CHECKPOINTS).exists():
        workspace.discard(directory / CHECKPOINTS)
    workspace.publish(directory, name)
    screen.stage_line(name, summary, time.perf_counter() - started)


def read_names(value: Input) -> Any:
    """Name an input without the folders that only this machine has."""
    if isinstance(value, list):
        return [read_names(item) for item in value]
    if isinstance(value, dict):
        return sorted(value)
    path = None if value is None else input_path(value)
    return value if path is None else path.name
