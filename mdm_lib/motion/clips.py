"""``MotionClips``, the one container of motion, and the preparation of clips for a model."""

import hashlib
import io
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdm_lib.errors import InputError, printable
from mdm_lib.files import write_atomically
from mdm_lib.motion.geometry import FPS, length_mask
from mdm_lib.motion.intake import bring_in, doubts
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.reading import read_arrays, reading
from mdm_lib.runtime import constant
from mdm_lib.words import known, plain_number


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
        # plain values, as a checkpoint carries them
        for name, value in {
            "label_names": tuple(map(printable, self.label_names)), "source": printable(self.source)
        }.items():  # fmt: skip
            object.__setattr__(self, name, value)
        object.__setattr__(self, "fps", plain_number("fps", self.fps))
        if len(self) == 0:
            raise InputError(f"{self.source}: there are no clips in it")
        if self.joints.dim() != 4 or self.joints.shape[2:] != (self.skeleton.num_joints, 3):
            raise InputError(f"{self.source}: {_shape_complaint('clips', self.joints[0], self.skeleton)}")
        if not 0 < self.fps < math.inf:
            raise InputError(f"{self.source}: fps is {self.fps}; give a positive number of frames per second")
        for name, value in {"lengths": self.lengths, "labels": self.labels, **self.factors}.items():
            if value.shape[:1] != self.joints.shape[:1]:
                raise InputError(f"{self.source}: {name} must be one per clip, for {len(self)} clips, not {len(value)}")
        checks = {
            "has fewer than 2 frames; leave it out": self.lengths < 2,
            f"has a label out of range; labels are 0 to {len(self.label_names) - 1}": (self.labels < 0)
            | (self.labels >= len(self.label_names)),
            "has NaN or infinite coordinates; repair it or leave it out": _has_nan(self.joints),
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

    @classmethod
    def from_arrays(
        cls, motions: Sequence, labels: Sequence[str | int], label_names: Sequence[str] | None = None, *,
        fps: float = FPS, up: str = "y", scale: float = 1.0, swap_sides: bool = False, skeleton: Skeleton = SMPL22,
        source: str = "motion clips", to_fps: float = FPS,
    ) -> "MotionClips":  # fmt: skip
        """From arrays, tensors or lists of your own, brought to metres, y up and ``to_fps`` frames per second.

        What looks wrong with a clip (head below feet, exchanged sides, an odd height, frames that jump) is said in a
        warning, with what to pass here.

        Args:
            motions: N motions ``[F_i, J, 3]``, or one array ``[N, F, J, 3]``. Motions of SMPL's 24, SMPL-H's 52 or
                SMPL-X's 55 joints are cut to the first 22.
            labels: N names of actions, or numbers.
            label_names: by default the names in the order in which they first occur, or the numbers as text.
            fps: frames per second of the motions.
            up: the axis that points up: ``"y"``, ``"-y"``, ``"z"`` or ``"-z"``.
            scale: metres in the motions' unit: 0.01 for centimetres.
            swap_sides: True if left and right joints are exchanged.

        Raises:
            InputError: for what are not motions, or labels that do not fit them; the message names the clip.
        """
        labels = [label.item() if hasattr(label, "item") else label for label in labels]
        if len(labels) != len(motions):
            raise InputError(f"{source}: labels must be one per clip, for {len(motions)} clips, not {len(labels)}")
        if label_names is None:
            words = all(isinstance(label, str) for label in labels)
            label_names = list(dict.fromkeys(labels)) if words else [*map(str, range(max(labels, default=0) + 1))]
        label_names = [str(name) for name in label_names]
        ids = [label if isinstance(label, int) else label_names.index(known("action", label, label_names))
               for label in labels]  # fmt: skip
        rate = plain_number("fps", fps)
        clips = [
            bring_in(motion, f"{source}: clip {n}", rate, to_fps, up, scale, swap_sides, skeleton)
            for n, motion in enumerate(motions)
        ]
        _warn_of_doubts(clips, to_fps, skeleton, source)
        return cls.from_list(clips, ids, label_names, source, skeleton, to_fps)

    def save(self, path: str | Path) -> Path:
        """Write them to one .npz that ``load`` reads, atomically."""
        about = {"label_names": self.label_names, "source": self.source, "fps": self.fps,
                 "skeleton": self.skeleton.to_plain()}  # fmt: skip
        arrays = {"joints": self.joints, "lengths": self.lengths, "labels": self.labels}
        arrays |= {f"factor {name}": value for name, value in self.factors.items()}
        content = io.BytesIO()
        np.savez_compressed(
            content, about=np.array(json.dumps(about)), **{name: value.cpu().numpy() for name, value in arrays.items()}
        )
        return write_atomically(path, content.getbuffer())

    @classmethod
    def load(cls, path: str | Path) -> "MotionClips":
        """What ``save`` wrote. Nothing in the file is run.

        Raises:
            InputError: no such file, or one that is damaged or something else.
        """
        what = "what MotionClips.save wrote"
        arrays = read_arrays(path, what)
        with reading(path, what):
            about = json.loads(str(arrays.pop("about")))
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
            joints, lengths, labels = (tensors[name] for name in ("joints", "lengths", "labels"))
            skeleton = Skeleton.from_plain(about["skeleton"])
            names, source, fps = about["label_names"], about["source"], about["fps"]
            factors = {name.removeprefix("factor "): v for name, v in tensors.items() if name.startswith("factor ")}
            return cls(joints, lengths, labels, names, source, factors, skeleton, fps)

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
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()[:16]

    def to(self, device) -> "MotionClips":
        return replace(
            self, joints=self.joints.to(device), lengths=self.lengths.to(device), labels=self.labels.to(device)
        )


def _has_nan(joints: Tensor) -> Tensor:
    """``[N]`` bool; a thousand clips at a time: an answer for every number takes a quarter of the size of the data."""
    return torch.cat([~part.isfinite().flatten(1).all(1) for part in joints.split(1000)])


def _warn_of_doubts(clips: list[Tensor], fps: float, skeleton: Skeleton, source: str) -> None:
    """One warning for each kind of doubt, naming the first clip that raises it and how many do."""
    first, count = {}, Counter()
    for n, clip in enumerate(clips):
        for doubt in doubts(clip, fps, skeleton) if len(clip) and clip.isfinite().all() else []:
            kind = doubt.split()[0]
            first.setdefault(kind, f"clip {n} {doubt}")
            count[kind] += 1
    for kind, text in first.items():
        others = f" ({count[kind]} of {len(clips)} clips)" if count[kind] > 1 else ""
        warnings.warn(f"{source}: {text}{others}", stacklevel=3)


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
