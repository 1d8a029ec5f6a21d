"""The error of input that the user can correct."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message names it and the fix in one line.

    The command line prints such an error as that line and leaves with ``exit_code``.
    """

    exit_code = 1
