"""What a user can put right."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message is one line with thing, value, fix.

    `fmri` prints any exception that has an `exit_code` as that one line.
    """

    exit_code = 1
