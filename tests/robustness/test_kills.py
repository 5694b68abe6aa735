"""Trainings that are killed, stopped, or left alone by whoever watched them: nothing is lost, and the rest is the same.

A few kills in the usual run; MDM_ROBUSTNESS=20 tries twenty times as many, and MDM_SEED=1 other moments.
"""

import csv
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mdm_lib import load_checkpoint
from mdm_lib.commands.cli import main
from mdm_lib.training.run_folder import STOP_SIGNALS, RunFolder, resume_point

EFFORT = int(os.environ.get("MDM_ROBUSTNESS", "1"))
SEED = int(os.environ.get("MDM_SEED", "0"))
STEPS = 40 + 30 * EFFORT  # so that there is time for all kills
RUN = ["train", "--data", "synthetic:48", "--batch-size", "8", "--save_every", "5", "--log_every", "5", "--lang", "en",
       "--steps", str(STEPS), "--seed", "3", "--dropout", "0.1"]  # fmt: skip


def start(folder: Path, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "mdm_lib", *RUN, "--out", str(folder), *arguments]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}, **options)


def rows(folder: Path) -> int:
    log = folder / "log.csv"
    return log.read_text().count("\n") - 1 if log.exists() else 0


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """The folder of the same run, never killed."""
    folder = tmp_path_factory.mktemp("straight")
    assert start(folder).wait(600) == 0
    return folder


def test_killed_at_random_moments_it_ends_as_if_it_never_was(straight, tmp_path):
    draws, kills = random.Random(SEED), 0
    while kills < 2 * EFFORT:
        process, before = start(tmp_path, *(["--resume"] if kills else [])), rows(tmp_path)
        deadline = time.monotonic() + 600
        while process.poll() is None and rows(tmp_path) <= before and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(draws.uniform(0, 0.05))
        process.kill()
        process.wait()
        assert not (tmp_path / "mdm_final.pth").exists(), f"it finished before kill {kills + 1}"
        newest = RunFolder(tmp_path).newest_checkpoint()
        assert newest is None or load_checkpoint(newest).training["step"] % 5 == 0
        kills += 1
    with open(tmp_path / "log.csv", "a") as file:
        file.write("999,4,0.1")  # half a row, as a kill may leave
    (tmp_path / ".mdm_latest.pth.123.part").write_bytes(b"half")
    assert start(tmp_path, "--resume").wait(600) == 0
    assert (tmp_path / "log.csv").read_text() == (straight / "log.csv").read_text()
    ours, theirs = (load_checkpoint(folder / "mdm_final.pth") for folder in (tmp_path, straight))
    for name, weight in theirs.training["weights"].items():
        assert torch.equal(ours.training["weights"][name], weight), name
    assert not list(tmp_path.glob(".*.part"))


def test_a_training_outlives_its_reader(straight, tmp_path):
    """``train … | head -1``: nobody reads on, and the run ends all the same."""
    process = start(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"Training on synthetic")
    process.stdout.close()
    process.stderr.close()
    assert process.wait(600) == 0
    assert (tmp_path / "log.csv").read_text() == (straight / "log.csv").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_training_outlives_the_disk_that_its_messages_fill(straight, tmp_path):
    with open("/dev/full", "w") as full:
        assert start(tmp_path, stdout=full).wait(600) == 0
    assert (tmp_path / "log.csv").read_text() == (straight / "log.csv").read_text()


@pytest.mark.parametrize("stop", STOP_SIGNALS)
def test_a_signal_to_stop_saves_and_says_how_to_go_on(tmp_path, stop):
    process = start(tmp_path, "--steps", "100000", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Training on synthetic")
    process.stdout.readline()
    process.send_signal(stop)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130 and "Traceback" not in err
    assert "--resume" in out and f"--out {tmp_path}" in out
    with open(tmp_path / "log.csv") as file:
        logged = int(list(csv.DictReader(file))[-1]["step"])
    assert resume_point(tmp_path, {}).training["step"] >= logged > 0


def test_a_finished_run_makes_what_a_kill_prevented(tmp_path):
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
