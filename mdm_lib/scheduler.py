"""How noise is added, and how one step of it is taken away (DDPM)."""

import math

import torch
from torch import Tensor, nn


def linear_betas(num_timesteps: int) -> Tensor:
    """β from 1e-4 to 0.02 for T = 1000 (Ho et al. 2020, section 4), float64 ``[T]``.

    For another T both ends are scaled by 1000 / T, so that a shorter chain still ends in
    noise: without it, T = 100 would leave more than a third of the signal's power at t = T.
    """
    scale = 1000 / num_timesteps
    betas = torch.linspace(scale * 1e-4, scale * 0.02, num_timesteps, dtype=torch.float64)
    return betas.clamp(max=0.999)


def cosine_betas(num_timesteps: int) -> Tensor:
    """β such that ᾱ follows a squared cosine (Nichol & Dhariwal 2021, eq. 17), float64 ``[T]``."""
    time = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    alphas_bar = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - alphas_bar[1:] / alphas_bar[:-1]).clamp(max=0.999)


SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}


class NoiseScheduler(nn.Module):
    """The forward process q and its posterior, as tables over the timesteps t = 0 … T-1.

    Args:
        num_timesteps: T.
        schedule: ``"linear"`` or ``"cosine"``; another one is a ``ValueError``.

    The tables are computed in float64 and kept as float32 buffers (Apple's MPS has no float64).
    """

    def __init__(self, num_timesteps: int = 1000, schedule: str = "linear"):
        super().__init__()
        if schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {schedule!r}; there are: {', '.join(SCHEDULES)}")
        self.num_timesteps = num_timesteps
        betas = SCHEDULES[schedule](num_timesteps)
        alphas = 1 - betas
        alphas_cumprod = alphas.cumprod(0)
        alphas_cumprod_prev = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
        tables = {
            "betas": betas,
            "alphas_cumprod": alphas_cumprod,
            # q(x_t | x_0), Ho et al. eq. 4
            "sqrt_alphas_cumprod": alphas_cumprod.sqrt(),
            "sqrt_one_minus_alphas_cumprod": (1 - alphas_cumprod).sqrt(),
            # q(x_{t-1} | x_t, x_0), Ho et al. eq. 7; the deviation is 0 at t = 0
            "posterior_x0_coef": alphas_cumprod_prev.sqrt() * betas / (1 - alphas_cumprod),
            "posterior_xt_coef": alphas.sqrt() * (1 - alphas_cumprod_prev) / (1 - alphas_cumprod),
            "posterior_std": ((1 - alphas_cumprod_prev) / (1 - alphas_cumprod) * betas).sqrt(),
        }
        for name, table in tables.items():
            self.register_buffer(name, table.float(), persistent=False)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε (Ho et al. eq. 4).

        Args:
            x0, noise: ``[B, ...]``.
            t: ``[B]`` integers in 0 … T-1, or one for all.
        """
        t = torch.as_tensor(t, device=x0.device).view(-1, *[1] * (x0.dim() - 1))
        return self.sqrt_alphas_cumprod[t] * x0 + self.sqrt_one_minus_alphas_cumprod[t] * noise

    def step(self, pred_x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """Draw x_{t-1} from q(x_{t-1} | x_t, x_0 = pred_x0) (Ho et al. eq. 6 and 7); at t = 0 that is ``pred_x0``.

        Args:
            pred_x0, x_t: ``[B, ...]``.
            t: ``[B]`` integers in 0 … T-1, or one for all.
            noise: standard normal, like ``x_t``; drawn here when left out.
        """
        t = torch.as_tensor(t, device=x_t.device).view(-1, *[1] * (x_t.dim() - 1))
        noise = torch.randn_like(x_t) if noise is None else noise
        mean = self.posterior_x0_coef[t] * pred_x0 + self.posterior_xt_coef[t] * x_t
        return mean + self.posterior_std[t] * noise
