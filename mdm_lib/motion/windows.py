"""Windows of clips, as training sees them: random or given, facing forward, mirrored half of the time."""

import torch
from torch import Tensor

from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import face_forward, mirror


def random_windows(
    clips: MotionClips, index: Tensor, num_frames: int, with_mirror: bool, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """A random window of each chosen clip, facing forward, mirrored with probability 1/2 where its label allows it.

    Args:
        index: ``[B]`` indices of the clips.
        num_frames: F, the window's length; shorter clips are padded.

    Returns:
        joints ``[B, F, J, 3]``, mask ``[B, F]`` (True = real frame), labels ``[B]``.
    """
    mirrored = clips.mirrored_labels
    joints, mask, flipped = draw_windows(clips, index, num_frames, mirrored >= 0 if with_mirror else None, generator)
    return joints, mask, torch.where(flipped, mirrored[index], clips.labels[index])


def draw_windows(
    clips: MotionClips, index: Tensor, num_frames: int, has_mirror: Tensor | None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``random_windows`` without labels: joints, mask, and whether each window is mirrored, ``[B]`` bool.

    Clips for which ``has_mirror [N]`` is True are mirrored with probability 1/2; ``None`` mirrors none.
    """
    draws = torch.rand(2, len(index), generator=generator, device=index.device)
    slack = (clips.lengths[index] - num_frames).clamp(min=0)
    joints, mask = cut_windows(clips, index, (draws[0] * (slack + 1)).long(), num_frames)
    if has_mirror is None:
        return joints, mask, torch.zeros_like(index, dtype=torch.bool)
    flipped = (draws[1] < 0.5) & has_mirror[index]
    return torch.where(flipped[:, None, None, None], mirror(joints, clips.skeleton), joints), mask, flipped


def cut_windows(clips: MotionClips, index: Tensor, start: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
    """Frames ``start [B]`` to ``start + num_frames - 1`` of the clips ``index [B]``, facing forward.

    Returns:
        joints ``[B, F, J, 3]``, mask ``[B, F]`` (True = real frame).
    """
    frames = start[:, None] + torch.arange(num_frames, device=index.device)
    mask = frames < clips.lengths[index][:, None]
    frames = torch.minimum(frames, clips.lengths[index][:, None] - 1)  # padding repeats the last pose and is masked
    return face_forward(clips.joints[index[:, None], frames], clips.skeleton), mask


def first_clip(clips: MotionClips, action: str, num_frames: int | None = None) -> Tensor:
    """The first clip of an action, facing forward, real frames only: ``[1, F, J, 3]``, F at most ``num_frames``."""
    index = (clips.labels == clips.label_names.index(action)).nonzero()[0]
    length = int(clips.lengths[index])
    return cut_windows(clips, index, torch.zeros_like(index), min(length, num_frames or length))[0]
