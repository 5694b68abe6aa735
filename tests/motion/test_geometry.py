"""Heading, turning, mirroring."""

import math

import torch
from helpers import some_clips

from mdm_lib.motion.geometry import face_forward, heading, mirror, turn
from mdm_lib.motion.skeleton import JOINT, bone_lengths


def test_heading_turn_and_face_forward():
    clips = some_clips()
    joints = clips.joints[:1, :30]
    assert heading(joints[:, 0]).abs().item() < 0.2
    angle = torch.tensor([2.0])
    turned = turn(joints, angle)
    expected = heading(joints[:, 0]) + angle
    torch.testing.assert_close(heading(turned[:, 0]), expected, atol=1e-4, rtol=0)
    # a quarter turn to the left takes +z (ahead) to +x (left)
    ahead = torch.tensor([0.0, 0, 1]).expand(1, 1, 22, 3)
    torch.testing.assert_close(turn(ahead, torch.tensor([math.pi / 2]))[0, 0, 0], torch.tensor([1.0, 0, 0]))
    faced = face_forward(turned)
    torch.testing.assert_close(faced, face_forward(joints), atol=1e-5, rtol=0)
    torch.testing.assert_close(faced[0, 0, 0, [0, 2]], torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(bone_lengths(turned), bone_lengths(joints))


def test_mirror_swaps_sides_and_is_its_own_inverse():
    joints = some_clips().joints[0, :5]
    mirrored = mirror(joints)
    torch.testing.assert_close(mirror(mirrored), joints)
    left, right = JOINT["left_wrist"], JOINT["right_wrist"]
    torch.testing.assert_close(mirrored[:, left], joints[:, right] * torch.tensor([-1.0, 1, 1]))
    # what was on the body's left is still called left: facing stays forward
    assert (heading(mirrored) + heading(joints)).abs().max() < 1e-5
