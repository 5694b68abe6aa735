"""Training: the loss, exact resume, what is kept when things go wrong, several processes."""

import csv
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mdm_lib import InputError, generate, load_checkpoint, load_clips, train
from mdm_lib.config import PRESETS, Config
from mdm_lib.data.clips import face_forward
from mdm_lib.runs import RunFolder, resume_point, run_training
from mdm_lib.training import NonFiniteLoss, Trainer, UsualLoss, learning_rate, masked_mse, training_loss

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


def trained(*arguments, **options) -> Trainer:
    return deque(train(*arguments, **options), maxlen=1).pop()


def test_loss_by_hand():
    x0, pred = torch.zeros(1, 3, 1), torch.tensor([[[1.0], [3.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    loss, mse, vel = training_loss(pred, x0, mask, vel_weight=10.0)
    assert (mse.item(), vel.item(), loss.item()) == (5.0, 4.0, 45.0)


def test_short_clips_count_as_much_as_long_ones():
    x0, mask = torch.zeros(2, 4, 1), torch.tensor([[True] * 4, [True, False, False, False]])
    pred = torch.tensor([1.0, 3.0])[:, None, None].expand(2, 4, 1)
    assert masked_mse(pred, x0, mask).tolist() == [1.0, 9.0]


def test_padding_carries_no_loss():
    x0, mask = torch.randn(4, 10, 6), torch.ones(4, 10, dtype=torch.bool)
    mask[:, 7:] = False
    pred = x0.clone()
    pred[:, 7:] += 5
    assert all((part == 0).all() for part in training_loss(pred, x0, mask, 10.0))


def test_usual_loss_is_the_mean_of_each_timesteps_recent_losses():
    usual = UsualLoss(3, torch.device("cpu"))
    usual.update(torch.tensor([0, 0, 2]), torch.tensor([4.0, 8.0, 5.0]))
    usual.update(torch.tensor([0]), torch.tensor([9.0]))
    assert usual.mean.tolist() == [7.0, 1.0, 5.0] and usual.seen.tolist() == [3, 0, 1]
    for _ in range(500):  # what is long ago is forgotten
        usual.update(torch.tensor([0, 2]), torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(usual.mean, torch.tensor([0.5, 1.0, 2.0]), atol=1e-3, rtol=0)
    usual.update(torch.zeros(500, dtype=torch.long), torch.full((500,), 3.0))  # more at once than are remembered
    assert usual.mean[0].item() == pytest.approx(3.0)


def gradient(clips, usual: float | torch.Tensor, **changes) -> torch.Tensor:
    """Of a first step, where losses of ``usual [T]`` are usual."""
    trainer, kept = Trainer(clips, replace(TOY, grad_clip=1e9, **changes), 50), []
    trainer.usual.mean, trainer.usual.update = torch.ones(20) * usual, lambda t, loss: None
    trainer.optimizer.step = lambda: kept.extend(p.grad.flatten() for p in trainer.model.parameters())
    trainer.advance()
    return torch.cat(kept)


def test_losses_are_divided_by_what_is_usual(clips):
    flat = gradient(clips, 7.0, like_weights=False)
    torch.testing.assert_close(gradient(clips, 1.0), flat)
    torch.testing.assert_close(gradient(clips, 2.0), flat / 2)
    light = torch.where(torch.arange(20) < 10, 1.0, torch.inf)
    heavy = torch.where(torch.arange(20) < 10, torch.inf, 1.0)
    torch.testing.assert_close(gradient(clips, light) + gradient(clips, heavy), flat, rtol=1e-4, atol=1e-6)


def test_learning_rate_warms_up_and_decays():
    config = Config(lr=1e-3, final_lr=1e-5, warmup_steps=10)
    rates = [learning_rate(step, 1000, config) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-4) and max(rates) > 0.99e-3 and rates[-1] == pytest.approx(1e-5, rel=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_it_learns_one_clip_by_heart(clips):
    """The whole path: after a short training on one jump, sampling gives that jump back."""
    one = clips.select(torch.tensor([3]))
    frames = min(20, int(one.lengths[0]))
    one = replace(one, joints=one.joints[:, :frames], lengths=torch.tensor([frames]))
    config = replace(TOY, latent_dim=64, num_layers=2, ff_size=128, batch_size=16, mirror=False, ema_decay=0.98)
    motion = generate(trained(one, config, steps=400).checkpoint(), 3, num_steps=10)
    assert (motion - face_forward(one.joints)).norm(dim=-1).mean() < 0.05  # metres


def test_every_clip_is_seen_once_an_epoch(clips):
    trainer = Trainer(clips, replace(TOY, batch_size=10), 100)
    stream = torch.cat([trainer._clip_stream(step * 10, 10) for step in range(12)])  # 5 epochs of 24 clips
    for epoch in stream.split(24):
        assert sorted(epoch.tolist()) == list(range(24))
    assert trainer.epoch_at(1) == 1 and trainer.epoch_at(3) == 2 and trainer.epoch_at(12) == 5


def test_dropped_conditions_are_a_tenth(clips, monkeypatch):
    trainer, seen = Trainer(clips, replace(TOY, batch_size=64), 50), []
    forward = trainer.model.forward
    trainer.network = lambda x_t, t, labels, mask: seen.append(labels) or forward(x_t, t, labels, mask)
    for _ in range(30):
        trainer.advance()
    dropped = (torch.cat(seen) == trainer.model.null_action).double().mean().item()
    assert dropped == pytest.approx(0.1, abs=0.03)


def test_weights_move_and_the_average_follows(clips):
    trainer = Trainer(clips, TOY, 50)
    before = trainer.model.to_features.weight.detach().clone()
    for _ in range(20):
        trainer.advance()
    moved = (trainer.model.to_features.weight - before).norm()
    behind = (trainer.model.to_features.weight - trainer.ema.to_features.weight).norm()
    assert 0 < behind < moved


def read_log(folder):
    return (folder / "log.csv").read_text()


def run_to_end(clips, folder, steps, **options):
    for _ in run_training(clips, TOY, folder, steps=steps, log_every=5, save_every=10, **options):
        pass


def test_resume_is_exact_from_every_checkpoint(clips, tmp_path):
    config = replace(TOY, dropout=0.1)
    straight = tmp_path / "straight"
    for _ in run_training(clips, config, straight, steps=37, log_every=5, save_every=10):
        pass
    for stop_at in (10, 23):
        folder = tmp_path / str(stop_at)
        for kind, trainer, _, _ in run_training(clips, config, folder, steps=37, log_every=5, save_every=10):
            if kind == "step" and trainer.step == stop_at + 3:
                break
        for _ in run_training(clips, config, folder, resume=resume_point(folder, {}), log_every=5, save_every=10):
            pass
        assert read_log(folder) == read_log(straight)
        ends = [load_checkpoint(f / "mdm_final.pth").model.state_dict() for f in (folder, straight)]
        for name, weight in ends[0].items():
            assert torch.equal(weight, ends[1][name]), name


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


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "mdm_lib", "train", "--data", "synthetic:24", "--steps", "100000"]
    command += ["--log_every", "5", "--lang", "en", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Training on synthetic")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130 and "Traceback" not in err
    assert "--resume" in out and f"--out {tmp_path}" in out
    with open(tmp_path / "log.csv") as file:
        logged = int(list(csv.DictReader(file))[-1]["step"])
    assert resume_point(tmp_path, {}).training["step"] >= logged > 0


def test_resume_from_python_takes_the_checkpoints_recipe_and_budget(clips):
    steps = train(clips, TOY, steps=6)
    early = [next(steps).checkpoint() for _ in range(3)][-1]
    assert early.training["step"] == 3
    through, resumed = trained(clips, TOY, steps=6), trained(clips, resume=early)
    assert resumed.config == TOY and resumed.step == 6
    assert torch.equal(through.model.to_features.weight, resumed.model.to_features.weight)


def test_ctrl_c_in_a_notebook_leaves_a_usable_trainer(clips):
    steps = train(clips, TOY, steps=50)
    trainer = next(steps)
    steps.close()
    assert generate(trainer.checkpoint(), "jump", num_steps=2).isfinite().all()


def test_budgets(clips):
    by_epochs = next(train(clips, TOY, epochs=5))
    assert by_epochs.total_steps == math.ceil(5 * 24 / 8)
    by_minutes = trained(clips, TOY, minutes=0.01)
    assert by_minutes.step == by_minutes.total_steps > 20
    assert by_minutes.checkpoint().training["total_steps"] == by_minutes.total_steps


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


WORKER = """
import sys, torch
from dataclasses import replace
from mdm_lib import PRESETS, load_clips, runtime, train
torch.set_num_threads(1)
config = replace(PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, batch_size=8, num_frames=70,
                 warmup_steps=1, lr=1e-2)
with runtime.process_group(torch.device("cpu")):
    losses = []
    for trainer in train(load_clips("synthetic:24"), config, steps=60, precision="fp32"):
        losses.append(trainer.losses())
    torch.save({"losses": losses, "weights": trainer.model.state_dict(), "ema": trainer.ema.state_dict()},
               f"{sys.argv[1]}/{trainer.world_size}-{trainer.rank}.pt")
"""


def test_two_processes_train_as_one(tmp_path):
    """Clips shorter than the window make the processes' shares of real frames unequal, which must not matter."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launcher in ([sys.executable], torchrun):
        result = subprocess.run(
            [*launcher, str(script), str(tmp_path)], env=environment, capture_output=True, text=True, timeout=600
        )
        assert result.returncode == 0, result.stderr[-2000:]
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    for part in ("weights", "ema"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part])
    for ours, theirs in zip(first["losses"][:12], alone["losses"][:12], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["vel"] == pytest.approx(theirs["vel"], rel=1e-4)
    first, last = (sum(row["loss"] for row in rows) for rows in (first["losses"][:15], first["losses"][-15:]))
    assert last < 0.8 * first


class Watch(TorchDispatchMode):
    """Collects the names of all operations."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen = {*getattr(self, "seen", ()), str(func)}
        return func(*args, **(kwargs or {}))


def test_a_step_never_waits_for_the_device(clips):
    """No operation whose result the CPU must read: on a GPU each of them would wait for all work before it."""
    trainer = Trainer(clips, TOY, 50)
    trainer.advance()  # makes the constants and the order of the epoch
    with Watch() as watch:
        trainer.advance()
    waiting = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "is_nonzero", "equal.default")
    assert "aten.addmm.default" in watch.seen
    assert not [name for name in watch.seen if any(word in name for word in waiting)]
