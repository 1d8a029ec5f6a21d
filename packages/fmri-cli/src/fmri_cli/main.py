"""`fmri`: the group of all commands, and how their errors reach the user."""

import io
import os
import sys
import traceback
from collections.abc import Sequence

import click

from fmri_cli import commands, runtime
from fmri_cli.plugins import CommandGroup, debug_option
from fmri_cli.run import processes
from fmri_cli.run.context import Session
from fmri_cli.screen import printable
from fmri_cli.system_errors import system_line

INTERRUPTED = 130

BROKEN_PIPE = 141


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
        0; 1 for something the user can fix; 2 for wrong usage; 130 when interrupted.
    """
    runtime.quieten_libraries()
    runtime.encode_anything()
    session = Session()
    try:
        end = cli.main(args=arguments, prog_name="fmri", standalone_mode=False, obj=session)
    except click.ClickException as error:
        if session.debug and not isinstance(error, click.UsageError):
            traceback.print_exc()
        if processes.rank() == 0:  # every process of a launcher meets this error
            _show(error)
        return error.exit_code
    except click.Abort:
        _complain("interrupted; run the same command again to resume")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output, such as `head`, closed it; the rest is discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        line = str(error) if hasattr(error, "exit_code") else system_line(error)
        if line is None:
            raise
        if session.debug:
            traceback.print_exc()
        _complain(line)
        return int(getattr(error, "exit_code", 1))
    # What a command gave to `ctx.exit`; one that came to its end gives None.
    return end if isinstance(end, int) else 0


def _complain(line: str) -> None:
    """Print one line to standard error, as what `fmri` has to say."""
    rank = processes.rank()
    name = f"fmri (process {rank})" if rank else "fmri"
    click.echo(f"{name}: {printable(' '.join(line.split()))}", err=True)


def _show(error: click.ClickException) -> None:
    """Print an error of the command line: of a wrong usage, also how the command is used."""
    if not isinstance(error, click.UsageError):
        _complain(error.message)
        return
    text = io.StringIO()
    error.show(text)
    for line in text.getvalue().splitlines():
        click.echo(printable(line), err=True)


if __name__ == "__main__":
    sys.exit(main())
