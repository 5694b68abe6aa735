"""Physical measures: bones, feet, speed, jerk and the floor.

Motions are joints ``[N, F, J, 3]`` in metres, y up, with ``lengths [N]`` real frames; frames at and past a motion's
length are never looked at.
"""

import torch
from torch import Tensor

from mdm_lib.motion.geometry import FPS, length_mask
from mdm_lib.motion.skeleton import SMPL22, Skeleton, bone_lengths


def bone_drift(joints: Tensor, lengths: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """How much bones change their length, ``[N]`` in percent: deviation over time / mean, the mean over the bones."""
    mask = length_mask(lengths, joints.shape[1])[..., None]
    bones = bone_lengths(joints, skeleton)
    mean = torch.where(mask, bones, 0).sum(1) / lengths[:, None]
    variance = torch.where(mask, bones - mean[:, None], 0).square().sum(1) / lengths[:, None]
    return 100 * (variance.sqrt() / mean).mean(1)


def skating_ratio(joints: Tensor, lengths: Tensor, skeleton: Skeleton = SMPL22, fps: float = FPS) -> Tensor:
    """Share of frames ``[N]`` in which a foot that is down slides (Karunratanakul et al. 2023, section 5.1).

    A foot joint is down while it is less than 5 cm over the floor in two neighbouring frames, and slides when it moves
    over 0.5 m/s horizontally between them (2.5 cm at 20 frames a second). The floor of a motion is where its lower
    foot joint is at the 5th percentile of the frames, as foot joints lie a few centimetres over the soles.
    """
    feet = joints[:, :, skeleton.feet]
    height = feet[..., 1].masked_fill(~length_mask(lengths, joints.shape[1])[..., None], torch.nan)
    floor = height.amin(2).nanquantile(0.05, dim=1)
    is_low = height < floor[:, None, None] + 0.05  # never in padding, as NaN compares False
    slides = feet[..., [0, 2]].diff(dim=1).norm(dim=-1) > 0.5 / fps
    return (is_low[:, 1:] & is_low[:, :-1] & slides).any(2).sum(1) / (lengths - 1)


def joint_speed(joints: Tensor, lengths: Tensor, fps: float = FPS) -> Tensor:
    """Mean speed of the joints, ``[N]`` in metres a second."""
    return _mean_change(joints, lengths, 1, fps)


def joint_jerk(joints: Tensor, lengths: Tensor, fps: float = FPS) -> Tensor:
    """Mean jerk (third derivative) of the joints, ``[N]`` in m/s³; NaN for motions of fewer than 4 frames."""
    return _mean_change(joints, lengths, 3, fps)


def _mean_change(joints: Tensor, lengths: Tensor, order: int, fps: float) -> Tensor:
    change = joints.diff(n=order, dim=1).norm(dim=-1).mean(2) * fps**order
    mask = length_mask(lengths - order, change.shape[1])
    return torch.where(mask, change, 0).sum(1) / mask.sum(1)


def lowest_point(joints: Tensor, lengths: Tensor) -> Tensor:
    """Height of the lowest joint in each motion, ``[N]`` metres."""
    is_padding = ~length_mask(lengths, joints.shape[1])
    return joints[..., 1].amin(2).masked_fill(is_padding, torch.inf).amin(1)


def floor_penetration(joints: Tensor, lengths: Tensor, floor: float) -> Tensor:
    """How far each motion goes through the floor at its deepest, ``[N]`` metres, 0 for those that stay above it.

    ``floor`` is the height under which hardly any real motion reaches, such as the 1st percentile of theirs
    (``lowest_point(real, lengths).quantile(0.01)``).
    """
    return (floor - lowest_point(joints, lengths)).clamp(min=0)
