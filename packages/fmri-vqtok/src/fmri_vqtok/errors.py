"""The error that a user can mend: one line with the thing, its value and the fix."""


class InputError(ValueError):
    """What was handed in cannot be used; the message says what it is and how to mend it.

    Attributes
    ----------
    exit_code : int
        The exit status of a command that ends with this error.
    """

    exit_code = 1
