"""The objective: what is drawn for a batch, which errors count and how much, and the learning rate of a step."""

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mdm_lib.config import TrainingConfig
from mdm_lib.scheduler import NoiseScheduler


def corrupt(
    x0: Tensor, told: Tensor, scheduler: NoiseScheduler, condition: nn.Module, cond_mask_prob: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Hide clean motions ``x0 [B, F, D]`` in noise, and the condition ``told [B, ...]`` of a few (Ho & Salimans 2022).

    Returns:
        x_t ``[B, F, D]``, t ``[B]``, and ``told``, dropped with probability ``cond_mask_prob``.
    """
    noise = torch.randn(x0.shape, generator=generator, device=x0.device)
    t = torch.randint(scheduler.num_timesteps, (len(x0),), generator=generator, device=x0.device)
    dropped = torch.rand(len(x0), generator=generator, device=x0.device) < cond_mask_prob
    return scheduler.add_noise(x0, noise, t), t, condition.drop(told, dropped)


def masked_mse(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of each motion ``[B, F, D]`` over its real frames (``mask [B, F]``), ``[B]``."""
    error = (prediction - target).square().mean(-1)
    return (error * mask).sum(1) / mask.sum(1).clamp(min=1)


def training_loss(pred_x0: Tensor, x0: Tensor, mask: Tensor, vel_weight: float) -> tuple[Tensor, Tensor, Tensor]:
    """L_simple + λ L_vel (Tevet et al. 2023, eq. 2 and 5, on features instead of joints): loss, mse, vel, ``[B]`` each.

    Args:
        pred_x0, x0: ``[B, F, D]``.
        mask: ``[B, F]``, True = real frame. A velocity counts where both its frames are real.
        vel_weight: λ.
    """
    mse = masked_mse(pred_x0, x0, mask)
    vel = masked_mse(pred_x0.diff(dim=1), x0.diff(dim=1), mask[:, 1:] & mask[:, :-1])
    return mse + vel_weight * vel, mse, vel


class TimestepLossAverage(nn.Module):
    """The average loss at each timestep. The training divides by it, so that every timestep counts equally.

    Without that, timesteps of heavy noise, where even the best answer is a guess, make up nearly all of the loss, and
    fine movement is learnt last. Divided by the SNR, as is common for images, they make up none of it, and what the
    person does is never learnt (docs/experiments.md). Dividing by the average is the maximum likelihood answer when the
    errors of each timestep have a variance of their own (Kendall et al. 2018; for diffusion Karras et al. 2024).

    Attributes:
        mean: ``[T]``, over about the last ``MEMORY`` motions with that timestep.
        seen: ``[T]``, how many motions there were.
    """

    MEMORY = 50

    def __init__(self, num_timesteps: int):
        super().__init__()
        self.register_buffer("mean", torch.ones(num_timesteps))
        self.register_buffer("seen", torch.zeros(num_timesteps))

    @torch.no_grad()
    def update(self, t: Tensor, loss: Tensor) -> None:
        """Take in the losses ``[B]`` of motions at timesteps ``t [B]``; with several processes, those of all."""
        new = torch.zeros(2, len(self.mean), device=loss.device)
        new.index_add_(1, t, torch.stack([torch.ones_like(loss), loss]))
        if dist.is_initialized():
            dist.all_reduce(new)
        count, total = new
        self.seen += count
        share = (count / self.seen.clamp(1, self.MEMORY)).clamp(max=1)
        self.mean += share * (total / count.clamp(min=1) - self.mean)

    def forward(self, t: Tensor) -> Tensor:
        """The weights ``[B]`` that balance motions at timesteps ``t [B]``: one over the average, at most 1000."""
        return 1 / self.mean[t].clamp(min=1e-3)


def learning_rate(step: int, total_steps: int | None, config: TrainingConfig) -> float:
    """Linear warm-up times cosine decay from ``lr`` to ``final_lr``; no decay while the total is unknown."""
    warmup = min(1.0, (step + 1) / config.warmup_steps)
    progress = step / total_steps if total_steps else 0.0
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return warmup * (config.final_lr + (config.lr - config.final_lr) * cosine)
