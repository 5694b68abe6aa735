"""The reverse process: from noise to motion, one step at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.errors import InputError
from mdm_lib.runtime import autocast
from mdm_lib.scheduler import NoiseScheduler


class DenoisingStep(NamedTuple):
    """What a sampler holds at one moment: the noisy features and the model's idea of the clean ones.

    The motion is the last step's ``pred_x0``.
    """

    t: int
    x_t: Tensor  # [N, F, D]
    pred_x0: Tensor  # [N, F, D]


#: (x_t [N, F, D], t [N]) -> pred_x0 [N, F, D]
Denoiser = Callable[[Tensor, Tensor], Tensor]


def ddpm(
    denoise: Denoiser, x: Tensor, scheduler: NoiseScheduler, generator: torch.Generator | None = None
) -> Iterator[DenoisingStep]:
    """Ancestral sampling over all T steps (Ho et al. 2020, algorithm 2, with x0 predicted)."""
    for t in reversed(range(scheduler.num_timesteps)):
        times = torch.full((len(x),), t, device=x.device)
        pred_x0 = denoise(x, times)
        yield DenoisingStep(t, x, pred_x0)
        x = scheduler.step(pred_x0, x, times, torch.randn(x.shape, generator=generator, device=x.device))


def ddim(
    denoise: Denoiser, x: Tensor, scheduler: NoiseScheduler, num_steps: int, eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[DenoisingStep]:  # fmt: skip
    """DDIM over ``num_steps`` of the T steps (Song et al. 2021, eq. 12); η = 0 adds no noise."""
    times = ddim_timesteps(scheduler.num_timesteps, num_steps)
    for t, t_prev in zip(times, [*times[1:], -1], strict=True):
        alpha_bar = scheduler.alphas_cumprod[t]
        alpha_bar_prev = scheduler.alphas_cumprod[t_prev] if t_prev >= 0 else torch.ones_like(alpha_bar)
        pred_x0 = denoise(x, torch.full((len(x),), t, device=x.device))
        yield DenoisingStep(t, x, pred_x0)
        eps = (x - alpha_bar.sqrt() * pred_x0) / (1 - alpha_bar).sqrt()
        sigma = eta * ((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)).sqrt()
        x = alpha_bar_prev.sqrt() * pred_x0 + (1 - alpha_bar_prev - sigma**2).clamp(min=0).sqrt() * eps
        if eta > 0:
            x = x + sigma * torch.randn(x.shape, generator=generator, device=x.device)


def ddim_timesteps(num_timesteps: int, num_steps: int) -> list[int]:
    """``num_steps`` timesteps, evenly spaced, that begin at T-1, where the noise begins (Lin et al. 2023, table 2)."""
    return [round(num_timesteps * (1 - i / num_steps)) - 1 for i in range(num_steps)]


@torch.no_grad()
def sample(
    checkpoint: Checkpoint, action: str | int | Sequence[str | int], num_samples: int = 1, *,
    num_steps: int | None = None, eta: float = 0.0, num_frames: int | None = None, seed: int = 0,
    precision: str = "auto",
) -> Iterator[DenoisingStep]:  # fmt: skip
    """Make motions, yielding every denoising step, so that one can watch it.

    Args:
        action: name or id, or several of them.
        num_samples: motions of each action; N in all.
        num_steps: ``None`` is DDPM over all steps; a number is DDIM over so many.
        eta: DDIM's share of fresh noise, 0 (none) to 1.
        num_frames: F; ``None`` is the length the model was trained on.
        seed: the same seed gives the same motions on one machine.

    Yields:
        ``DenoisingStep``; ``checkpoint.representation.decode`` turns its features into joints.
    """
    several = isinstance(action, Sequence) and not isinstance(action, str)
    ids = [checkpoint.action_id(a) for a in (action if several else [action])]
    num_frames = checkpoint.config.num_frames if num_frames is None else num_frames
    _check_request(checkpoint, num_samples, num_steps, num_frames, eta)
    device = checkpoint.representation.mean.device
    labels = torch.tensor(ids, device=device).repeat_interleave(num_samples)
    model = checkpoint.model.eval()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        with autocast(device, precision):
            return model(x_t, t, labels).float()

    generator = torch.Generator(device).manual_seed(seed)  # our own, so that no other draw can disturb it
    shape = (len(labels), num_frames, checkpoint.representation.num_features)
    noise = torch.randn(shape, generator=generator, device=device)
    if num_steps is None:
        yield from ddpm(denoise, noise, checkpoint.scheduler, generator)
    else:
        yield from ddim(denoise, noise, checkpoint.scheduler, num_steps, eta, generator)


def generate(
    checkpoint: Checkpoint, action: str | int | Sequence[str | int], num_samples: int = 1, **options
) -> Tensor:
    """``sample`` run to its end: motions ``[N, F, 22, 3]`` in metres, y up, on the CPU."""
    last = deque(sample(checkpoint, action, num_samples, **options), maxlen=1).pop()
    return checkpoint.representation.decode(last.pred_x0).cpu()


def _check_request(checkpoint: Checkpoint, num_samples: int, num_steps: int | None, num_frames: int, eta: float):
    num_timesteps = checkpoint.config.num_timesteps
    longest = len(checkpoint.model.positional_encoding.table) - 2
    if num_samples < 1:
        raise InputError(f"num_samples is {num_samples}; ask for at least 1")
    if num_steps is not None and not 1 <= num_steps <= num_timesteps:
        raise InputError(f"steps is {num_steps}; this model has {num_timesteps}, choose 1 to {num_timesteps}")
    if not 2 <= num_frames <= longest:
        raise InputError(f"frames is {num_frames}; choose 2 to {longest} (20 frames are a second)")
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}; choose 0 (no noise) to 1 (as much as DDPM)")
