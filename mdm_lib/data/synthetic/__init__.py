"""The embedded data set: procedurally generated motion of HumanAct12's twelve actions."""

from mdm_lib.data.synthetic.actions import ACTIONS, PERFORMERS
from mdm_lib.data.synthetic.body import GRAVITY, MAX_FRAMES, rest_offsets
from mdm_lib.data.synthetic.clips import synthetic_clips, tiny_example
from mdm_lib.data.synthetic.curves import curve, two_bone

__all__ = [
    "ACTIONS",
    "GRAVITY",
    "MAX_FRAMES",
    "PERFORMERS",
    "curve",
    "rest_offsets",
    "synthetic_clips",
    "tiny_example",
    "two_bone",
]
