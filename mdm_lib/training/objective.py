"""The objective: which errors count, and how much; and the learning rate that goes with the step."""

import math

import torch
import torch.distributed as dist
from torch import Tensor

from mdm_lib.config import Config


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


class UsualLoss:
    """The loss that is usual at each timestep, by which ``Trainer`` divides, so that all timesteps have a like say.

    Undivided, the timesteps of heavy noise, where even the best answer is a guess, give nearly all of the loss, and
    the fine movement is learnt last; divided by the SNR, as is common for images, they give none of it, and what the
    person does is never learnt (docs/experiments.md). Dividing by what is usual is the maximum likelihood answer
    when each timestep's errors have a variance of their own (Kendall et al. 2018; for diffusion Karras et al. 2024).

    Attributes:
        mean: ``[T]``, of about the last ``MEMORY`` motions with that timestep.
        seen: ``[T]``, how many motions there were.
    """

    MEMORY = 50

    def __init__(self, num_timesteps: int, device: torch.device):
        self.mean, self.seen = torch.ones(num_timesteps, device=device), torch.zeros(num_timesteps, device=device)

    @torch.no_grad()
    def update(self, t: Tensor, loss: Tensor) -> None:
        """Take in the losses ``[B]`` of motions at timesteps ``t [B]``, in all processes those of all."""
        new = torch.zeros(2, len(self.mean), device=loss.device)
        new.index_add_(1, t, torch.stack([torch.ones_like(loss), loss]))
        if dist.is_initialized():
            dist.all_reduce(new)
        count, total = new
        self.seen += count
        share = (count / self.seen.clamp(1, self.MEMORY)).clamp(max=1)
        self.mean += share * (total / count.clamp(min=1) - self.mean)


def learning_rate(step: int, total_steps: int | None, config: Config) -> float:
    """Linear warm-up times cosine decay from ``lr`` to ``final_lr``; no decay while the total is unknown."""
    warmup = min(1.0, (step + 1) / config.warmup_steps)
    progress = step / total_steps if total_steps else 0.0
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return warmup * (config.final_lr + (config.lr - config.final_lr) * cosine)
