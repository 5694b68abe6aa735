"""The nearest training clip."""

import torch

from mdm_lib.data import MotionClips, synthetic_clips
from mdm_lib.evaluation.memory import nearest_clip
from mdm_lib.motion.geometry import mirror, turn
from mdm_lib.motion.windows import cut_windows
from mdm_lib.sampling import hold_last_pose


def test_a_cut_turned_mirrored_copy_is_found(clips):
    index, start = torch.arange(12), torch.arange(12) * 2
    joints, mask = cut_windows(clips, index, start.minimum(clips.lengths[:12] - 30), 30)
    copies = turn(mirror(joints), torch.linspace(-3, 3, 12)) + torch.tensor([2.0, 0.0, -1.0])
    found = nearest_clip(copies, mask.sum(1), clips.labels[index], clips)
    assert found.distance.max() < 1e-4 and (found.clip == index).all()


def test_distance_is_the_root_mean_square_over_joints_and_frames(clips):
    joints, mask = cut_windows(clips, torch.arange(12), torch.zeros(12, dtype=torch.long), 40)
    raised = joints + torch.tensor([0.0, 0.02, 0.0])
    found = nearest_clip(raised, mask.sum(1), clips.labels[:12], clips)
    torch.testing.assert_close(found.distance, torch.full((12,), 0.02), atol=1e-4, rtol=0)


def test_unseen_motion_is_farther_and_other_actions_are_not_compared(clips):
    unseen = synthetic_clips(12, seed=6)
    joints, mask = cut_windows(unseen, torch.arange(12), torch.zeros(12, dtype=torch.long), 60)
    found = nearest_clip(joints, mask.sum(1), unseen.labels, clips)
    assert found.distance.min() > 0.01
    assert (clips.labels[found.clip] == unseen.labels).all()


def test_a_copy_of_a_short_clip_is_found_and_a_mirrored_label_is_followed():
    short = synthetic_clips(1, seed=3).joints[0, :20]
    walk = MotionClips.from_list([short, short.flip(0)], [0, 1], ("turn-left", "turn-right"))
    held = hold_last_pose(mirror(short)[None].repeat(1, 2, 1, 1), torch.tensor([20]))  # 40 frames
    found = nearest_clip(held, torch.tensor([40]), torch.tensor([1]), walk)
    assert found.distance < 1e-4 and found.clip == 0
