"""Factors read from joints: as true as the generator's own, and blind to place, direction and noise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from mdm_lib.data.synthetic.actions import ACTIONS, PERFORMERS
from mdm_lib.data.synthetic.clips import synthetic_clips
from mdm_lib.data.synthetic.factors import MIN_FRAMES, READINGS, estimate_factors
from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import FPS, mirror, turn
from mdm_lib.motion.skeleton import BONES
from mdm_lib.motion.windows import cut_windows

NUM_FRAMES = 60  # what a model makes, and hardly more than one cycle of the slowest


def windows(clips):
    """A random window of each clip, turned forward: what a model learns from. Joints, lengths, labels."""
    generator = torch.Generator().manual_seed(0)
    slack = (clips.lengths - NUM_FRAMES).clamp(min=0)
    start = (torch.rand(len(clips), generator=generator) * (slack + 1)).long()
    joints, mask = cut_windows(clips, torch.arange(len(clips)), start, NUM_FRAMES)
    return joints, mask.sum(1), clips.labels


def as_if_learnt(joints):
    """Bones whose length drifts by 1 %, each in its own rhythm, and joints that jitter by 3 mm."""
    generator = torch.Generator().manual_seed(0)
    seconds, noisy = torch.arange(joints.shape[1]) / FPS, joints.clone()
    for parent, child in BONES:
        rhythm, start = torch.rand(2, len(joints), 1, generator=generator)
        drift = 1 + 0.01 * torch.sin(2 * torch.pi * (rhythm * seconds + start))
        noisy[:, :, child] = noisy[:, :, parent] + drift[..., None] * (joints[:, :, child] - joints[:, :, parent])
    return noisy + 0.003 * torch.randn(joints.shape, generator=generator)


@pytest.fixture(scope="module")
def clips():
    return synthetic_clips(360, seed=11)


@pytest.fixture(scope="module")
def estimates(clips):
    joints, lengths, labels = windows(clips)
    return {
        "full clips": estimate_factors(clips.joints, clips.lengths, labels),
        "windows": estimate_factors(joints, lengths, labels),
        "noisy windows": estimate_factors(as_if_learnt(joints), lengths, labels),
    }


@pytest.fixture(scope="module")
def one_of_each():
    """A window of each action, without padding."""
    clips = synthetic_clips(120, seed=12)
    long = clips.select(clips.lengths >= NUM_FRAMES)
    first = torch.stack([(long.labels == label).nonzero()[0, 0] for label in range(len(ACTIONS))])
    return windows(long.select(first))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("shown", ["full clips", "windows", "noisy windows"])
def test_tempo_and_amplitude_are_those_of_the_generator(clips, estimates, shown, action):
    rows = clips.labels == ACTIONS.index(action)
    for name, tolerance in (("tempo", 0.015), ("amplitude", 0.07)):
        estimate, truth = estimates[shown][name][rows], clips.factors[name][rows]
        assert torch.corrcoef(torch.stack([estimate, truth]))[0, 1] > 0.97, name
        assert (estimate - truth).abs().quantile(0.95) < tolerance, name


@pytest.mark.parametrize("shown", ["full clips", "windows", "noisy windows"])
def test_side_and_speed_are_those_of_the_generator(clips, estimates, shown):
    assert torch.equal(estimates[shown]["side"], clips.factors["side"])
    torch.testing.assert_close(estimates[shown]["speed"], clips.factors["speed"], atol=0.05, rtol=0.02)


def test_distributions_are_told_apart(clips, estimates):
    """What the estimates are for: fresh data look like the data, and data of small amplitude do not."""
    fresh = synthetic_clips(360, seed=13)
    other = estimate_factors(*windows(fresh))
    timid = clips.factors["amplitude"] < 0.95
    assert ks_2samp(estimates["windows"]["tempo"], other["tempo"]).statistic < 0.1
    assert ks_2samp(estimates["windows"]["amplitude"], other["amplitude"]).statistic < 0.1
    assert ks_2samp(estimates["windows"]["amplitude"][timid], other["amplitude"]).statistic > 0.4


def test_who_freezes_has_no_amplitude(one_of_each):
    joints, lengths, labels = one_of_each
    frozen = estimate_factors(joints[:, :1].expand_as(joints), lengths, labels)
    assert (frozen["amplitude"] < 0.4).all()  # the timidest of the data have 0.75
    assert (frozen["amplitude"] >= 0).all()
    assert (frozen["speed"] == 0).all()


# ---------------------------------------------------------------------------- what changes nothing, and what does


@settings(max_examples=6, deadline=None)
@given(angle=st.floats(-3.1, 3.1), x=st.floats(-3, 3), up=st.floats(-0.5, 0.5), z=st.floats(-3, 3))
def test_turning_and_shifting_change_nothing(one_of_each, angle, x, up, z):
    joints, lengths, labels = one_of_each
    moved = turn(joints, torch.full((len(joints),), angle)) + torch.tensor([x, up, z])
    before, after = estimate_factors(joints, lengths, labels), estimate_factors(moved, lengths, labels)
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=2e-3, rtol=0)


def test_a_mirror_exchanges_the_sides_and_nothing_else(one_of_each):
    joints, lengths, labels = one_of_each
    before, after = estimate_factors(joints, lengths, labels), estimate_factors(mirror(joints), lengths, labels)
    assert torch.equal(after["side"], -before["side"])
    assert before["side"].abs().sum() == 5
    for name in ("tempo", "amplitude", "speed"):
        torch.testing.assert_close(after[name], before[name], atol=2e-3, rtol=0)


@settings(max_examples=6, deadline=None)
@given(size=st.floats(0.8, 1.25))
def test_giants_are_faster_but_not_livelier(one_of_each, size):
    joints, lengths, labels = one_of_each
    before, after = estimate_factors(joints, lengths, labels), estimate_factors(size * joints, lengths, labels)
    torch.testing.assert_close(after["speed"], size * before["speed"])
    weightless = labels != ACTIONS.index("jump")  # whose curve would need another gravity
    for name in ("tempo", "amplitude"):
        torch.testing.assert_close(after[name][weightless], before[name][weightless], atol=5e-3, rtol=0)


@settings(max_examples=6, deadline=None)
@given(faster=st.floats(0.9, 1.1))
def test_played_faster_the_tempo_is_higher(one_of_each, faster):
    joints, lengths, labels = one_of_each
    frames = torch.arange(0, NUM_FRAMES - 1, faster)
    share = (frames % 1)[:, None, None]
    played = torch.lerp(joints[:, frames.long()], joints[:, frames.long() + 1], share)
    before = estimate_factors(joints, lengths, labels)
    after = estimate_factors(played, torch.full_like(lengths, len(frames)), labels)
    torch.testing.assert_close(after["tempo"], faster * before["tempo"], atol=0, rtol=0.03)
    torch.testing.assert_close(after["speed"], faster * before["speed"], atol=0, rtol=0.03)


def test_padding_is_not_looked_at(one_of_each):
    joints, lengths, labels = one_of_each
    cut = joints.clone()
    cut[:, 50:] = 100.0
    shorter = torch.full_like(lengths, 50)
    expected = estimate_factors(joints[:, :50], shorter, labels)
    for name, value in estimate_factors(cut, shorter, labels).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=0)


def test_a_motion_is_read_alike_alone_and_in_company(one_of_each):
    joints, lengths, labels = one_of_each
    together, again = estimate_factors(joints, lengths, labels), estimate_factors(joints, lengths, labels)
    for name, value in together.items():
        assert torch.equal(value, again[name])
        alone = [estimate_factors(*(x[k : k + 1] for x in one_of_each))[name] for k in range(len(ACTIONS))]
        torch.testing.assert_close(torch.cat(alone), value, atol=2e-3, rtol=0)


# ---------------------------------------------------------------------------- the table, and what cannot be read


def test_every_action_has_a_reading_and_the_one_sided_tell_the_side():
    assert tuple(READINGS) == ACTIONS
    assert [reading.leads is not None for reading in READINGS.values()] == [entry.one_sided for entry in PERFORMERS]


def test_no_motions_have_no_factors():
    none = torch.zeros(0, dtype=torch.long)
    assert {name: len(value) for name, value in estimate_factors(torch.zeros(0, 60, 22, 3), none, none).items()} == {
        "tempo": 0, "amplitude": 0, "side": 0, "speed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": torch.zeros(12, 60, 24, 3)}, r"\[12, 60, 24, 3\]"),
        ({"joints": torch.zeros(60, 22, 3)}, r"\[60, 22, 3\]"),
        ({"joints": torch.full((12, 60, 22, 3), torch.nan)}, "motion 0 has NaN"),
        ({"lengths": torch.full((11,), 60)}, r"lengths must be \[12\]"),
        ({"labels": torch.zeros(12, 1, dtype=torch.long)}, r"labels must be \[12\]"),
        ({"lengths": torch.tensor([60] * 11 + [61])}, "motion 11 has a length"),
        ({"lengths": torch.tensor([MIN_FRAMES - 1] + [60] * 11)}, "motion 0 has a length"),
        ({"labels": torch.arange(1, 13)}, "motion 11 has a label outside 0 to 11"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_so(one_of_each, changes, message):
    given = dict(zip(("joints", "lengths", "labels"), one_of_each, strict=True)) | changes
    with pytest.raises(InputError, match=message):
        estimate_factors(**given)
