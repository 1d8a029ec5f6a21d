"""`fmri`: the group of all commands, and how their errors reach the user."""

import errno
import sys
import traceback
from collections.abc import Sequence

import click

from fmri_cli import commands, runtime
from fmri_cli.context import Session
from fmri_cli.plugins import CommandGroup, debug_option

INTERRUPTED = 130

_ELSEWHERE = "choose a folder that you may write to"
USERS_TO_FIX = {
    errno.EACCES: _ELSEWHERE,
    errno.EDQUOT: "make room or choose another folder",
    errno.ENOSPC: "make room or choose another folder",
    errno.ENOTDIR: "a file is in the way; choose another folder",
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
}


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fmri-cli", prog_name="fmri")
@debug_option()
def cli() -> None:
    """Turn scans into answers, scores and a report.

    Stages are listed in the order of a run; `fmri run-all` does them all.
    """


cli.add_command(commands.run_all)
cli.add_command(commands.ask)
cli.add_command(commands.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one `fmri` command and return the exit code of the process.

    Parameters
    ----------
    arguments
        What follows `fmri` on the command line; None for that of this process.

    Returns
    -------
    int
        0; 1 for something the user can put right; 2 for wrong usage; 130 when interrupted.
    """
    runtime.quieten_libraries()
    session = Session()
    try:
        end = cli.main(args=arguments, prog_name="fmri", standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("fmri: interrupted; the same command goes on from here", err=True)
        return INTERRUPTED
    except Exception as error:
        if not is_users(error):
            raise
        if session.debug:
            traceback.print_exc()
        click.echo(f"fmri: {' '.join(in_words(error).split())}", err=True)
        return int(getattr(error, "exit_code", 1))
    # What a command gave to `ctx.exit`; one that came to its end gives None.
    return end if isinstance(end, int) else 0


def is_users(error: Exception) -> bool:
    """Whether an error is the user's to put right: bad input, no permission, no space."""
    if isinstance(error, OSError):
        return error.errno in USERS_TO_FIX
    return hasattr(error, "exit_code")


def in_words(error: Exception) -> str:
    """Message of an error that is the user's; one of the system with its file and the fix."""
    if not isinstance(error, OSError):
        return str(error)
    file = f"{error.filename}: " if error.filename else ""
    return f"{file}{error.strerror}; {USERS_TO_FIX[error.errno or 0]}"


if __name__ == "__main__":
    sys.exit(main())
