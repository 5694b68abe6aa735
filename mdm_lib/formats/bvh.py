"""BVH files: a skeleton, and for every frame each joint's rotation and position in its parent's frame."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mdm_lib.errors import InputError
from mdm_lib.reading import reading


def read_bvh(file: str | Path, fps: float, joint_names: Sequence[str]) -> Tensor:
    """Read the motion of some joints from a BVH file with a given frame rate.

    Args:
        fps: frames per second that the file must have.
        joint_names: J joints, by their names in the file; a name may occur twice.

    Returns:
        ``[F, J, 7]`` float64: position in the parent's frame, in the file's unit, and a unit quaternion, real part
        first.

    Raises:
        InputError: if bvhio is missing, or the file cannot be read, is cut short, has another rate or lacks a joint.
    """
    try:
        import bvhio
    except ImportError as error:
        raise InputError("reading BVH files needs bvhio: run `pip install bvhio`") from error
    file = Path(file)
    with reading(file, "a BVH file", "if it is cut short, copy it again"):
        if not _is_whole(file.read_text(encoding="latin1")):
            raise ValueError("it does not have the frames and channels that it declares")
        bvh = bvhio.readAsBvh(str(file))
    if not abs(bvh.FrameTime * fps - 1) <= 0.001:  # nan too
        raise InputError(f"{file} must have {fps} frames per second, not a frame time of {bvh.FrameTime} s")
    poses = {joint.Name: joint.Keyframes for joint, _, _ in bvh.Root.layout()}
    if missing := set(joint_names) - poses.keys():
        raise InputError(f"{file} lacks the joints {', '.join(sorted(missing))}")
    numbers = [[(*pose.Position, *pose.Rotation) for pose in poses[name]] for name in joint_names]
    return torch.tensor(numbers, dtype=torch.float64).transpose(0, 1)


def _is_whole(text: str) -> bool:
    """Whether all declared frames and channels are present; bvhio hangs when a line is missing."""
    motion = re.search(r"MOTION\s+Frames:\s*(\d+)\s+Frame Time:\s*\S+(.*)", text, re.DOTALL)
    frames = [len(line.split()) for line in motion[2].split("\n") if line.strip()] if motion else []
    num_channels = sum(int(count) for count in re.findall(r"CHANNELS\s+(\d+)", text))
    declared = motion[1].lstrip("0") if motion else ""  # a number of a million digits is no number
    return len(frames) > 0 and declared == str(len(frames)) and set(frames) == {num_channels}
