"""The text templates: the package's own, and a user's that go before them, in a sandbox."""

import traceback
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.text.values import cite, locations
from fmri_descriptors.text.wording import TYPICAL, count, listing, number, z_number

if TYPE_CHECKING:
    from jinja2 import Template

    from fmri_descriptors.text.template_limits import LimitedSandbox

SEPARATOR = "---"
"""A line of its own between two phrasings of a template file."""

SUFFIX = ".jinja"

_SHARED = tuple(dict.fromkeys(row.shared_template for row in DESCRIPTORS))
PACKAGE_NAMES = (*_SHARED, "unavailable", "caption", "macros")
"""Template files of the package, without their ending."""

TEMPLATE_NAMES = tuple(dict.fromkeys((*(row.name for row in DESCRIPTORS), *PACKAGE_NAMES)))
"""Names that a file in a user's folder may have, without their ending."""

# What an expression in a template can raise.
_FAULTS = (
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
    MemoryError,
)

_FILTERS: dict[str, Callable[..., str]] = {
    "cite": cite,
    "count": count,
    "listing": listing,
    "number": number,
    "locations": locations,
    "z": z_number,
}


class Templates:
    """Text templates by name: a user's folder first, then the package's own.

    A file holds one or more phrasings, with a line ``---`` between two. Everything runs in
    Jinja's sandbox: a template reaches what it is given and nothing else.

    Parameters
    ----------
    directory : Path, optional
        Folder with ``<name>.jinja`` files that replace those of the same name.

    Raises
    ------
    InputError
        If the folder does not exist, a file in it has the name of no template, or a file cannot
        be read or parsed. The message names the file and the line.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = None if directory is None else Path(directory)
        self._sources = _package_sources() | _user_sources(self.directory)
        for row in DESCRIPTORS:
            self._sources.setdefault(row.name, self._sources[row.shared_template])
        self._compiled: dict[str, tuple[Template, ...]] = {}
        for path in self.overrides:
            self._phrasings(path.stem)

    def __reduce__(self) -> tuple[type["Templates"], tuple[Path | None]]:
        return Templates, (self.directory,)

    @property
    def overrides(self) -> tuple[Path, ...]:
        """Files of the user's folder, sorted."""
        return () if self.directory is None else _files_of(self.directory)

    def n_phrasings(self, name: str) -> int:
        """How many phrasings a template has."""
        return len(self._phrasings(name))

    def render(self, name: str, phrasing: int, values: Mapping[str, Any]) -> list[str]:
        """Write the lines of one phrasing; runs of blanks become one.

        Parameters
        ----------
        name : str
            One of `TEMPLATE_NAMES`.
        phrasing : int
            Which phrasing; counted around if there are fewer.
        values : mapping
            What the template may speak of.

        Raises
        ------
        InputError
            If the template uses a name that it is not given, leaves the sandbox, fails in another
            way, or writes nothing. The message names the file and the line.
        """
        from jinja2 import TemplateError

        from fmri_descriptors.text.template_limits import require_short

        phrasings = self._phrasings(name)
        _environment(*self._sources["macros"]).start()
        try:
            text = phrasings[phrasing % len(phrasings)].render(values)
            require_short(len(text))
        except (TemplateError, *_FAULTS) as error:
            raise InputError(self._complaint(name, error)) from error
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        if not lines:
            raise InputError(f"{self._sources[name][0]}: phrasing {phrasing + 1} writes no text")
        return lines

    def _complaint(self, name: str, error: Exception) -> str:
        """One line with the file and line of the template frame nearest to the fault."""
        files = {path for path, _ in self._sources.values()}
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
        where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else name
        return f"{where}: {' '.join(str(error).split())}; docs/text.md lists what templates can use"

    def _phrasings(self, name: str) -> "tuple[Template, ...]":
        if name not in self._compiled:
            path, text = self._sources[name]
            pieces = _pieces(path, text)
            self._compiled[name] = tuple(self._compile(path, piece) for piece in pieces)
        return self._compiled[name]

    def _compile(self, path: str, piece: str) -> "Template":
        from jinja2 import TemplateSyntaxError

        environment = _environment(*self._sources["macros"])
        try:
            code = environment.compile(piece, filename=path)
        except TemplateSyntaxError as error:
            fault = " ".join((error.message or "").split())
            raise InputError(f"{path}, line {error.lineno}: {fault}") from error
        except RecursionError as error:
            raise InputError(f"{path}: nested too deep; write it simpler") from error
        return environment.template_class.from_code(environment, code, environment.globals)


@lru_cache(maxsize=1)
def package_templates() -> Templates:
    """Return the package's own templates, read once."""
    return Templates()


def _package_sources() -> dict[str, tuple[str, str]]:
    """Path and text of the package's own templates by name."""
    folder = resources.files("fmri_descriptors.text") / "templates"
    files = {name: folder / f"{name}{SUFFIX}" for name in PACKAGE_NAMES}
    return {name: (str(file), file.read_text(encoding="utf-8")) for name, file in files.items()}


def _files_of(directory: Path) -> tuple[Path, ...]:
    return tuple(sorted(directory.glob(f"*{SUFFIX}")))


def _user_sources(directory: Path | None) -> dict[str, tuple[str, str]]:
    if directory is None:
        return {}
    if not directory.is_dir():
        raise InputError(f"templates: {directory} is no folder; give one with .jinja files")
    return {path.stem: (str(path), _read(path)) for path in _files_of(directory)}


def _read(path: Path) -> str:
    if path.stem not in TEMPLATE_NAMES:
        near = get_close_matches(path.stem, TEMPLATE_NAMES, n=1, cutoff=0)[0]
        raise InputError(f"{path}: no template has this name; the nearest is {near}{SUFFIX}")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _pieces(path: str, text: str) -> list[str]:
    """Phrasings of a file, each with blank lines before it so that its line numbers are right."""
    pieces: list[list[str]] = [[]]
    for line_number, line in enumerate(text.splitlines()):
        if line.rstrip() == SEPARATOR:
            pieces.append([""] * (line_number + 1))
        else:
            pieces[-1].append(line)
    for piece in pieces:
        if not any(line.strip() for line in piece):
            raise InputError(f"{path}, line {len(piece) + 1}: a phrasing without text")
    return ["\n".join(piece) for piece in pieces]


@lru_cache(maxsize=8)
def _environment(macros_path: str, macros: str) -> "LimitedSandbox":
    """Build a sandbox whose templates can call the macros of one file."""
    from jinja2 import StrictUndefined, TemplateSyntaxError

    from fmri_descriptors.text.template_limits import LimitedSandbox

    environment = LimitedSandbox(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(_FILTERS)
    environment.globals["typical"] = TYPICAL
    try:
        code = environment.compile(macros, filename=macros_path)
    except TemplateSyntaxError as error:
        raise InputError(f"{macros_path}, line {error.lineno}: {error.message}") from error
    template = environment.template_class.from_code(environment, code, environment.globals)
    exported = {k: v for k, v in vars(template.module).items() if not k.startswith("_")}
    environment.globals.update(exported)
    return environment
