"""What `fmri` hands to the commands of the torch packages: a context, and the stage that is made.

Protocols, because no package imports the command line; the classes are `fmri_cli.run`'s.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Protocol, TypeVar

SettingsT = TypeVar("SettingsT")
SettingsT_co = TypeVar("SettingsT_co", covariant=True)


class Stage(Protocol[SettingsT_co]):
    """A stage at work."""

    @property
    def directory(self) -> Path:
        """Where to write. A resumable stage finds here what it wrote before it was killed."""

    @property
    def settings(self) -> SettingsT_co:
        """Settings of the recipe, with the user's `--set` on top."""

    @property
    def seed(self) -> int:
        """Seed of this stage, derived from the run's."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""

    @property
    def progress(self) -> Callable[[int, int], None]:
        """To be called with what is done, and all that there is to do."""

    def language_model(self, name: str) -> Path:
        """Local folder of a language model, given by name or by folder."""

    def note(self, **facts: Any) -> None:
        """Keep facts about the code that ran, JSON values, in the stage's record."""


class Context(Protocol):
    """What a command is handed."""

    def run(
        self,
        work: Callable[Concatenate[Stage[SettingsT], ...], str],
        settings_class: type[SettingsT],
        /,
        *,
        resumable: bool = False,
        working_folders: tuple[str, ...] = (),
        **inputs: Path | str | list[Path] | dict[str, Any] | None,
    ) -> None:
        """Do a stage's work unless its directory already holds the result of just that.

        Parameters
        ----------
        work : callable
            ``work(stage, **inputs)`` writes into ``stage.directory`` and returns one line.
        settings_class : type
            Frozen dataclass of the stage's settings.
        resumable : bool
            Keep the folder ``checkpoints`` that an unfinished run of the same stage left.
        working_folders : tuple of str
            Further folders that a resumable stage resumes from.
        **inputs : Path, str, list, dict or None
            What the stage reads: paths are compared by content, names as they are.
        """
