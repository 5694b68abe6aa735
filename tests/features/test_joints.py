"""The representations, and their normaliser."""

import pytest
import torch
from helpers import some_clips
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_lib.data import synthetic_clips
from mdm_lib.features.joints import REPRESENTATIONS, RootVelocity
from mdm_lib.motion.geometry import centre
from mdm_lib.motion.windows import cut_windows
from mdm_lib.training import stream


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


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_fit_in_parts_is_the_fit(name):
    clips = some_clips(lengths=(30, 8, 50, 20, 33, 41), labels=(0, 1, 0, 1, 0, 1))
    whole = REPRESENTATIONS[name]().fit(clips.joints, clips.mask)
    parts = zip(clips.joints.split([1, 3, 2]), clips.mask.split([1, 3, 2]), strict=True)
    in_parts = REPRESENTATIONS[name]().fit_parts(parts)
    torch.testing.assert_close(in_parts.mean, whole.mean)
    torch.testing.assert_close(in_parts.std, whole.std)


def test_some_of_very_many_clips_tell_the_normaliser_enough(monkeypatch):
    clips = synthetic_clips(480)
    of_all, of_some = RootVelocity(), RootVelocity()
    stream.fit_normaliser(of_all, clips, 60, with_mirror=True)
    monkeypatch.setattr(stream, "ENOUGH_CLIPS", 160)
    seen = []
    monkeypatch.setattr(stream, "cut_windows", lambda c, i, s, n: (seen.append(len(i)), cut_windows(c, i, s, n))[1])
    stream.fit_normaliser(of_some, clips, 60, with_mirror=True)
    assert sum(seen) == 3 * 160
    assert torch.allclose(of_some.std, of_all.std, rtol=0.15)
    assert torch.allclose(of_some.mean, of_all.mean, atol=0.05)
