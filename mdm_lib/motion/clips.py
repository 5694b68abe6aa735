"""``MotionClips``, the one container of motion, and the preparation of clips for a model."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import FPS, face_forward, length_mask, mirror
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.runtime import constant


class ClipMaker(NamedTuple):
    """A program that generates clips, and estimates the generating factors of motions."""

    make: Callable[[int, int], "MotionClips"]  # (number, seed)
    read_factors: Callable[[Tensor, Tensor, Tensor], dict[str, Tensor]]  # joints, lengths, labels -> [N] each


@dataclass(frozen=True)
class MotionClips:
    """N motion clips as one padded tensor.

    Args:
        joints: ``[N, F, J, 3]`` metres, y up. F is the longest clip's length; frames from a clip's length on are
            zero padding.
        lengths: ``[N]`` int64, number of real frames in each clip.
        labels: ``[N]`` int64, indices into ``label_names``.
        label_names: names of the actions.
        source: short description of the data, for messages and model cards.
        factors: known generating factors of the clips by name, each ``[N]``.
        skeleton: the skeleton of the J joints.
        fps: frames per second.
        maker: the program that generated the clips, if any.

    Raises:
        InputError: if there are no clips, ``fps`` is not positive, or a clip has NaN, fewer than 2 frames, the wrong
            number of joints, or a label without a name; the message names the clip.
    """

    joints: Tensor
    lengths: Tensor
    labels: Tensor
    label_names: tuple[str, ...]
    source: str = "motion clips"
    factors: dict[str, Tensor] = field(default_factory=dict)
    skeleton: Skeleton = SMPL22
    fps: float = FPS
    maker: ClipMaker | None = None

    def __post_init__(self):
        if len(self) == 0:
            raise InputError(f"{self.source}: there are no clips in it")
        if self.joints.dim() != 4 or self.joints.shape[2:] != (self.skeleton.num_joints, 3):
            raise InputError(f"{self.source}: {_shape_complaint('clips', self.joints[0], self.skeleton)}")
        if not 0 < self.fps < math.inf:
            raise InputError(f"{self.source}: fps is {self.fps}; give a positive number of frames per second")
        checks = {
            "has fewer than 2 frames; leave it out": self.lengths < 2,
            f"has a label out of range; labels are 0 to {len(self.label_names) - 1}": (self.labels < 0)
            | (self.labels >= len(self.label_names)),
            "has NaN or infinite coordinates; repair it or leave it out": ~self.joints.isfinite().flatten(1).all(1),
        }
        for complaint, bad in checks.items():
            if bad.any():
                raise InputError(f"{self.source}: clip {int(bad.nonzero()[0])} {complaint}")

    @classmethod
    def from_list(
        cls, clips: list[Tensor], labels, label_names, source: str = "motion clips", skeleton: Skeleton = SMPL22,
        fps: float = FPS,
    ) -> "MotionClips":  # fmt: skip
        """Pad N clips ``[F_i, J, 3]`` of different lengths into one container; errors as for the class."""
        for index, clip in enumerate(clips):
            if clip.dim() != 3 or clip.shape[1:] != (skeleton.num_joints, 3):
                raise InputError(f"{source}: {_shape_complaint(f'clip {index}', clip, skeleton)}")
        if not clips:
            raise InputError(f"{source}: there are no clips in it")
        joints = torch.nn.utils.rnn.pad_sequence([clip.float() for clip in clips], batch_first=True)
        lengths = torch.tensor([len(clip) for clip in clips])
        return cls(joints, lengths, torch.as_tensor(labels).long(), tuple(label_names), source, {}, skeleton, fps)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the J joints."""
        return self.skeleton.joint_names

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def mask(self) -> Tensor:
        """``[N, F]`` bool, True = real frame."""
        return length_mask(self.lengths, self.joints.shape[1])

    @property
    def mirrored_labels(self) -> Tensor:
        """``[N]`` label of each clip's mirror image; -1 where no action has its name."""
        return constant(mirror_labels(self.label_names), self.labels.device)[self.labels]

    def select(self, index: Tensor) -> "MotionClips":
        """The clips at ``index`` (integers or bools), in that order."""
        factors = {name: value[index] for name, value in self.factors.items()}
        return replace(
            self, joints=self.joints[index], lengths=self.lengths[index], labels=self.labels[index], factors=factors
        )

    def split(self, held_out: float = 0.2, seed: int = 0) -> tuple["MotionClips", "MotionClips"]:
        """Training and held-out clips; the share ``held_out`` is drawn within each action, fixed by ``seed``."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        order = order[self.labels[order].argsort(stable=True)]  # grouped by action, shuffled within each
        rank = torch.cat([torch.arange(int(n)) for n in self.labels.bincount() if n > 0])
        size = self.labels.bincount()[self.labels[order]]
        # hold out at least one clip of an action, unless it has only one
        is_held_out = rank < (size * held_out).round().clamp(min=1).minimum(size - 1)
        return self.select(order[~is_held_out].sort().values), self.select(order[is_held_out].sort().values)

    def balanced(self) -> "MotionClips":
        """Repeat clips of rare actions, so that each action has at least about half as many as the most common one."""
        count = self.labels.bincount()
        times = (count.max() / 2 / count.clamp(min=1)).round().long().clamp(min=1)
        return self.select(torch.arange(len(self)).repeat_interleave(times[self.labels]))

    def fingerprint(self) -> str:
        """Hash of the clips, 16 hex digits, by which a resumed run recognises its data."""
        digest = hashlib.sha256(repr(self.label_names).encode())
        for tensor in (self.joints, self.lengths, self.labels):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def to(self, device) -> "MotionClips":
        return replace(
            self, joints=self.joints.to(device), lengths=self.lengths.to(device), labels=self.labels.to(device)
        )


def _shape_complaint(what: str, found: Tensor, skeleton: Skeleton) -> str:
    return (
        f"{what} must be [frames, {skeleton.num_joints} joints, 3], not {list(found.shape)}; give the skeleton of "
        f"these joints, or convert them to SMPL's first {SMPL22.num_joints} (mdm_lib.motion.JOINT_NAMES)"
    )


def put_on_floor(clips: MotionClips) -> MotionClips:
    """Shift each clip vertically so that its floor is at y = 0.

    The floor is the 5th percentile over frames of the lowest ankle's or foot's height (joints, not soles). With the
    minimum, one badly tracked frame would lift the whole clip; on clean studio motion the two differ by less than a
    centimetre.
    """
    skeleton = clips.skeleton
    feet = [*skeleton.feet, *(skeleton.parents[foot] for foot in skeleton.feet)] or [*range(skeleton.num_joints)]
    lowest = clips.joints[:, :, feet, 1].amin(2).masked_fill(~clips.mask, torch.nan)
    floor = lowest.nanquantile(0.05, dim=1)[:, None] * clips.mask  # padding stays at zero
    joints = torch.stack([clips.joints[..., 0], clips.joints[..., 1] - floor[..., None], clips.joints[..., 2]], dim=-1)
    return replace(clips, joints=joints)


@lru_cache
def mirror_labels(label_names: tuple[str, ...]) -> tuple[int, ...]:
    """For each action the id of its mirror image; -1 where no action has its name.

    "walk-left" becomes "walk-right"; "wave" stays; a "kick left" without a "kick right" cannot be mirrored.
    """
    swap = str.maketrans({"\0": "right", "\1": "left"})
    mirrored = [name.replace("left", "\0").replace("right", "\1").translate(swap) for name in label_names]
    return tuple(label_names.index(name) if name in label_names else -1 for name in mirrored)


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
