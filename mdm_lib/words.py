"""Names that users type: the error for an unknown one suggests the closest match."""

import difflib
import math
import re
from collections.abc import Sequence

from mdm_lib.errors import InputError

#: What every generator of random numbers takes.
MOST_SEED = 2**63 - 1


def plain_number(name: str, value) -> int | float:
    """``value`` as a Python number: a checkpoint holds nothing else, and numpy's and torch's look like one.

    Raises:
        InputError: for anything that is not one finite number.
    """
    try:
        number = value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError):  # several numbers, of numpy and of torch
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise InputError(f"{name} is {value!r:.40}; give one finite number")
    return number


def plain_whole(name: str, value, low: float = -math.inf) -> int:
    """``value`` as a Python integer; 1e4 is one, too.

    Raises:
        InputError: for anything but a whole number of at least ``low``.
    """
    number = plain_number(name, value)
    if number != int(number) or number < low:
        raise InputError(
            f"{name} is {value!r:.40}; give a whole number" + (f", {low} or more" if low > -math.inf else "")
        )
    return int(number)


def plain_seed(name: str, value) -> int:
    """``value`` as a seed that every generator takes.

    Raises:
        InputError: for anything but a whole number from 0 to 2^63 - 1.
    """
    if (seed := plain_whole(name, value, 0)) > MOST_SEED:
        raise InputError(f"{name} is {value!r:.40}; give a whole number from 0 to 2^63 - 1")
    return seed


def known(what: str, name: str, names: Sequence[str]) -> str:
    """``name``, if it is one of ``names``.

    Raises:
        InputError: if it is not; the message suggests the closest match and lists all names.
    """
    if name in names:
        return name
    name = str(name)[:60]  # a name from a file may be a page long
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown {what} {name!r}; {hint}There are: {', '.join(names)}")


def find_action(label_names: Sequence[str], action: str | int) -> int:
    """The id of an action given by name or number.

    Raises:
        InputError: for an unknown name, or a number out of range.
    """
    name = str(action).strip()
    if re.fullmatch(r"-?[0-9]+", name) and name not in label_names:
        if len(name) < 10 and 0 <= int(name) < len(label_names):
            return int(name)
        raise InputError(f"action id {name[:20]} is out of range; ids are 0 to {len(label_names) - 1}")
    return label_names.index(known("action", name, label_names))
