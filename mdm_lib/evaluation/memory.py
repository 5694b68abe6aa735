"""Has a model learnt its training clips by heart? The nearest clip of a motion."""

from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import face_forward, length_mask, mirror
from mdm_lib.motion.windows import cut_windows

#: ``nearest_clip`` compares every fourth frame, and windows of so many clips at a time (memory).
COMPARE_EVERY, CLIPS_AT_ONCE = 4, 64


class Nearest(NamedTuple):
    """The training clip that each of N motions is nearest to."""

    distance: Tensor  # [N] root mean square over joints and frames, metres
    clip: Tensor  # [N] its index


def nearest_clip(joints: Tensor, lengths: Tensor, labels: Tensor, clips: MotionClips) -> Nearest:
    """Each motion's nearest among all windows of the clips of its action, mirrored ones too.

    Both are turned forward at their first frame, so place and heading do not matter. A clip shorter than the motion
    holds its last pose. Windows start at every frame, and every fourth frame of them is compared (5 a second). A
    model that copies its training clips is nearer to them than unseen real motion is.

    Args:
        joints, lengths, labels: ``[N, F, J, 3]``, ``[N]``, ``[N]``.
        clips: the training clips, with the same labels.
    """
    motions = face_forward(joints, clips.skeleton)[:, ::COMPARE_EVERY].flatten(2)
    mask = length_mask(lengths, joints.shape[1])[:, ::COMPARE_EVERY].float()
    distance, nearest = torch.full((len(joints),), torch.inf), torch.zeros(len(joints), dtype=torch.long)
    mirrored_labels = clips.mirrored_labels
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        for flip, clip_labels in ((False, clips.labels), (True, mirrored_labels)):
            for clip in (clip_labels == label).nonzero()[:, 0].split(CLIPS_AT_ONCE):
                windows, index = _all_windows(clips, clip, joints.shape[1], int(lengths[own].min()), flip)
                at = _mean_square(motions[own], mask[own], windows).argmin(1)
                gap = (motions[own] - windows[at]).square().sum(2) * mask[own]  # again, without cancellation
                best = gap.sum(1) / mask[own].sum(1)
                is_nearer = best < distance[own]
                distance[own] = torch.where(is_nearer, best, distance[own])
                nearest[own] = torch.where(is_nearer, index[at], nearest[own])
    return Nearest((distance / clips.skeleton.num_joints).sqrt(), nearest)


def _all_windows(clips: MotionClips, clip: Tensor, num_frames: int, shortest: int, flip: bool) -> tuple[Tensor, Tensor]:
    """Every window of some clips that holds ``shortest`` real frames: ``[W, F/4, 3 J]``; and whose each is, ``[W]``."""
    count = (clips.lengths[clip] - shortest).clamp(min=0) + 1
    index = clip.repeat_interleave(count)
    start = torch.cat([torch.arange(int(n)) for n in count])
    windows = cut_windows(clips, index, start, num_frames)[0][:, ::COMPARE_EVERY]
    return (mirror(windows, clips.skeleton) if flip else windows).flatten(2), index


def _mean_square(motions: Tensor, mask: Tensor, windows: Tensor) -> Tensor:
    """``[N, W]`` squared distances, the mean over the real frames: |a − b|² = |a|² − 2ab + |b|², by matrix products."""
    motions = motions * mask[..., None]
    squares = motions.square().sum((1, 2))[:, None] + mask @ windows.square().sum(2).T
    return ((squares - 2 * motions.flatten(1) @ windows.flatten(1).T) / mask.sum(1, keepdim=True)).clamp(min=0)
