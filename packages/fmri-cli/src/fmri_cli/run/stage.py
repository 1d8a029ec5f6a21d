"""One stage at work: what it is handed, and its way from an empty folder to its final name."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmri_cli import runtime, screen
from fmri_cli.fingerprints import Input, derive_seed, input_path
from fmri_cli.run import base_model
from fmri_cli.run.records import (
    CHECKPOINTS,
    Request,
    damage,
    differences,
    read_record,
    write_record,
)
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
    """A stage that is to be made.

    Parameters
    ----------
    name
        Name of its final directory.
    request
        What decides the result, and so the name of the working directory.
    work
        `work(stage, **inputs)` writes files and returns a one-line summary.
    settings, inputs
        What `work` gets.
    run_seed, device
        As asked for by the user.
    working_folders
        Folders from which the stage goes on when an unfinished run of the same request left them;
        none for a stage that begins again.
    """

    name: str
    request: Request
    work: Callable[..., str]
    settings: Any
    inputs: dict[str, Input]
    run_seed: int
    device: str
    working_folders: tuple[str, ...]

    def make(self, workspace: Workspace) -> None:
        """Do the work, write the record, give the directory its name; say what came out."""
        started = time.perf_counter()
        directory = workspace.working_directory(self.name, self.request.key)
        if not is_whole(directory, self.request):
            workspace.open(self.name, self.request.key, keep=self.working_folders)
            facts = self._work(directory)
            workspace.discard_hidden(directory)
            write_record(directory, self.request, facts)
        summary = (read_record(directory) or {}).get("summary", "")
        if (directory / CHECKPOINTS).exists():
            workspace.discard(directory / CHECKPOINTS)
        workspace.publish(directory, self.name)
        screen.stage_line(self.name, summary, time.perf_counter() - started)

    def _work(self, directory: Path) -> dict[str, Any]:
        """Let the stage write its files, and return what its record says beside the request."""
        started = time.perf_counter()
        seed = derive_seed(self.run_seed, self.request.command)
        runtime.seed_globals(seed)
        with ExitStack() as cleanup:
            progress = cleanup.enter_context(screen.progress_bar(self.name))
            stage = Stage(directory, self.settings, seed, progress, self.device, cleanup)
            summary = self.work(stage, **self.inputs)
        return {
            "summary": summary,
            "stage_seed": seed,
            "read": {name: read_names(value) for name, value in self.inputs.items()},
            "versions": runtime.installed_versions(),
            "machine": runtime.machine(),
            "code_path": stage.notes,
            "wall_seconds": round(time.perf_counter() - started, 3),
            **base_model.facts_of(directory),
        }


def is_whole(directory: Path, request: Request) -> bool:
    """Whether a directory holds the complete answer to a request."""
    record = read_record(directory)
    if record is None:
        return False
    return not any(differences(record, request)) and damage(directory, record) is None


def read_names(value: Input) -> Any:
    """Name an input without the folders that only this machine has."""
    if isinstance(value, list):
        return [read_names(item) for item in value]
    if isinstance(value, dict):
        return sorted(value)
    path = None if value is None else input_path(value)
    return value if path is None else path.name
