"""Every draw of ours comes from generators of our own: the reader's random states are the same before and after."""

import random
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch

from mdm_lib import PRESETS, asset_path, generate, load_checkpoint, load_clips, sample
from mdm_lib.evaluation import load_recogniser, recogniser, train_recogniser
from mdm_lib.training import Trainer
from mdm_lib.visualise import MotionPlayer, attention, film_strip
from mdm_lib.widgets import attention_explorer, noise_explorer, sampler_explorer

CLIPS = load_clips("synthetic:24")
CONFIG = replace(
    PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, dropout=0.1, batch_size=8, num_frames=20,
    num_timesteps=10,
)  # fmt: skip


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.fixture
def untouched():
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    before = states()
    yield
    assert states() == before


@pytest.fixture(scope="module")
def trainer():
    return Trainer(CLIPS, CONFIG, 20)


def test_making_a_trainer(untouched):
    Trainer(CLIPS, CONFIG, 20)


def test_a_training_step(untouched, trainer):
    trainer.advance()
    trainer.checkpoint()


def test_a_sample(untouched):
    checkpoint = load_checkpoint(asset_path("synthetic.pth"))
    for sampler in ("ddpm", "ddim", "dpm_solver"):
        deque(sample(checkpoint, "jump", sampler=sampler, num_steps=2, eta=0.5 if sampler == "ddim" else 0), maxlen=0)
    generate(checkpoint, "jump", num_steps=2)
    attention(checkpoint, torch.zeros(1, 60, 66), 3, "jump", 0)


def test_a_recogniser_trained_saved_and_opened(untouched, monkeypatch, tmp_path):
    monkeypatch.setattr(recogniser, "BATCH_SIZE", 8)
    load_recogniser(train_recogniser(CLIPS, 20, steps=2).save(tmp_path / "r.pt"))


def test_explorers_and_pictures(untouched):
    checkpoint = load_checkpoint(asset_path("synthetic.pth"))
    noise_explorer(CLIPS), attention_explorer(checkpoint, CLIPS), sampler_explorer(checkpoint)
    MotionPlayer(CLIPS.joints[:1]), film_strip(CLIPS.joints[:1])


def test_clips_and_their_split(untouched):
    load_clips("synthetic:24").split()


def test_the_readers_states_change_nothing(trainer):
    """The other way round: what the reader draws between two steps is not seen by the training."""
    losses = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        again = Trainer(CLIPS, CONFIG, 20)
        for _ in range(3):
            torch.rand(seed)
            again.advance()
        losses.append(again.losses())
    assert losses[0] == losses[1]
