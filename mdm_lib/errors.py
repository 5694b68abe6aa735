"""The one kind of error a reader can mend."""


class InputError(ValueError):
    """Something that was passed in is wrong, and the message says what, where and what to do.

    The command line prints it as one line and exits with code 2; from Python it is a
    ``ValueError``. A bug of ours is never an ``InputError``.
    """
