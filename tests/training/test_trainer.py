"""Training: the loss, exact resume, what is kept when things go wrong, several processes."""

import math
import os
import subprocess
import sys
from collections import deque
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mdm_lib import generate, load_checkpoint, load_clips, train
from mdm_lib.config import PRESETS
from mdm_lib.motion.geometry import face_forward
from mdm_lib.training.run_folder import resume_point, run_training
from mdm_lib.training.trainer import Trainer

TOY = replace(
    PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, batch_size=8, num_frames=20, num_timesteps=20
)


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:24")


def trained(*arguments, **options) -> Trainer:
    return deque(train(*arguments, **options), maxlen=1).pop()


def gradient(clips, average: float | torch.Tensor, **changes) -> torch.Tensor:
    """Of a first step, where ``average [T]`` is the average loss at each timestep."""
    trainer, kept = Trainer(clips, replace(TOY, grad_clip=1e9, **changes), 50), []
    trainer.loss_average.mean, trainer.loss_average.update = torch.ones(20) * average, lambda t, loss: None
    trainer.optimizer.step = lambda: kept.extend(p.grad.flatten() for p in trainer.model.parameters())
    trainer.advance()
    return torch.cat(kept)


def test_losses_are_divided_by_their_average(clips):
    flat = gradient(clips, 7.0, balance_timesteps=False)
    torch.testing.assert_close(gradient(clips, 1.0), flat)
    torch.testing.assert_close(gradient(clips, 2.0), flat / 2)
    light = torch.where(torch.arange(20) < 10, 1.0, torch.inf)
    heavy = torch.where(torch.arange(20) < 10, torch.inf, 1.0)
    torch.testing.assert_close(gradient(clips, light) + gradient(clips, heavy), flat, rtol=1e-4, atol=1e-6)


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
    stream = torch.cat([trainer.stream.clips_at(step * 10, 10) for step in range(12)])  # 5 epochs of 24 clips
    for epoch in stream.split(24):
        assert sorted(epoch.tolist()) == list(range(24))
    assert [trainer.stream.epoch_at(step) for step in (1, 3, 12)] == [1, 2, 5]


def test_dropped_conditions_are_a_tenth(clips, monkeypatch):
    trainer, seen = Trainer(clips, replace(TOY, batch_size=64), 50), []
    forward = trainer.model.forward
    trainer.network = lambda x_t, t, labels, mask: seen.append(labels) or forward(x_t, t, labels, mask)
    for _ in range(30):
        trainer.advance()
    dropped = (torch.cat(seen) == trainer.model.condition.null_action).double().mean().item()
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
