"""Motion, independent of file formats and models: skeletons, geometry, rotations, clips."""

from mdm_lib.motion.clips import ClipMaker, MotionClips, mirror_labels, put_on_floor
from mdm_lib.motion.geometry import FPS, OVER_GROUND, centre, face_forward, heading, length_mask, mirror, turn
from mdm_lib.motion.rotations import quaternions, rotation_matrices, slerp
from mdm_lib.motion.skeleton import (
    BONES,
    JOINT,
    JOINT_NAMES,
    MIRROR,
    NUM_JOINTS,
    PARENTS,
    SMPL22,
    Skeleton,
    bone_lengths,
    forward_kinematics,
    hold_bone_lengths,
    side,
)
from mdm_lib.motion.windows import cut_windows, draw_windows, first_clip, random_windows

__all__ = [
    "BONES",
    "FPS",
    "JOINT",
    "JOINT_NAMES",
    "MIRROR",
    "NUM_JOINTS",
    "OVER_GROUND",
    "PARENTS",
    "SMPL22",
    "ClipMaker",
    "MotionClips",
    "Skeleton",
    "bone_lengths",
    "centre",
    "cut_windows",
    "draw_windows",
    "face_forward",
    "first_clip",
    "forward_kinematics",
    "heading",
    "hold_bone_lengths",
    "length_mask",
    "mirror",
    "mirror_labels",
    "put_on_floor",
    "quaternions",
    "random_windows",
    "rotation_matrices",
    "side",
    "slerp",
    "turn",
]
