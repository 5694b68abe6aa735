"""The training loop: draw t and noise, hide the motion in it, learn to answer with the motion."""

import contextlib
import copy
import math
import time
import warnings
from collections import deque
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mdm_lib.checkpoint import Checkpoint, build
from mdm_lib.conditions import vocabulary_of
from mdm_lib.config import PRESETS, Config
from mdm_lib.errors import InputError
from mdm_lib.guidance import plain_scale
from mdm_lib.motion.clips import MotionClips
from mdm_lib.reading import shown
from mdm_lib.runtime import PRECISIONS, autocast, learning, pick_device, seed_of, seeded
from mdm_lib.scheduler import NoiseScheduler
from mdm_lib.training.objective import TimestepLossAverage, learning_rate, training_loss
from mdm_lib.training.stream import Batch, ClipStream, corrupt, fit_normaliser
from mdm_lib.words import known, plain_number, plain_whole

#: A budget in minutes becomes a number of steps after this many measured ones.
LONGEST_MINUTES = 366 * 24 * 60
WARMING_STEPS, MEASURED_STEPS = 3, 20


class NonFiniteLoss(InputError):
    """The loss became NaN or infinite; the weights from there on are of no use."""


class Trainer:
    """All that changes while a model trains, and the one step that changes it.

    Every random draw of step n comes from a generator seeded by (``config.seed``, n), so seed and step *are* the
    random state: a resumed run draws what an uninterrupted one would, and a reader's own generators stay as they are.

    Args:
        total_steps: of the whole run, ``None`` while unknown.
        guidance_scale: what its checkpoints are sampled with unless ``sample`` is told otherwise.

    Attributes:
        step: optimiser steps done.
        model, ema: the trained weights, and their moving average, which is what one samples from.
        stream: the clips, as batches.
        loss_average: the average loss at each timestep.
    """

    @learning()
    def __init__(
        self, clips: MotionClips, config: Config, total_steps: int | None = None, *,
        guidance_scale: float = 1.0, device: torch.device | None = None, precision: str = "auto", compile: bool = False,
    ):  # fmt: skip
        self.config, self.precision = config, known("precision", precision, PRECISIONS)
        self.total_steps = None if total_steps is None else plain_whole("steps", total_steps, 1)
        self.guidance_scale = plain_scale(guidance_scale)
        self.device = pick_device(device)
        self.rank, self.world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if config.batch_size % self.world_size:
            raise InputError(f"batch_size {config.batch_size} cannot be shared by {self.world_size} processes evenly")
        self.fingerprint = clips.fingerprint()
        refuse_if_different("clips", {f"{clips.source}, {len(clips)}": self.fingerprint})
        refuse_if_different("settings", {f"{name} {value}": value for name, value in config.to_dict().items()})
        self.clips = clips.to(self.device)
        self.vocabulary = vocabulary_of(config.condition).fit(clips)
        with seeded(config.seed, self.device):
            self.representation, self.model = build(config, self.vocabulary, clips.skeleton)
        fit_normaliser(self.representation, self.clips, config.window_range[1], config.mirror)
        self.stream = ClipStream(self.clips, config, self.vocabulary, self.representation)
        self.model.to(self.device).train()
        self.ema = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.scheduler = NoiseScheduler(config.num_timesteps, config.schedule).to(self.device)
        self.loss_average = TimestepLossAverage(config.num_timesteps).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=self.device.type != "mps"
        )
        network = torch.compile(self.model) if compile else self.model
        self.network = DistributedDataParallel(network) if self.world_size > 1 else network
        self.step = 0
        self.recent: deque[Tensor] = deque(maxlen=1000)  # (loss, mse, vel) of steps not yet read, on the device
        self._generator = torch.Generator(self.device)

    @property
    def source(self) -> str:
        """What the clips are, in a few words."""
        return self.clips.source

    @property
    def epoch(self) -> int:
        """The pass over the clips that the last step was in, counted from 1."""
        return self.stream.epoch_at(self.step)

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return learning_rate(max(0, self.step - 1), self.total_steps, self.config)

    @learning()
    def advance(self, batch: Batch | None = None, generator: torch.Generator | None = None) -> None:
        """One optimiser step. Nothing here waits for the device.

        Args:
            batch: to learn from, instead of this step's own clips.
            generator: what everything but dropout is drawn from, instead of this step's own.
        """
        config, draws = self.config, generator or self._generator.manual_seed(seed_of(self.config.seed, self.step, 0))
        # Draw: the same in every process, of which each then takes its share.
        x0, mask, told = batch or self.stream.batch(self.step, draws)
        x_t, t, told = corrupt(x0, told, self.scheduler, self.model.condition, config.cond_mask_prob, draws)
        x0, mask, told, x_t, t = (part[self._own_share()] for part in (x0, mask, told, x_t, t))
        # Predict.
        with self._dropout_draws(), autocast(self.device, self.precision, config.latent_dim):
            pred_x0 = self.network(x_t, t, told, mask)
        # Compare.
        losses = torch.stack(training_loss(pred_x0.float(), x0, mask, config.vel_weight))  # [3, B]
        self.loss_average.update(t, losses[0])
        weight = self.loss_average(t) if config.balance_timesteps else 1.0
        # Learn.
        self.optimizer.zero_grad(set_to_none=True)
        (weight * losses[0]).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.total_steps, config)
        self.optimizer.step()
        self.step += 1
        self._update_ema()
        self.recent.append(losses.detach().mean(1))

    def losses(self) -> dict[str, float]:
        """Mean ``loss``, ``mse`` and ``vel`` of the steps since they were last read, unweighted. Waits for the device.

        Raises:
            NonFiniteLoss: when one of them is not a number; the message names the step.
        """
        recent = torch.stack(list(self.recent))
        if self.world_size > 1:
            dist.all_reduce(recent)
            recent /= self.world_size
        bad = (~recent.isfinite()).any(1).nonzero()
        if len(bad):
            step = self.step - len(recent) + int(bad[0]) + 1
            rate = learning_rate(step - 1, self.total_steps, self.config)
            raise NonFiniteLoss(f"the loss is not a number at step {step} (learning rate {rate:.2g})")
        self.recent.clear()
        return dict(zip(("loss", "mse", "vel"), recent.cpu().double().mean(0).tolist(), strict=True))

    def checkpoint(self) -> Checkpoint:
        """A copy of everything, to sample from, to save, or to resume."""
        training = {
            "step": self.step,
            "total_steps": self.total_steps,
            "fingerprint": self.fingerprint,
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loss_average": self.loss_average.state_dict(),
            "recent": list(self.recent),
            "threads": torch.get_num_threads(),
        }
        return Checkpoint(
            self.config, self.vocabulary, copy.deepcopy(self.representation), copy.deepcopy(self.ema),
            self.source, copy.deepcopy(training), self.clips.skeleton, self.clips.fps, self.guidance_scale,
        )  # fmt: skip

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint`` as if training had never stopped.

        Raises:
            InputError: it holds no training state, or it was trained on other clips.
        """
        training, threads = checkpoint.resumable(), torch.get_num_threads()
        if training["fingerprint"] != self.fingerprint:
            raise InputError(
                f"the checkpoint was trained on other data ({checkpoint.source}) than this ({self.source}); "
                "give the same --data, or train into another folder"
            )
        if self.device.type == "cpu" and training.get("threads", threads) != threads:
            warnings.warn(
                f"this run was saved with {shown(training['threads'])} threads and goes on with {threads}: sums are "
                "rounded in another order, so the rest will not be equal to the last bit (OMP_NUM_THREADS sets them)",
                stacklevel=2,
            )
        self.model.load_state_dict(training["weights"])
        self.ema.load_state_dict(checkpoint.model.state_dict())
        self.representation.load_state_dict(checkpoint.representation.state_dict())
        self.optimizer.load_state_dict(training["optimizer"])
        self.loss_average.load_state_dict(training["loss_average"])
        self.recent.extend(training["recent"])
        self.step = training["step"]

    def _own_share(self) -> slice:
        """The motions of a batch that this process computes."""
        size = self.config.batch_size // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    def _dropout_draws(self):
        """Dropout, which draws from torch's global generators, seeded by step and process."""
        if self.config.dropout == 0:
            return contextlib.nullcontext()
        return seeded(seed_of(self.config.seed, self.step, 1 + self.rank), self.device)

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Exponential moving average of the weights, with a warm-up that forgets the random start."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for average, weight in zip(self.ema.parameters(), self.model.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)


def steps_for_epochs(epochs: int, clips: MotionClips, config: Config) -> int:
    """Optimiser steps that show every clip ``epochs`` times."""
    return math.ceil(epochs * len(clips) / config.batch_size)


def train(
    clips: MotionClips, config: Config = PRESETS["tiny"], *,
    steps: int | None = None, epochs: int | None = None, minutes: float | None = None,
    resume: Checkpoint | None = None, guidance_scale: float | None = None, device: torch.device | None = None,
    precision: str = "auto", compile: bool = False,
) -> Iterator[Trainer]:  # fmt: skip
    """Train, yielding the ``Trainer`` after every step; stop by leaving the loop.

    Args:
        clips: the training clips.
        steps, epochs, minutes: the budget, one of them (``mdm_lib.config.EPOCHS`` has what the presets were made for).
            Minutes become a fixed number of steps once a few have been measured, so the result depends on that number
            alone.
        resume: a checkpoint of an earlier run on the same clips; its own recipe holds, and its budget and guidance
            scale unless others are given.
        guidance_scale: what the checkpoint is sampled with unless ``sample`` is told otherwise; 1 by default.
        precision: ``"auto"`` (bfloat16 where the hardware is fast at it), ``"bf16"`` or ``"fp32"``.

    Yields:
        the same ``Trainer`` each time. ``.step``, ``.epoch``, ``.lr`` cost nothing; ``.losses()`` waits for the
        device, so read it every N steps; ``.checkpoint()`` is what ``sample`` takes.
    """
    config = config if resume is None else resume.config
    if sum(budget is not None for budget in (steps, epochs, minutes)) > 1:
        raise InputError("give only one budget: steps=…, epochs=… or minutes=…")
    steps, epochs = (
        None if budget is None else plain_whole(name, budget, 1)
        for name, budget in (("steps", steps), ("epochs", epochs))
    )
    if minutes is not None and not 0 < plain_number("minutes", minutes) <= LONGEST_MINUTES:
        raise InputError(f"minutes is {minutes:g}; give more than 0, and at most {LONGEST_MINUTES:,} (a year)")
    if steps is None and minutes is None:
        if epochs is None and resume is not None:
            steps = resume.resumable()["total_steps"]
        if steps is None and epochs is None:
            raise InputError("say how long to train: steps=…, epochs=… or minutes=…")
        steps = steps_for_epochs(epochs, clips, config) if steps is None else steps
    if guidance_scale is None:
        guidance_scale = 1.0 if resume is None else resume.guidance_scale
    trainer = Trainer(
        clips, config, steps, guidance_scale=guidance_scale, device=device, precision=precision, compile=compile
    )
    if resume is not None:
        trainer.resume(resume)
    begun, first_step, measured_from = time.perf_counter(), trainer.step, 0.0
    while trainer.total_steps is None or trainer.step < trainer.total_steps:
        trainer.advance()
        done = trainer.step - first_step
        if done == WARMING_STEPS:
            _wait_for(trainer.device)
            measured_from = time.perf_counter()
        if trainer.total_steps is None and done >= WARMING_STEPS + MEASURED_STEPS:
            _wait_for(trainer.device)
            seconds_a_step = (time.perf_counter() - measured_from) / (done - WARMING_STEPS)
            left = minutes * 60 - (time.perf_counter() - begun)
            trainer.total_steps = agreed(trainer.step + max(0, round(left / seconds_a_step)))
        yield trainer


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def refuse_if_different(what: str, own: dict) -> None:
    """Raise ``InputError`` in every process where ``own``, by words that show it, is not the same in all."""
    if not dist.is_initialized():
        return
    everywhere = [{}] * dist.get_world_size()
    dist.all_gather_object(everywhere, own)
    for rank, theirs in enumerate(everywhere):
        if theirs != everywhere[0]:
            there, here = (", ".join(name for name in one if one[name] != other.get(name))
                           for one, other in ((theirs, everywhere[0]), (everywhere[0], theirs)))  # fmt: skip
            raise InputError(
                f"process {rank} has other {what} ({there}) than process 0 ({here}); start all with the same files "
                "and options"
            )


def agreed(number):
    """The first process's number, in every process."""
    if not dist.is_initialized():
        return number
    box = [number]
    dist.broadcast_object_list(box, src=0)
    return box[0]
