"""The `context` of a stage's command: is the stage up to date, and if not, why, and make it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fmri_cli import runtime, screen
from fmri_cli.fingerprints import (
    Input,
    fingerprint,
    input_path,
    real,
    setting_files,
    setting_tables,
)
from fmri_cli.run import base_model, processes
from fmri_cli.run.integrity import refuse_changed
from fmri_cli.run.locks import run_lock
from fmri_cli.run.pipeline import DISTRIBUTED
from fmri_cli.run.records import CHECKPOINTS, RECORD, Request, read_record
from fmri_cli.run.stage import Job, make
from fmri_cli.run.up_to_date import FIRST_RUN, is_absent, reasons_to_run
from fmri_cli.run.workspace import Workspace
from fmri_cli.settings.parsing import dump_settings
from fmri_cli.settings.recipes import Recipe

_RESUMED = (CHECKPOINTS, "tensorboard")


@dataclass
class Session:
    """One call of `fmri`: what all its stages share.

    Parameters
    ----------
    what
        Command that the user typed, named to a second writer.
    debug
        Show tracebacks also of errors that the user can fix.
    planning
        Decide only; write nothing.
    plan
        Reasons to run by final directory, in the order of the stages; filled while planning.
    """

    what: str = ""
    debug: bool = False
    planning: bool = False
    plan: dict[Path, list[str]] = field(default_factory=dict)
    _held: set[Path] = field(default_factory=set)

    @contextmanager
    def hold(self, workspace: Workspace) -> Iterator[None]:
        """Hold the lock of a workspace that is in order; once is enough for a whole run."""
        root = real(workspace.root)
        if root in self._held:
            yield
            return
        workspace.refuse_link()
        with run_lock(workspace.work / "lock", what=self.what):
            workspace.recover()
            self._held.add(root)
            try:
                yield
            finally:
                self._held.discard(root)

    def hold_existing(self, workspace: Workspace) -> AbstractContextManager[None]:
        """Hold the lock while stages are read, but create no run: the input may be wrong."""
        return self.hold(workspace) if workspace.work.is_dir() else nullcontext()


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage's command is handed.

    Parameters
    ----------
    session
        The call of `fmri` that this command is part of.
    command
        Name of the command, which is also its section in a recipe.
    distribution
        Package that the command comes from.
    out
        The stage's final directory; None if the user named none.
    recipe
        Recipe with the user's `--set` on top.
    seed
        Seed of the run.
    device
        `auto`, `cpu` or `cuda`.
    """

    session: Session
    command: str
    distribution: str
    out: Path | None
    recipe: Recipe
    seed: int
    device: str

    def run(
        self,
        work: Callable[..., str],
        settings_class: type,
        /,
        *,
        resumable: bool = False,
        working_folders: tuple[str, ...] = (),
        **inputs: Input,
    ) -> None:
        """Do a stage's work unless its directory already holds the result of just that.

        Parameters
        ----------
        work
            `work(stage, **inputs)` writes into `stage.directory` and returns a one-line summary.
        settings_class
            Frozen dataclass of the stage's settings.
        resumable
            Keep the folder `checkpoints` and hidden ones that an unfinished run of the same stage
            left in the directory.
        working_folders
            Further folders that a resumable stage resumes from.
        **inputs
            What the stage reads: paths are compared by content, names as they are.

        Raises
        ------
        click.ClickException
            If settings or inputs cannot be used, or another process writes to the same run.
        """
        if self.out is None:
            raise click.UsageError("Missing option '--out'.", ctx=click.get_current_context())
        final = self.out
        settings = self.recipe.settings(self.command, settings_class)
        self._refuse_missing_tables(settings)
        inputs = {name: _from_anywhere(name, value) for name, value in inputs.items()}
        refuse_foreign(final)
        if self.session.planning:
            self.session.plan[real(final)] = self._plan(final, settings, inputs)
            return
        if self.command not in DISTRIBUTED:
            processes.refuse_several(self.session.what)
        job = Job(
            command=self.command,
            work=work,
            settings=settings,
            inputs=inputs,
            run_seed=self.seed,
            device=self.device,
        )
        if processes.rank() > 0:
            directory = processes.announced()
            if directory is not None:
                job.run_in(directory, lambda _done, _total: None)
            return
        workspace = Workspace(final.parent)
        with self.session.hold_existing(workspace):
            self._refuse_missing(inputs)
            for path in (path for value in inputs.values() for path in paths_in(value)):
                refuse_changed(path)
            request = self._request(settings, inputs)
            with self.session.hold(workspace):
                reasons = reasons_to_run(final, request)
                if not reasons:
                    processes.announce(None)
                    screen.stage_line(final.name, "up to date")
                    return
                if reasons != [FIRST_RUN]:
                    screen.stage_line(final.name, f"runs again: {'; '.join(reasons)}")
                folders = (*_RESUMED, *working_folders) if resumable else ()
                make(job, final.name, request, workspace, folders)

    def _plan(self, final: Path, settings: Any, inputs: dict[str, Input]) -> list[str]:
        pending = list(self._pending(inputs))
        self._refuse_missing(inputs)
        reasons = [FIRST_RUN] if is_absent(final) else pending
        reasons = reasons or reasons_to_run(final, self._request(settings, inputs))
        if reasons and isinstance(name := inputs.get("language_model"), str):
            base_model.check(name, getattr(settings, "base_attention", None))
        return reasons

    def _pending(self, inputs: dict[str, Input]) -> Iterator[str]:
        for name, value in inputs.items():
            anew = [path.name for path in paths_in(value) if self.session.plan.get(real(path))]
            if anew:
                which = f" ({', '.join(anew)})" if isinstance(value, list) else ""
                yield f"input `{name}` is made anew{which}"

    def _request(self, settings: Any, inputs: dict[str, Input]) -> Request:
        plain = dump_settings(settings)
        return Request(
            command=self.command,
            settings=plain,
            seed=self.seed,
            packages=runtime.our_packages(self.distribution),
            inputs={name: _fingerprint(name, value) for name, value in inputs.items()}
            | setting_tables(plain),
        )

    def _refuse_missing(self, inputs: dict[str, Input]) -> None:
        """Raise a ClickException for what is not there, and is not about to be made either."""
        for name, value in inputs.items():
            for path in paths_in(value):
                if not path.exists() and not self.session.plan.get(real(path)):
                    raise click.ClickException(
                        f"{self.command}: {name} {path}: no such file or folder; "
                        "make it or name another"
                    )

    def _refuse_missing_tables(self, settings: Any) -> None:
        for key, table in setting_files(dump_settings(settings)):
            if not Path(table).is_file():
                where = f"{self.recipe.origin(f'{self.command}.{key}')}{self.command}.{key}"
                raise click.ClickException(f"{where}: {table}: no such file; correct the path")


def _from_anywhere(name: str, value: Input) -> Input:
    if name in base_model.INPUTS and isinstance(value, str):
        return base_model.from_anywhere(value)
    return value


def _fingerprint(name: str, value: Input) -> Any:
    if name in base_model.INPUTS and isinstance(value, str):
        return base_model.model_digest(value)
    records = {real(path): read_record(path) for path in paths_in(value) if path.is_dir()}
    digests = {path: record["digest"] for path, record in records.items() if record is not None}
    return fingerprint(value, digests)


def paths_in(value: Input) -> list[Path]:
    """Paths among what one input names."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [path for path in map(input_path, values) if path is not None]


def refuse_foreign(final: Path) -> None:
    """Raise a ClickException for a folder that `fmri` did not write: it is never replaced."""
    if not is_absent(final) and not (final / RECORD).is_file():
        msg = f"{final}: exists and was not written by fmri; choose another --out or move it away"
        raise click.ClickException(msg)
