"""The skeleton of every model here: SMPL's first 22 joints, y up, left is +x when facing +z.

Order and names are those of SMPL (Loper et al. 2015) without its two hand joints, as in HumanML3D.
"""

import torch
from torch import Tensor

JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
NUM_JOINTS = len(JOINT_NAMES)

JOINT = {name: index for index, name in enumerate(JOINT_NAMES)}
#: (parent, child) of every bone.
BONES = tuple((parent, child) for child, parent in enumerate(PARENTS) if parent >= 0)


def _other_side(name: str) -> str:
    if name.startswith("left"):
        return name.replace("left", "right")
    return name.replace("right", "left")


#: MIRROR[j] is the joint that j becomes when left and right are exchanged.
MIRROR = tuple(JOINT[_other_side(name)] for name in JOINT_NAMES)


def side(joint: int) -> str:
    """``"left"``, ``"right"`` or ``"centre"``."""
    name = JOINT_NAMES[joint].split("_")[0]
    return name if name in ("left", "right") else "centre"


def forward_kinematics(rotations: Tensor, root: Tensor, offsets: Tensor) -> Tensor:
    """Joint positions from the rotation of each joint against its parent.

    Args:
        rotations: ``[..., 22, 3, 3]``, the root's against the world.
        root: ``[..., 3]`` position of the pelvis, metres.
        offsets: ``[..., 22, 3]`` each joint's place in its parent's frame in the rest pose, metres.

    Returns:
        ``[..., 22, 3]`` metres. Bones keep the length of their offset.
    """
    world, position = [rotations[..., 0, :, :]], [root]
    for parent, joint in BONES:
        position.append(position[parent] + (world[parent] @ offsets[..., joint, :, None])[..., 0])
        world.append(world[parent] @ rotations[..., joint, :, :])
    return torch.stack(position, dim=-2)


def bone_lengths(joints: Tensor) -> Tensor:
    """``[..., 22, 3]`` → ``[..., 21]``, metres, in the order of ``BONES``."""
    parents, children = zip(*BONES, strict=True)
    return (joints[..., list(children), :] - joints[..., list(parents), :]).norm(dim=-1)


def hold_bone_lengths(joints: Tensor, mask: Tensor) -> Tensor:
    """Motions ``[N, F, 22, 3]`` in which every bone has one length throughout, its mean over the real frames.

    From the pelvis outwards each joint is moved along its own bone, by millimetres where the lengths are about right;
    the bones keep their directions. ``mask [N, F]``, True = real frame.
    """
    own, real = bone_lengths(joints), mask[..., None].to(joints.dtype)
    stretch = (own * real).sum(1, keepdim=True) / real.sum(1, keepdim=True) / own.clamp(min=1e-6)
    position = [joints[..., 0, :]] + [joints[..., 0, :]] * len(BONES)
    for bone, (parent, joint) in enumerate(BONES):
        along = joints[..., joint, :] - joints[..., parent, :]
        position[joint] = position[parent] + along * stretch[..., bone, None]
    return torch.stack(position, dim=-2)
