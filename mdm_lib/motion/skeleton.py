"""Skeletons: their joints, parents, and left-right pairs.

The course uses ``SMPL22``, SMPL's first 22 joints, y up, left is +x when facing +z. Clips and checkpoints store theirs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from mdm_lib.errors import InputError


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Args:
        joint_names: J names.
        parents: J indices; a parent precedes its children, the root has -1.
        pairs: (left, right) joints; by default found by name ("left_hip" and "right_hip", "L_Hip" and "R_Hip", "hip.L"
            and "hip.R").
        facing: pairs whose right-to-left line gives the body's heading; by default hips and shoulders, or, without such
            names, the pairs attached to the centre of the body.
        feet: the joints that touch the floor; by default those named toe, or else foot.
        head: the joint at which a head is drawn; by default the one named "head", -1 for none.

    Raises:
        InputError: if the joints do not form a tree, or an argument refers to joints that do not exist.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] | None = None
    facing: tuple[tuple[int, int], ...] | None = None
    feet: tuple[int, ...] | None = None
    head: int | None = None

    def __post_init__(self):
        for field in fields(self):  # plain values, as files carry them
            if getattr(self, field.name) is not None:
                object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        names, parents = self.joint_names, self.parents
        if len(set(names)) != len(names) or len(names) != len(parents) or not names:
            raise InputError(
                f"a skeleton needs one parent for each joint and no name twice; it has {len(names)} names "
                f"({len(set(names))} different) and {len(parents)} parents"
            )
        if parents[0] != -1 or not all(0 <= parent < joint for joint, parent in enumerate(parents) if joint):
            raise InputError("a skeleton's first joint must be its root (parent -1), and all parents precede children")
        for field, found in (("pairs", _pairs), ("facing", _facing), ("feet", _feet), ("head", _head)):
            if getattr(self, field) is None:
                object.__setattr__(self, field, found(self))
        named = {joint for pair in self.pairs + self.facing for joint in pair} | {*self.feet}
        if not named <= {*range(len(names))} or not -1 <= self.head < len(names):
            raise InputError(f"pairs, facing, feet and head must be joints of the skeleton, 0 to {len(names) - 1}")

    @property
    def num_joints(self) -> int:
        """J, the number of joints."""
        return len(self.joint_names)

    @cached_property
    def joint(self) -> dict[str, int]:
        """The index of each joint by name."""
        return {name: index for index, name in enumerate(self.joint_names)}

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) of every bone, in the order of the children."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """``mirror[j]`` is the joint that j becomes when left and right are exchanged."""
        other = {**dict(self.pairs), **{right: left for left, right in self.pairs}}
        return tuple(other.get(joint, joint) for joint in range(self.num_joints))

    def side(self, joint: int) -> str:
        """``"left"``, ``"right"`` or ``"centre"``."""
        if self.mirror[joint] == joint:
            return "centre"
        return "left" if joint in dict(self.pairs) else "right"

    def to_plain(self) -> dict:
        """The skeleton as lists and numbers, for files; ``from_plain`` reads them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value if isinstance(value, int) else _as(list, value) for name, value in values.items()}

    @classmethod
    def from_plain(cls, values: dict) -> "Skeleton":
        """The skeleton from ``to_plain``; missing fields (not names or parents) get their defaults."""
        return cls(**{name: value if isinstance(value, int) else _as(tuple, value) for name, value in values.items()})


def _plain(value):
    """Text and whole numbers of Python, in tuples."""
    if isinstance(value, str):
        return str(value)
    return tuple(map(_plain, value)) if isinstance(value, Iterable) else int(value)


def _as(kind: type, values: Sequence) -> Sequence:
    """Convert nested lists to tuples, or the other way round."""
    return kind(_as(kind, value) if isinstance(value, list | tuple) else value for value in values)


def _pairs(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Joints whose names differ only in left and right."""
    joint, pairs = skeleton.joint, []
    for name, index in joint.items():
        for left, right in (("left", "right"), ("Left", "Right"), (r"^L", "R"), (r"^l_", "r_"), (r"([_.])L$", r"\1R"),
                            (r"([_.])l$", r"\1r")):  # fmt: skip
            other = re.sub(left, right, name)
            if other != name and other in joint:
                pairs.append((index, joint[other]))
                break
    return tuple(pairs)


def _facing(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Hips and shoulders by name; otherwise the pairs whose parents belong to no pair."""
    called = [[pair for pair in skeleton.pairs if part in skeleton.joint_names[pair[0]].lower()]
              for part in ("hip", "shoulder")]  # fmt: skip
    if all(len(pairs) == 1 for pairs in called):
        return tuple(pair for (pair,) in called)
    paired = {joint for pair in skeleton.pairs for joint in pair}
    return tuple(pair for pair in skeleton.pairs if not any(skeleton.parents[joint] in paired for joint in pair))


def _feet(skeleton: Skeleton) -> tuple[int, ...]:
    toes, feet = ([j for name, j in skeleton.joint.items() if part in name.lower()] for part in ("toe", "foot"))
    return tuple(toes or feet)


def _head(skeleton: Skeleton) -> int:
    return {name.lower(): joint for name, joint in skeleton.joint.items()}.get("head", -1)


#: SMPL's first 22 joints (Loper et al. 2015), without its two hand joints, as in HumanML3D.
SMPL22 = Skeleton(
    joint_names=(
        "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
        "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    ),
    parents=(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
)  # fmt: skip

JOINT_NAMES, PARENTS, NUM_JOINTS = SMPL22.joint_names, SMPL22.parents, SMPL22.num_joints
JOINT, BONES, MIRROR, side = SMPL22.joint, SMPL22.bones, SMPL22.mirror, SMPL22.side


def forward_kinematics(rotations: Tensor, root: Tensor, offsets: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """Joint positions from the rotation of each joint relative to its parent.

    Args:
        rotations: ``[..., J, 3, 3]``, the root's relative to the world.
        root: ``[..., 3]`` position of the root (the pelvis), metres.
        offsets: ``[..., J, 3]`` each joint's position in its parent's frame in the rest pose, metres.

    Returns:
        ``[..., J, 3]`` metres. Bones keep the length of their offset.
    """
    world, position = [rotations[..., 0, :, :]], [root]
    for parent, joint in skeleton.bones:
        position.append(position[parent] + (world[parent] @ offsets[..., joint, :, None])[..., 0])
        world.append(world[parent] @ rotations[..., joint, :, :])
    return torch.stack(position, dim=-2)


def bone_lengths(joints: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """``[..., J, 3]`` → ``[..., J - 1]``, metres, in the order of ``skeleton.bones``."""
    parents, children = zip(*skeleton.bones, strict=True)
    return (joints[..., list(children), :] - joints[..., list(parents), :]).norm(dim=-1)


def hold_bone_lengths(joints: Tensor, mask: Tensor, skeleton: Skeleton = SMPL22) -> Tensor:
    """Give every bone of motions ``[N, F, J, 3]`` a constant length, its mean over the real frames.

    From the root outwards, each joint moves along its bone, by millimetres if the lengths are nearly constant; bone
    directions do not change. ``mask [N, F]``: True = real frame.
    """
    own, real = bone_lengths(joints, skeleton), mask[..., None].to(joints.dtype)
    stretch = (own * real).sum(1, keepdim=True) / real.sum(1, keepdim=True) / own.clamp(min=1e-6)
    position = [joints[..., 0, :]] * skeleton.num_joints
    for bone, (parent, joint) in enumerate(skeleton.bones):
        along = joints[..., joint, :] - joints[..., parent, :]
        position[joint] = position[parent] + along * stretch[..., bone, None]
    return torch.stack(position, dim=-2)
