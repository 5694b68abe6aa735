"""Runs in a folder: killed, stopped, resumed, refused."""

import csv
import math
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mdm_lib import InputError, load_clips, train
from mdm_lib.config import PRESETS
from mdm_lib.training.run_folder import RunFolder, resume_point, run_training
from mdm_lib.training.trainer import NonFiniteLoss

TOY = replace(
    PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, batch_size=8, num_frames=20, num_timesteps=20
)


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:24")


def read_log(folder):
    return (folder / "log.csv").read_text()


def run_to_end(clips, folder, steps, **options):
    for _ in run_training(clips, TOY, folder, steps=steps, log_every=5, save_every=10, **options):
        pass


def test_a_nan_stops_with_step_rate_and_last_good_checkpoint(clips, tmp_path):
    events = run_training(clips, TOY, tmp_path, steps=40, log_every=5, save_every=10)
    with pytest.raises(InputError, match=r"at step 18 \(learning rate .*last good checkpoint is .*mdm_epoch4\.pth"):
        for _, trainer, _, _ in events:
            if trainer.step == 17:
                with torch.no_grad():
                    trainer.model.to_features.bias.fill_(math.nan)
    assert resume_point(tmp_path, {}).training["step"] == 10
    assert not (tmp_path / "mdm_final.pth").exists()


def test_nan_weights_are_never_saved(clips, tmp_path):
    trainer = next(train(clips, TOY, steps=5))
    with torch.no_grad():
        trainer.model.to_features.bias.fill_(math.nan)
    with pytest.raises(NonFiniteLoss):
        RunFolder(tmp_path).save(trainer, "mdm_latest.pth")
    assert not list(tmp_path.iterdir())


def test_a_used_folder_other_data_and_other_settings_are_refused(clips, tmp_path):
    run_to_end(clips, tmp_path, 12)
    with pytest.raises(InputError, match="--resume"):
        RunFolder(tmp_path).refuse_if_used()
    with pytest.raises(InputError, match=r"lr 0\.003, not 0\.1"):
        resume_point(tmp_path, {"lr": 0.1})
    others = load_clips("synthetic:36")
    with pytest.raises(InputError, match="other data"):
        run_to_end(others, tmp_path, 20, resume=resume_point(tmp_path, {}))


def test_resume_finds_the_furthest_readable_checkpoint(clips, tmp_path):
    run_to_end(clips, tmp_path, 32)
    final = tmp_path / "mdm_final.pth"
    assert RunFolder(tmp_path).newest_checkpoint() == final
    final.write_bytes(final.read_bytes()[:1000])
    assert resume_point(tmp_path, {}).training["step"] == 30
    assert resume_point(tmp_path / "empty", {}) is None


def test_a_finished_run_can_be_made_longer(clips, tmp_path):
    run_to_end(clips, tmp_path, 12)
    run_to_end(clips, tmp_path, 20, resume=resume_point(tmp_path, {}))
    with open(tmp_path / "log.csv") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [5, 10, 12, 15, 20]


def test_a_full_disk_keeps_the_old_checkpoint(clips, tmp_path):
    """A file size limit stands in for the full disk: the write fails half way, by the same road."""
    checkpoint = next(train(clips, TOY, steps=5)).checkpoint()
    path = checkpoint.save(tmp_path / "mdm_latest.pth")
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        with pytest.raises(InputError, match=r"cannot write .*mdm_latest.pth.*untouched"):
            checkpoint.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["mdm_latest.pth"]


def test_one_folder_one_run(clips, tmp_path):
    first = run_training(clips, TOY, tmp_path, steps=40)
    next(first)
    with pytest.raises(InputError, match="another training is writing into"):
        next(run_training(clips, TOY, tmp_path, steps=40))
    first.close()
    next(run_training(clips, TOY, tmp_path, steps=40))  # free again


@pytest.mark.parametrize("log", [b"\xff\xfe\x00rubbish", b"step,epoch\n1,1", b"", "\u00b2,1,1,1,1,1\n".encode()])
def test_a_log_that_somebody_edited_does_not_stop_a_training(clips, tmp_path, log):
    list(run_training(clips, TOY, tmp_path, steps=4, log_every=2))
    (tmp_path / "log.csv").write_bytes(log)
    list(run_training(clips, TOY, tmp_path, steps=6, log_every=2, resume=resume_point(tmp_path, {})))
    assert read_log(tmp_path).splitlines()[-1].startswith("6,")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_log_that_is_no_file_is_a_line_and_no_hang(clips, tmp_path, make):
    make(tmp_path / "log.csv")
    with pytest.raises(InputError, match=r"log\.csv is no plain file"):
        list(run_training(clips, TOY, tmp_path, steps=2))
