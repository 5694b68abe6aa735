"""MotionClips, windows, headings, mirrors, features."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_lib import InputError, MotionClips
from mdm_lib.data.clips import (
    centre,
    cut_windows,
    face_forward,
    heading,
    length_mask,
    mirror,
    mirror_labels,
    random_windows,
    turn,
)  # fmt: skip
from mdm_lib.features import REPRESENTATIONS
from mdm_lib.skeleton import BONES, JOINT, JOINT_NAMES, MIRROR, PARENTS, bone_lengths, forward_kinematics, side


def some_clips(lengths=(30, 8, 50, 20), labels=(0, 1, 0, 1), label_names=("walk-left", "walk-right"), seed=0):
    """Bodies in a T-pose that drift and tremble: enough shape to have a heading."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.zeros(22, 3)
    pose[:, 0] = torch.tensor([{"left": 0.2, "right": -0.2, "centre": 0.0}[side(j)] for j in range(22)])
    pose[:, 1] = torch.linspace(0.9, 1.6, 22)
    clips = []
    for length in lengths:
        drift = torch.randn(3, generator=generator) * torch.linspace(0, 1, length)[:, None]
        trembling = 0.01 * torch.randn(length, 22, 3, generator=generator)
        clips.append(pose + drift[:, None] * torch.tensor([1.0, 0.1, 1.0]) + trembling)
    return MotionClips.from_list(clips, labels, label_names)


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


def test_mirror_labels():
    assert mirror_labels(("walk-left", "wave", "walk-right", "kick_left")) == (2, 1, 0, -1)


def test_random_windows_mirror_labels_and_leave_the_unmirrorable():
    clips = some_clips((40,) * 64, (0,) * 64)
    torch.manual_seed(0)
    _, _, labels = random_windows(clips, torch.arange(64), 20, with_mirror=True)
    assert 16 < labels.sum() < 48
    lone = some_clips((40,) * 16, (0,) * 16, ("kick-left",))
    joints, _, labels = random_windows(lone, torch.arange(16), 40, with_mirror=True)
    torch.testing.assert_close(joints, face_forward(lone.joints))
    assert (labels == 0).all()


def test_random_windows_reach_both_ends_and_never_padding():
    clips = some_clips((50,) * 400, (0,) * 400)
    joints, mask, _ = random_windows(clips, torch.arange(400), 20, with_mirror=False)
    assert mask.all()
    heights = clips.joints[:, :, 0, 1]  # the start is told by the first frame's height, which centring keeps
    starts = {int((heights[i] - joints[i, 0, 0, 1]).abs().argmin()) for i in range(400)}
    assert starts == set(range(31))


def test_short_clips_are_padded_and_masked():
    clips = some_clips()
    joints, mask = cut_windows(clips, torch.tensor([1, 2]), torch.tensor([0, 3]), 20)
    assert mask.sum(1).tolist() == [8, 20]
    torch.testing.assert_close(joints[0, 8:], joints[0, 7:8].expand(12, 22, 3))
    assert length_mask(torch.tensor([2, 0]), 3).tolist() == [[True, True, False], [False] * 3]


def test_split_is_by_clip_balanced_and_the_same_for_everybody():
    clips = some_clips((10,) * 40, [0] * 30 + [1] * 10)
    training, held_out = clips.split()
    assert held_out.labels.bincount().tolist() == [6, 2] and len(training) == 32
    assert training.fingerprint() == clips.split()[0].fingerprint() != clips.split(seed=1)[0].fingerprint()
    rows = {tuple(c.flatten().tolist()) for c in training.joints} & {
        tuple(c.flatten().tolist()) for c in held_out.joints
    }
    assert not rows


def test_balanced_repeats_the_clips_of_rare_actions():
    clips = some_clips(lengths=(30,) * 12, labels=(0,) * 10 + (1,) * 2)
    balanced = clips.balanced()
    assert balanced.labels.bincount().tolist() == [10, 4]  # half of ten, as nearly as two clips can be repeated
    assert all((balanced.joints == clip).flatten(1).all(1).any() for clip in clips.joints)
    assert len(some_clips(labels=(0, 1, 0, 1)).balanced()) == 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda j: j.index_put((torch.tensor(1), torch.tensor(3)), torch.tensor(math.nan)), "clip 1 has NaN"),
        (lambda j: j[:, :, :17], "22"),
        (lambda j: j[:0], "no clips"),
    ],
)
def test_bad_clips_are_named(damage, message):
    clips = some_clips()
    joints = damage(clips.joints)
    with pytest.raises(InputError, match=message):
        MotionClips(joints, clips.lengths[: len(joints)], clips.labels[: len(joints)], clips.label_names)


def test_bad_lengths_labels_and_lists_are_named():
    clips = some_clips()
    with pytest.raises(InputError, match="clip 2 has fewer than 2 frames"):
        MotionClips(clips.joints, torch.tensor([9, 9, 1, 9]), clips.labels, clips.label_names)
    with pytest.raises(InputError, match="clip 1 has a label out of range; labels are 0 to 1"):
        MotionClips(clips.joints, clips.lengths, torch.tensor([0, 2, 0, 0]), clips.label_names)
    with pytest.raises(InputError, match="clip 1 must be"):
        MotionClips.from_list([torch.zeros(5, 22, 3), torch.zeros(5, 17, 3)], [0, 0], ("a",))
    with pytest.raises(InputError, match="no clips"):
        MotionClips.from_list([], [], ("a",))


@pytest.mark.parametrize("name", list(REPRESENTATIONS))
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), frames=st.integers(2, 40))
def test_representations_are_reversible(name, seed, frames):
    joints = centre(torch.randn(3, frames, 22, 3, generator=torch.Generator().manual_seed(seed)))
    representation = REPRESENTATIONS[name]().fit(joints, torch.ones(3, frames, dtype=torch.bool))
    torch.testing.assert_close(representation.decode(representation.encode(joints)), joints, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", list(REPRESENTATIONS))
def test_the_normaliser_sees_real_frames_only(name):
    clips = some_clips()
    joints, mask = cut_windows(clips, torch.arange(4), torch.zeros(4, dtype=torch.long), 40)
    polluted = torch.where(mask[:, :, None, None], joints, torch.tensor(1e6))
    clean, same = (REPRESENTATIONS[name]().fit(j, mask) for j in (joints, polluted))
    if name == "positions":
        torch.testing.assert_close(clean.mean, same.mean)
        torch.testing.assert_close(clean.std, same.std)
    features = clean.encode(joints)[mask]
    assert features.mean(0).abs().max() < 1e-3
    assert features.isfinite().all()


def test_root_velocity_does_not_see_where_it_walked():
    """Two equal strides at two places look the same but for the start."""
    joints = some_clips().joints[:1, :20]
    representation = REPRESENTATIONS["root_velocity"]()
    there = representation.encode(joints + torch.tensor([3.0, 0.0, -2.0]))
    torch.testing.assert_close(representation.encode(joints), there, atol=1e-4, rtol=0)
