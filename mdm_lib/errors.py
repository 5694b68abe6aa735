"""The error type for mistakes that the user can correct."""


class InputError(ValueError):
    """Some input is wrong; the message says what is wrong, where, and what to do.

    The command line prints it as one line and exits with code 2; in Python it is a
    ``ValueError``. A bug in ``mdm_lib`` is never an ``InputError``.
    """
