"""MotionClips, and the windows that training sees."""

import math
from dataclasses import replace

import pytest
import torch
from helpers import some_clips

from mdm_lib import InputError, MotionClips
from mdm_lib.motion.clips import mirror_labels
from mdm_lib.motion.geometry import face_forward, length_mask
from mdm_lib.motion.windows import cut_windows, random_windows  # fmt: skip


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


@pytest.mark.parametrize("count", [3, 5])
def test_as_many_labels_and_lengths_as_clips(count):
    clips = [torch.randn(5, 22, 3) for _ in range(4)]
    with pytest.raises(InputError, match=f"labels must be one per clip, for 4 clips, not {count}"):
        MotionClips.from_list(clips, [0] * count, ("a",))
    whole = MotionClips.from_list(clips, [0] * 4, ("a",))
    with pytest.raises(InputError, match="lengths must be one per clip"):
        replace(whole, lengths=torch.full((count,), 5))
    with pytest.raises(InputError, match="height must be one per clip"):
        replace(whole, factors={"height": torch.ones(count)})
