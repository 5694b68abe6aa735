"""The error type for mistakes that the user can correct."""

import re


def printable(text: str) -> str:
    """``text`` on one line, with what rings, moves the cursor or hides (from a file, say) spelled out."""
    line = re.sub(r"\s*[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]+\s*", " ", str(text))
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


class InputError(ValueError):
    """Some input is wrong; the message says what is wrong, where, and what to do, on one line.

    The command line prints it and exits with code 2; in Python it is a ``ValueError``. A bug in ``mdm_lib`` is never
    an ``InputError``.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))
