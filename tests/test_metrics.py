"""The metrics against closed forms, scipy, and motions whose figures are known by construction; the recogniser."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_lib import InputError, load_clips, metrics, recogniser
from mdm_lib.data import MotionClips, synthetic_clips
from mdm_lib.data.clips import cut_windows, mirror, random_windows, turn
from mdm_lib.recogniser import Recogniser, body_view, load_recogniser, train_recogniser
from mdm_lib.sampling import hold_last_pose
from mdm_lib.skeleton import JOINT


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_gaussian(dimensions: int, seed: int):
    draws = torch.randn(dimensions + 1, dimensions, dtype=torch.float64, generator=seeded(seed))
    return draws[0], draws[1:] @ draws[1:].T / dimensions


# Features -----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), dimensions=st.integers(1, 12))
def test_distance_of_gaussians_against_scipy(seed, dimensions):
    (mean_a, cov_a), (mean_b, cov_b) = (random_gaussian(dimensions, seed + k) for k in (0, 1))
    root = scipy.linalg.sqrtm((cov_a @ cov_b).numpy())
    expected = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * np.trace(root).real
    ours = metrics.gaussian_distance(mean_a, cov_a, mean_b, cov_b)
    assert ours == pytest.approx(float(expected), rel=1e-6, abs=1e-6)
    assert ours == pytest.approx(metrics.gaussian_distance(mean_b, cov_b, mean_a, cov_a), rel=1e-6, abs=1e-6)


def test_distance_of_gaussians_with_a_common_basis_has_a_closed_form():
    mean, (a, b) = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([[1.0, 4.0, 9.0], [4.0, 1.0, 0.0]]).double()
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    ours = metrics.gaussian_distance(torch.zeros_like(mean), a.diag(), mean, b.diag())
    assert ours == pytest.approx(float(expected), abs=1e-9)


def test_frechet_distance_of_samples_approaches_that_of_their_gaussians():
    (mean_a, cov_a), (mean_b, cov_b) = (random_gaussian(4, k) for k in (0, 1))
    a, b = (
        mean + torch.randn(40_000, 4, dtype=torch.float64, generator=seeded(k)) @ torch.linalg.cholesky(cov).T
        for k, (mean, cov) in enumerate([(mean_a, cov_a), (mean_b, cov_b)])
    )
    exact = metrics.gaussian_distance(mean_a, cov_a, mean_b, cov_b)
    assert metrics.frechet_distance(a, b) == pytest.approx(exact, rel=0.03)


def test_frechet_distance_of_a_set_from_itself_and_from_its_shift():
    features = torch.randn(30, 64, generator=seeded())  # fewer motions than features: singular covariances
    assert metrics.frechet_distance(features, features) == pytest.approx(0, abs=1e-5)
    assert metrics.frechet_distance(features, features + 0.5) == pytest.approx(64 * 0.25, rel=1e-5)


def test_frechet_distance_falls_with_the_number_of_samples():
    draws = torch.randn(2, 2000, 16, generator=seeded())
    distances = [metrics.frechet_distance(*draws[:, :size]) for size in (50, 200, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


def test_frechet_distance_needs_two_motions():
    with pytest.raises(InputError, match="at least 2"):
        metrics.frechet_distance(torch.zeros(1, 4), torch.zeros(5, 4))


def test_accuracy():
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0], [0.0, 1.0]])
    assert metrics.accuracy(logits, torch.tensor([0, 1, 1, 1])) == 0.75


def test_diversity_and_multimodality_of_known_sets():
    # two actions, 10 apart; in each, half of the motions stand 1 apart from the other half
    features = torch.tensor([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0], [10.0, 1.0]]).repeat(50, 1)
    labels = torch.tensor([0, 0, 1, 1]).repeat(50)
    expected = (0 + 1 + 10 + math.sqrt(101)) / 4
    assert metrics.diversity(features, num_pairs=20_000) == pytest.approx(expected, rel=0.02)
    assert metrics.multimodality(features, labels, num_pairs=20_000) == pytest.approx(0.5, rel=0.02)
    same = torch.ones(5, 3)
    assert metrics.diversity(same) == metrics.multimodality(same, torch.zeros(5)) == 0


def test_diversity_and_multimodality_are_seeded():
    features, labels = torch.randn(40, 8, generator=seeded()), torch.arange(40) % 3
    for measure in (lambda seed: metrics.diversity(features, seed=seed),
                    lambda seed: metrics.multimodality(features, labels, seed=seed)):  # fmt: skip
        assert measure(3) == measure(3) != measure(4)


def test_multimodality_leaves_lone_motions_out_and_needs_a_pair():
    features, labels = torch.tensor([[0.0], [2.0], [99.0]]), torch.tensor([0, 0, 1])
    assert metrics.multimodality(features, labels, num_pairs=5000) == pytest.approx(1, rel=0.05)
    with pytest.raises(InputError, match="two motions of one action"):
        metrics.multimodality(features, torch.tensor([0, 1, 2]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 60), other=st.integers(1, 60), whole=st.booleans())
def test_ks_distance_against_scipy(seed, size, other, whole):
    draws = 3 * torch.randn(size + other, generator=seeded(seed))
    draws = draws.round() if whole else draws  # whole numbers: many ties
    a, b = draws.split([size, other])
    assert metrics.ks_distance(a, b) == pytest.approx(scipy.stats.ks_2samp(a.numpy(), b.numpy()).statistic, abs=1e-6)


# Physics ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips():
    return synthetic_clips(48, seed=5)


def standing(num_frames: int = 40) -> torch.Tensor:
    """A motionless body ``[1, F, 22, 3]`` whose foot joints are 3 cm over the floor."""
    body = synthetic_clips(1).joints[:1, :1].clone()
    body[..., 1] -= body[..., list(metrics.TOES), 1].min() - 0.03
    body[..., list(metrics.TOES), 1] = 0.03
    return body.expand(-1, num_frames, -1, -1).clone()


def test_bones_keep_their_length_under_forward_kinematics(clips):
    assert metrics.bone_drift(clips.joints, clips.lengths).max() < 1e-3


def test_bone_drift_of_a_body_that_breathes():
    swell = 1 + 0.02 * torch.sin(2 * math.pi * torch.arange(40) / 40)[:, None, None]
    drift = metrics.bone_drift(standing() * swell, torch.tensor([40]))
    assert float(drift) == pytest.approx(100 * 0.02 / math.sqrt(2), rel=1e-3)


def test_skating_is_none_for_planted_and_all_for_sliding_feet():
    lengths, sideways = torch.tensor([40]), torch.tensor([1.0, 0.0, 0.0])
    still = standing()
    steps = torch.arange(40)[:, None, None]
    assert metrics.skating_ratio(still, lengths) == 0
    assert metrics.skating_ratio(still + 0.030 * steps * sideways, lengths) == 1
    assert metrics.skating_ratio(still + 0.020 * steps * sideways, lengths) == 0  # slower than 2.5 cm a frame
    lifted = still + 0.030 * steps * sideways
    lifted[:, 20:, metrics.TOES, 1] += 0.06  # from there in the air
    assert float(metrics.skating_ratio(lifted, lengths)) == pytest.approx(19 / 39)
    lifted[:, 20:, metrics.TOES[0], 1] -= 0.06  # one foot is enough
    assert metrics.skating_ratio(lifted, lengths) == 1


def test_skating_finds_the_floor_of_each_motion():
    sliding = standing() + 0.03 * torch.arange(40)[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    up = torch.tensor([0.0, 1.7, 0.0])
    assert metrics.skating_ratio(torch.cat([sliding, sliding + up]), torch.tensor([40, 40])).tolist() == [1, 1]


def test_a_motion_played_twice_as_fast_has_twice_the_speed_and_eight_times_the_jerk():
    time = torch.arange(121) / 20
    body = standing(121) + torch.sin(2 * time)[:, None, None] * torch.tensor([0.3, 0.1, -0.2])
    lengths, fast = torch.tensor([121]), body[:, ::2]
    for measure, factor in ((metrics.joint_speed, 2), (metrics.joint_jerk, 8)):
        ratio = measure(fast, torch.tensor([61])) / measure(body, lengths)
        assert float(ratio) == pytest.approx(factor, rel=0.03)
    assert float(metrics.joint_speed(body, lengths)) == pytest.approx(
        2 * 2 / math.pi * math.sqrt(0.14), rel=0.05
    )  # mean of |cos| is 2/π


def test_jerk_needs_four_frames():
    jerk = metrics.joint_jerk(standing(10).repeat(2, 1, 1, 1), torch.tensor([3, 10]))
    assert jerk[0].isnan() and jerk[1] == 0


def test_floor_penetration():
    motions = torch.cat([standing(), standing()])
    motions[1, 20, JOINT["left_foot"], 1] = -0.05
    lengths, low = torch.tensor([40, 40]), float(metrics.lowest_point(motions[:1], torch.tensor([40])))
    assert low == pytest.approx(0.03)
    torch.testing.assert_close(metrics.floor_penetration(motions, lengths, low), torch.tensor([0.0, 0.08]))


@pytest.mark.parametrize("name", ["bone_drift", "skating_ratio", "joint_speed", "joint_jerk", "lowest_point"])
def test_padding_is_never_looked_at(name, clips):
    measure = getattr(metrics, name)
    noisy = torch.where(clips.mask[..., None, None], clips.joints, torch.tensor(-1e3))
    torch.testing.assert_close(measure(clips.joints, clips.lengths), measure(noisy, clips.lengths))
    one = measure(clips.joints[3:4, : clips.lengths[3]], clips.lengths[3:4])  # nor does it matter how much there is
    torch.testing.assert_close(one, measure(clips.joints, clips.lengths)[3:4], atol=1e-4, rtol=1e-4)


# Memorisation -------------------------------------------------------------------------------------------------------


def test_a_cut_turned_mirrored_copy_is_found(clips):
    index, start = torch.arange(12), torch.arange(12) * 2
    joints, mask = cut_windows(clips, index, start.minimum(clips.lengths[:12] - 30), 30)
    copies = turn(mirror(joints), torch.linspace(-3, 3, 12)) + torch.tensor([2.0, 0.0, -1.0])
    found = metrics.nearest_clip(copies, mask.sum(1), clips.labels[index], clips)
    assert found.distance.max() < 1e-4 and (found.clip == index).all()


def test_distance_is_the_root_mean_square_over_joints_and_frames(clips):
    joints, mask = cut_windows(clips, torch.arange(12), torch.zeros(12, dtype=torch.long), 40)
    raised = joints + torch.tensor([0.0, 0.02, 0.0])
    found = metrics.nearest_clip(raised, mask.sum(1), clips.labels[:12], clips)
    torch.testing.assert_close(found.distance, torch.full((12,), 0.02), atol=1e-4, rtol=0)


def test_unseen_motion_is_farther_and_other_actions_are_not_compared(clips):
    unseen = synthetic_clips(12, seed=6)
    joints, mask = cut_windows(unseen, torch.arange(12), torch.zeros(12, dtype=torch.long), 60)
    found = metrics.nearest_clip(joints, mask.sum(1), unseen.labels, clips)
    assert found.distance.min() > 0.01
    assert (clips.labels[found.clip] == unseen.labels).all()


def test_a_copy_of_a_short_clip_is_found_and_a_mirrored_label_is_followed():
    short = synthetic_clips(1, seed=3).joints[0, :20]
    walk = MotionClips.from_list([short, short.flip(0)], [0, 1], ("turn-left", "turn-right"))
    held = hold_last_pose(mirror(short)[None].repeat(1, 2, 1, 1), torch.tensor([20]))  # 40 frames
    found = metrics.nearest_clip(held, torch.tensor([40]), torch.tensor([1]), walk)
    assert found.distance < 1e-4 and found.clip == 0


# The recogniser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick_recogniser():
    """One that has learnt for 3 seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recogniser, "STEPS", 60)
        yield train_recogniser(synthetic_clips(240, seed=1))


def test_it_learns(quick_recogniser):
    unseen = synthetic_clips(120, seed=2)
    joints, mask, labels = random_windows(unseen, torch.arange(120), 60, with_mirror=False, generator=seeded())
    answer = quick_recogniser.recognise(joints, mask.sum(1))
    assert answer.logits.shape == (120, 12) and answer.features.shape == (120, recogniser.NUM_FEATURES)
    assert metrics.accuracy(answer.logits, labels) > 0.9


def test_training_is_seeded_and_disturbs_no_other_draw(monkeypatch):
    monkeypatch.setattr(recogniser, "STEPS", 3)
    few = synthetic_clips(24)
    torch.manual_seed(0)
    first, draw = train_recogniser(few, 30, seed=4), torch.rand(1)
    torch.manual_seed(0)
    assert torch.rand(1) == draw
    same, other = train_recogniser(few, 30, seed=4), train_recogniser(few, 30, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.stem.weight, other.stem.weight)
    monkeypatch.undo()
    as_many = train_recogniser(few, 30, seed=4, steps=3)
    assert torch.equal(first.stem.weight, as_many.stem.weight)


def test_place_heading_and_padding_do_not_matter(quick_recogniser, clips):
    joints, lengths = clips.joints[:12, :60], clips.lengths[:12].clamp(max=60)
    moved = turn(joints, torch.linspace(-3, 3, 12)) + torch.tensor([3.0, 0.0, 1.0])
    padded = torch.cat([hold_last_pose(joints, lengths), torch.full((12, 21, 22, 3), torch.nan)], 1)
    for other in (moved, padded):
        ours, theirs = (quick_recogniser.recognise(j, lengths).features for j in (joints, other))
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_body_view_is_in_metres_and_metres_a_second():
    travelling = standing() + 0.05 * torch.arange(40)[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    relative, velocity = body_view(turn(travelling, torch.tensor([1.0]))).unflatten(2, (2, 22, 3)).unbind(2)
    assert relative[..., 0, [0, 2]].abs().max() < 1e-5
    torch.testing.assert_close(velocity[:, 1:].norm(dim=-1), torch.ones(1, 39, 22), atol=1e-3, rtol=0)
    assert (velocity[:, 0] == 0).all()


def test_statistics_are_those_of_the_real_frames():
    inputs, mask = torch.randn(2, 30, 5, generator=seeded()), torch.arange(30) < torch.tensor([[30], [12]])
    mean, deviation = recogniser.statistics(inputs, mask).unflatten(1, (2, 5)).unbind(1)
    torch.testing.assert_close(mean[1], inputs[1, :12].mean(0))
    torch.testing.assert_close(deviation[1], inputs[1, :12].std(0, unbiased=False))


def test_recogniser_round_trip_and_damage(quick_recogniser, clips, tmp_path):
    path = quick_recogniser.save(tmp_path / "judge.pt")
    again = load_recogniser(path)
    assert again.label_names == clips.label_names
    ours, theirs = (r.recognise(clips.joints, clips.lengths) for r in (quick_recogniser, again))
    assert torch.equal(ours.logits, theirs.logits)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        load_recogniser(path)
    with pytest.raises(InputError, match="no recogniser"):
        load_recogniser(tmp_path / "elsewhere.pt")
    torch.save({"recogniser": 99}, path)
    with pytest.raises(InputError, match="another version"):
        load_recogniser(path)


def test_it_reads_real_motion(humanact12_pickle, monkeypatch):
    monkeypatch.setattr(recogniser, "STEPS", 60)
    real = load_clips(f"humanact12:{humanact12_pickle}")
    answer = train_recogniser(real, 60).recognise(real.joints, real.lengths)
    assert metrics.accuracy(answer.logits, real.labels) > 0.7


def test_mask_hides_frames_from_gradients():
    judge, joints = Recogniser(("a", "b")), standing().requires_grad_()
    judge(joints, torch.tensor([25])).logits.sum().backward()
    assert joints.grad[:, 25:].abs().max() == 0 < joints.grad[:, :25].abs().max()
