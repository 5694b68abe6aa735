"""The objective: which errors count, and how much; and the learning rate of a step."""

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mdm_lib.config import TrainingConfig


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
    vel = masked_mse(pred_x0.diff(dim=1), x0.diff(dim=1), mask[:, 1:] * mask[:, :-1])
    return mse + vel_weight * vel, mse, vel


class TimestepLossAverage(nn.Module):
    """The average loss at each timestep. Training divides by it, so that every timestep counts equally.

    Otherwise heavy noise, where even the best answer is a guess, makes up nearly all of the loss (docs/experiments.md).
    If the errors of each timestep have a variance of their own, dividing is what maximum likelihood asks for (Kendall
    et al. 2018; for diffusion Karras et al. 2024). ``mean [T]`` is that of about the last ``MEMORY`` motions with each
    timestep, ``seen [T]`` how many there were.
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
