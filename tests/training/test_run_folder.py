"""Runs in a folder: killed, stopped, resumed, refused."""

import csv
import math
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mdm_lib import InputError, load_clips, train
from mdm_lib.commands.cli import main
from mdm_lib.config import PRESETS
from mdm_lib.training.run_folder import STOP_SIGNALS, RunFolder, resume_point, run_training
from mdm_lib.training.trainer import NonFiniteLoss

TOY = replace(
    PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, batch_size=8, num_frames=20, num_timesteps=20
)


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:24")


def run_cli(*arguments, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "mdm_lib", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, **options)


def read_log(folder):
    return (folder / "log.csv").read_text()


def run_to_end(clips, folder, steps, **options):
    for _ in run_training(clips, TOY, folder, steps=steps, log_every=5, save_every=10, **options):
        pass


def test_kill_9_then_resume_gives_the_same_log(tmp_path):
    arguments = ["train", "--data", "synthetic:48", "--batch-size", 8, "--save_every", 10, "--log_every", 5]
    arguments += ["--steps", 60, "--seed", 3, "--dropout", 0.1]
    straight = run_cli(*arguments, "--out", tmp_path / "straight")
    assert straight.returncode == 0, straight.stderr
    command = [sys.executable, "-m", "mdm_lib", *map(str, arguments), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    log = tmp_path / "killed" / "log.csv"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not (log.exists() and log.read_text().count("\n") > 5):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "mdm_final.pth").exists(), "it finished before it was killed"
    with open(log, "a") as file:
        file.write("999,4,0.1")  # half a row, as a kill may leave
    resumed = run_cli(*arguments, "--out", tmp_path / "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert read_log(tmp_path / "killed") == read_log(tmp_path / "straight")


@pytest.mark.parametrize("stop", STOP_SIGNALS)
def test_a_signal_to_stop_saves_and_says_how_to_go_on(tmp_path, stop):
    command = [sys.executable, "-m", "mdm_lib", "train", "--data", "synthetic:24", "--steps", "100000"]
    command += ["--log_every", "5", "--lang", "en", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Training on synthetic")
    process.stdout.readline()
    process.send_signal(stop)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130 and "Traceback" not in err
    assert "--resume" in out and f"--out {tmp_path}" in out
    with open(tmp_path / "log.csv") as file:
        logged = int(list(csv.DictReader(file))[-1]["step"])
    assert resume_point(tmp_path, {}).training["step"] >= logged > 0


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


def test_what_killed_runs_left_half_written_is_cleared(clips, tmp_path):
    (tmp_path / ".mdm_latest.pth.123.part").write_bytes(b"half")
    list(run_training(clips, TOY, tmp_path, steps=2))
    assert not list(tmp_path.glob(".*.part"))


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


def test_a_finished_run_makes_what_a_kill_prevented(clips, tmp_path):
    """Killed between the final checkpoint and the plot or the small copy, ``--resume`` makes both."""
    command = ["train", "--data", "synthetic:24", "--steps", "2", "--out", str(tmp_path / "run"), "--lang", "en"]
    assert CliRunner().invoke(main, command).exit_code == 0
    (tmp_path / "run" / "loss.png").unlink()
    again = CliRunner().invoke(main, [*command, "--resume", "--share", str(tmp_path / "small.pth")])
    assert again.exit_code == 0 and "This run finished at step 2" in again.output
    assert (tmp_path / "run" / "loss.png").is_file() and (tmp_path / "small.pth").is_file()
    (tmp_path / "run" / "log.csv").write_text("edited\n")
    third = CliRunner().invoke(main, [*command, "--resume", "--share", str(tmp_path / "other.pth")])
    assert third.exit_code == 0 and (tmp_path / "other.pth").is_file() and "loss plot: none" in third.output
