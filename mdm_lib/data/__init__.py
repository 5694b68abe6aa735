"""Motion data: one container, ``MotionClips``, and the loaders that fill it."""

from collections.abc import Sequence

from mdm_lib.data.bandai import load_bandai
from mdm_lib.data.humanact12 import download_humanact12, load_humanact12
from mdm_lib.data.synthetic.clips import synthetic_clips
from mdm_lib.errors import InputError
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import FPS

__all__ = [
    "FPS",
    "MotionClips",
    "download_humanact12",
    "load_bandai",
    "load_clips",
    "load_humanact12",
    "synthetic_clips",
]


def load_clips(spec: str = "synthetic", label_names: Sequence[str] | None = None) -> MotionClips:
    """Load a data set, named as in the option ``--data``.

    Args:
        spec: ``"synthetic"``, ``"synthetic:N"`` (N clips), ``"humanact12:PATH"`` or ``"bandai:PATH"``.
        label_names: names of the labels in a HumanAct12Poses file whose labels are not HumanAct12's.

    Raises:
        InputError: for an unknown ``spec``, ``label_names`` for other data, or files that cannot be read.
    """
    loader, _, where = spec.partition(":")
    if label_names is not None and loader != "humanact12":
        raise InputError(f"label names are only for humanact12:PATH; {spec} has its own, so leave them out")
    if loader == "synthetic" and (not where or where.isdigit()):
        return synthetic_clips(int(where)) if where else synthetic_clips()
    if loader == "humanact12" and where:
        return load_humanact12(where, label_names)
    if loader == "bandai" and where:
        return load_bandai(where)
    raise InputError(f"unknown data {spec!r}; use synthetic, synthetic:NUMBER, humanact12:PATH or bandai:PATH")
