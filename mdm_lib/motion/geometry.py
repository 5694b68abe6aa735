"""Geometry of motion: masks, centring, heading, turning, mirroring."""

import torch
from torch import Tensor

from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.runtime import constant

#: Frames per second of the course's motion.
FPS = 20
#: Multiply a point by this to project it onto the ground (y = 0).
OVER_GROUND = (1.0, 0.0, 1.0)


def length_mask(lengths: Tensor, num_frames: int) -> Tensor:
    """``[B]`` lengths → ``[B, F]`` bool, True = real frame."""
    return torch.arange(num_frames, device=lengths.device) < lengths[:, None]


def centre(joints: Tensor) -> Tensor:
    """Move motions ``[B, F, J, 3]`` so that the first frame's pelvis is above the origin; heights are unchanged."""
    return joints - joints[:, :1, :1] * constant(OVER_GROUND, joints.device)


def heading(joints: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """Direction in which the body faces, as an angle about y: 0 is +z, a quarter turn to the left is +π/2.

    Args:
        joints: ``[..., J, 3]``.

    Returns:
        ``[...]`` radians, from the right-to-left lines in ``skeleton.facing`` (hips and shoulders); 0 if it has none.
    """
    left = torch.zeros_like(joints[..., 0, :])
    for left_joint, right_joint in skeleton.facing:
        left = left + (joints[..., left_joint, :] - joints[..., right_joint, :])
    return torch.atan2(-left[..., 2], left[..., 0])


def turn(joints: Tensor, angle: Tensor) -> Tensor:
    """Turn motions ``[B, F, J, 3]`` about the vertical axis by ``angle [B]`` radians (a rotation, never a mirror)."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rotation = torch.stack([cos, zero, sin, zero, zero + 1, zero, -sin, zero, cos], -1).view(-1, 1, 3, 3)
    return joints @ rotation.mT


def face_forward(joints: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """Centre motions ``[B, F, J, 3]`` and turn them so that the first frame faces +z."""
    return turn(centre(joints), -heading(joints[:, 0], skeleton))


def mirror(joints: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """Mirror image of a motion ``[..., J, 3]``: x negated *and* left and right joints exchanged."""
    return joints[..., constant(skeleton.mirror, joints.device), :] * constant((-1.0, 1.0, 1.0), joints.device)
