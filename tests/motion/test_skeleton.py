"""The skeleton: joints, bones, sides, forward kinematics."""

import torch

from mdm_lib.motion.skeleton import BONES, JOINT, JOINT_NAMES, MIRROR, PARENTS, bone_lengths, forward_kinematics, side


def test_skeleton_is_smpl_22():
    assert len(JOINT_NAMES) == len(PARENTS) == 22 and len(BONES) == 21
    assert all(parent < joint for parent, joint in BONES)
    assert all(MIRROR[MIRROR[j]] == j and PARENTS[MIRROR[j]] == MIRROR[PARENTS[j]] for j in range(1, 22))
    assert side(JOINT["left_wrist"]) == "left" and side(JOINT["head"]) == "centre"


def test_forward_kinematics_keeps_bones_and_bends_about_the_joint():
    offsets = torch.randn(22, 3)
    straight = forward_kinematics(torch.eye(3).expand(22, 3, 3), torch.zeros(3), offsets)
    rotations = torch.eye(3).repeat(22, 1, 1)
    rotations[JOINT["left_elbow"]] = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    bent = forward_kinematics(rotations, torch.zeros(3), offsets)
    moved = (bent - straight).norm(dim=-1) > 1e-5
    assert [JOINT_NAMES[j] for j in moved.nonzero()] == ["left_wrist"]
    torch.testing.assert_close(bone_lengths(bent), bone_lengths(straight))
