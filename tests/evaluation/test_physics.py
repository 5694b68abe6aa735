"""Physical measures, of bodies whose figures are known."""

import math

import pytest
import torch
from helpers import standing

from mdm_lib.evaluation import physics
from mdm_lib.motion.skeleton import JOINT, SMPL22


def test_bones_keep_their_length_under_forward_kinematics(clips):
    assert physics.bone_drift(clips.joints, clips.lengths).max() < 1e-3


def test_bone_drift_of_a_body_that_breathes():
    swell = 1 + 0.02 * torch.sin(2 * math.pi * torch.arange(40) / 40)[:, None, None]
    drift = physics.bone_drift(standing() * swell, torch.tensor([40]))
    assert float(drift) == pytest.approx(100 * 0.02 / math.sqrt(2), rel=1e-3)


def test_skating_is_none_for_planted_and_all_for_sliding_feet():
    lengths, sideways = torch.tensor([40]), torch.tensor([1.0, 0.0, 0.0])
    still = standing()
    steps = torch.arange(40)[:, None, None]
    assert physics.skating_ratio(still, lengths) == 0
    assert physics.skating_ratio(still + 0.030 * steps * sideways, lengths) == 1
    assert physics.skating_ratio(still + 0.020 * steps * sideways, lengths) == 0  # slower than 2.5 cm a frame
    lifted = still + 0.030 * steps * sideways
    lifted[:, 20:, SMPL22.feet, 1] += 0.06  # from there in the air
    assert float(physics.skating_ratio(lifted, lengths)) == pytest.approx(19 / 39)
    lifted[:, 20:, SMPL22.feet[0], 1] -= 0.06  # one foot is enough
    assert physics.skating_ratio(lifted, lengths) == 1


def test_skating_finds_the_floor_of_each_motion():
    sliding = standing() + 0.03 * torch.arange(40)[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    up = torch.tensor([0.0, 1.7, 0.0])
    assert physics.skating_ratio(torch.cat([sliding, sliding + up]), torch.tensor([40, 40])).tolist() == [1, 1]


def test_a_motion_played_twice_as_fast_has_twice_the_speed_and_eight_times_the_jerk():
    time = torch.arange(121) / 20
    body = standing(121) + torch.sin(2 * time)[:, None, None] * torch.tensor([0.3, 0.1, -0.2])
    lengths, fast = torch.tensor([121]), body[:, ::2]
    for measure, factor in ((physics.joint_speed, 2), (physics.joint_jerk, 8)):
        ratio = measure(fast, torch.tensor([61])) / measure(body, lengths)
        assert float(ratio) == pytest.approx(factor, rel=0.03)
    assert float(physics.joint_speed(body, lengths)) == pytest.approx(
        2 * 2 / math.pi * math.sqrt(0.14), rel=0.05
    )  # mean of |cos| is 2/π


def test_jerk_needs_four_frames():
    jerk = physics.joint_jerk(standing(10).repeat(2, 1, 1, 1), torch.tensor([3, 10]))
    assert jerk[0].isnan() and jerk[1] == 0


def test_floor_penetration():
    motions = torch.cat([standing(), standing()])
    motions[1, 20, JOINT["left_foot"], 1] = -0.05
    lengths, low = torch.tensor([40, 40]), float(physics.lowest_point(motions[:1], torch.tensor([40])))
    assert low == pytest.approx(0.03)
    torch.testing.assert_close(physics.floor_penetration(motions, lengths, low), torch.tensor([0.0, 0.08]))


@pytest.mark.parametrize("name", ["bone_drift", "skating_ratio", "joint_speed", "joint_jerk", "lowest_point"])
def test_padding_is_never_looked_at(name, clips):
    measure = getattr(physics, name)
    noisy = torch.where(clips.mask[..., None, None], clips.joints, torch.tensor(-1e3))
    torch.testing.assert_close(measure(clips.joints, clips.lengths), measure(noisy, clips.lengths))
    one = measure(clips.joints[3:4, : clips.lengths[3]], clips.lengths[3:4])  # nor does it matter how much there is
    torch.testing.assert_close(one, measure(clips.joints, clips.lengths)[3:4], atol=1e-4, rtol=1e-4)
