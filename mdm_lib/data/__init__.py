"""Motion data: one container, ``MotionClips``, and the loaders that fill it."""

import re
from collections.abc import Callable, Sequence

from mdm_lib.data.bandai import load_bandai
from mdm_lib.data.humanact12 import download_humanact12, load_humanact12
from mdm_lib.data.synthetic.clips import synthetic_clips
from mdm_lib.errors import InputError
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import FPS
from mdm_lib.runtime import check_defaults

__all__ = [
    "FPS",
    "LOADERS",
    "MotionClips",
    "download_humanact12",
    "load_bandai",
    "load_clips",
    "load_humanact12",
    "synthetic_clips",
]


#: The loaders by their names in ``--data``; each takes the text after the colon.
LOADERS: dict[str, Callable[..., MotionClips]] = {
    "synthetic": lambda count: synthetic_clips(int(count)) if count else synthetic_clips(),
    "humanact12": load_humanact12,
    "bandai": load_bandai,
}


def load_clips(spec: str = "synthetic", label_names: Sequence[str] | None = None) -> MotionClips:
    """Load a data set, named as in the option ``--data``.

    Args:
        spec: ``"synthetic"``, ``"synthetic:N"`` (N clips), ``"humanact12:PATH"`` or ``"bandai:PATH"``.
        label_names: names of the labels in a HumanAct12Poses file whose labels are not HumanAct12's.

    Raises:
        InputError: for an unknown ``spec``, ``label_names`` for other data, or files that cannot be read.
    """
    check_defaults()
    name, _, where = spec.partition(":")
    if label_names is not None and name != "humanact12":
        raise InputError(f"label names are only for humanact12:PATH; {spec} has its own, so leave them out")
    # synthetic takes an optional count, the others a path
    if name not in LOADERS or not (re.fullmatch("|[1-9][0-9]{0,5}", where) if name == "synthetic" else where):
        paths = [f"{name}:PATH" for name in LOADERS if name != "synthetic"]
        ways = ["synthetic", "synthetic:NUMBER (1 to 999999)", *paths]
        raise InputError(f"unknown data {spec!r}; use {', '.join(ways[:-1])} or {ways[-1]}")
    return LOADERS[name](where) if label_names is None else LOADERS[name](where, label_names)
