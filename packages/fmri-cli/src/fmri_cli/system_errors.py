"""Errors of the operating system as one line with a fix, also from inside other libraries."""

import errno
import os
import re
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

_ELSEWHERE = "choose a folder that you may write to"
_ROOM = "make room or choose another folder"
_TOO_LONG = "choose shorter names"
FIXES = {
    errno.EACCES: _ELSEWHERE,
    errno.EBUSY: "wait until whatever uses it has ended",
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "allow larger files (`ulimit -f unlimited`) or choose another folder",
    errno.EIO: "check the disk or choose another folder",
    errno.EISDIR: "a folder is in the way; choose another name",
    errno.ELOOP: "its links lead in a circle; name another path",
    errno.EMFILE: "allow more open files (`ulimit -n 4096`)",
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.ENFILE: "close other programs",
    errno.ENOENT: "name one that exists, or put it back",
    errno.ENOMEM: "close other programs, or give smaller batches and fewer --jobs",
    errno.ENOSPC: _ROOM,
    errno.ENOTDIR: "a file is in the way; choose another folder",
    errno.ENXIO: "it is no file; name another path",
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ESTALE: "the network folder was lost; run the same command again",
    errno.ETXTBSY: "wait until whatever uses it has ended",
}

_MEMORY = "not enough memory; give smaller batches and fewer --jobs, or close other programs"
_WORKER = "a worker process was killed, as happens when memory runs out; give fewer --jobs"
# How safetensors, tokenizers and Arrow quote an error of the system.
_CODE = re.compile(r"os error (\d+)|\[[Ee]rrno (\d+)\]|\berrno: (\d+)")
# How torch and NumPy report that memory ran out, or that a file could not be finished.
_NO_MEMORY = re.compile(
    r"can't allocate memory|out of memory|not enough memory|std::bad_alloc", re.IGNORECASE
)
_CUT_FILE = re.compile(r"PytorchStreamWriter|inline_container|requested and \d+ written")


_WRAPPERS = {"ArrowException", "SafetensorError"}


def system_line(error: BaseException) -> str | None:
    """One line about what the system refused, with the fix; None if an error is of another kind.

    Parameters
    ----------
    error
        What was raised; what it was raised from counts too.
    """
    for cause in _causes(error):
        found = _line(cause)
        if found is not None:
            return found
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _line(error: BaseException) -> str | None:
    if isinstance(error, BrokenExecutor):
        return _WORKER
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, OSError) and error.errno in FIXES:
        file = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return f"{file}{os.strerror(error.errno)}; {FIXES[error.errno]}"
    return _line_of_library(str(error)) if _may_wrap(error) else None


def _may_wrap(error: BaseException) -> bool:
    """Whether a library wraps errors of the system in errors of this kind."""
    if hasattr(error, "exit_code"):
        return False
    return isinstance(error, OSError | RuntimeError) or type(error).__name__ in _WRAPPERS


def _line_of_library(text: str) -> str | None:
    code = next((int(group) for group in _groups(text) if group), None)
    if code in FIXES:
        return f"{os.strerror(code)}; {FIXES[code]}"
    if _NO_MEMORY.search(text):
        return _MEMORY
    if _CUT_FILE.search(text):
        return f"a file could not be written to its end; {_ROOM}"
    return None


def _groups(text: str) -> tuple[str | None, ...]:
    found = _CODE.search(text)
    return found.groups() if found else ()
