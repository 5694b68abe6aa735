"""The stream of clips whose windows vary in length: every clip once an epoch, one length a batch, little padding."""

from dataclasses import replace

import pytest
import torch
from helpers import some_clips

from mdm_lib import PRESETS, InputError, load_clips
from mdm_lib.conditions import vocabulary_of
from mdm_lib.config import Config
from mdm_lib.features.joints import RootVelocity
from mdm_lib.training.stream import ClipStream


def stream_of(clips, **settings) -> ClipStream:
    config = Config(**{"min_frames": 20, "max_frames": 120, "batch_size": 16} | settings)
    return ClipStream(clips, config, vocabulary_of("action").fit(clips), RootVelocity())


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:250")


@pytest.mark.parametrize("batch_size", [7, 16, 64, 300])
def test_every_clip_once_an_epoch(clips, batch_size):
    stream = stream_of(clips, batch_size=batch_size)
    steps = range(3 * 250 // batch_size + 1)
    seen = torch.cat([stream.clips_at(step * batch_size, batch_size) for step in steps]).tolist()
    for epoch in range(3):
        assert sorted(seen[epoch * 250 : (epoch + 1) * 250]) == list(range(250))
    assert seen[:250] != seen[250:500]


def test_batches_have_one_length_each_and_little_padding(clips):
    stream, generator = stream_of(clips), torch.Generator().manual_seed(0)
    masks = [stream.batch(step, generator).mask for step in range(150)]
    lengths = torch.tensor([mask.shape[1] for mask in masks])
    assert lengths.min() >= 20 and lengths.max() == 120
    assert len(lengths.unique()) > 50  # all sorts of lengths
    real = sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)
    assert real > 0.96
    assert all(mask.any(0).all() for mask in masks), "a frame that no clip has"
    plain = stream_of(clips, min_frames=0, max_frames=0, num_frames=120)
    padded = torch.cat([plain.batch(step, generator).mask for step in range(20)])
    assert padded.float().mean() < 0.8  # what batches of any clips would waste


def test_long_windows_are_not_rare(clips):
    stream = stream_of(clips)
    lengths = torch.tensor([stream.frames_at(step, 120) for step in range(4000)])
    assert (lengths == 120).float().mean() == pytest.approx(0.3, abs=0.03)
    rest = lengths[lengths < 120].float()
    assert rest.mean() == pytest.approx(69.5, abs=2) and rest.min() == 20
    assert {stream.frames_at(step, 13) for step in range(50)} == {20}  # clips that are too short are padded
    assert max(stream.frames_at(step, 60) for step in range(50)) == 60


def test_equal_bounds_are_one_length_in_the_order_of_chance():
    clips = some_clips(lengths=(30, 8, 50, 20) * 5, labels=(0, 1, 0, 1) * 5)
    stream = stream_of(clips, min_frames=0, max_frames=0, num_frames=40, batch_size=4)
    shapes = {stream.batch(step, torch.Generator()).x0.shape[1] for step in range(9)}
    assert shapes == {40}


@pytest.mark.parametrize("bounds", [(1, 60, 60), (70, 60, 80), (20, 60, 50), (0, 60, 50), (70, 60, 0)])
def test_bounds_that_exclude_the_models_own_length(bounds):
    shortest, own, longest = bounds
    with pytest.raises(InputError, match="num_frames is 60; it must lie between"):
        Config(min_frames=shortest, num_frames=own, max_frames=longest)
    assert replace(PRESETS["tiny"], num_frames=20).window_range == (20, 120)
    assert Config(num_frames=40).window_range == (40, 40)
