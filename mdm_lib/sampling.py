"""The reverse process: from noise to motion, one step at a time."""

import difflib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.data.clips import length_mask
from mdm_lib.errors import InputError
from mdm_lib.model import MDM
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


# Samplers -----------------------------------------------------------------------------------------------------------
#
# All are called alike: sampler(denoise, x, scheduler, timesteps, generator), where x [N, F, D] is noise and timesteps
# are those to visit, falling. They yield a DenoisingStep at each; after the last one, pred_x0 is the answer.


def ddpm(
    denoise: Denoiser, x: Tensor, scheduler: NoiseScheduler, timesteps: Iterable[int],
    generator: torch.Generator | None = None,
) -> Iterator[DenoisingStep]:  # fmt: skip
    """Ancestral sampling (Ho et al. 2020, algorithm 2, with x0 predicted).

    Each step goes from t to t-1, so ``timesteps`` are all of them, T-1 to 0. For a part of them, ``ddim`` with η = 1
    draws from the same posterior across the gaps.
    """
    for t in timesteps:
        times = torch.full((len(x),), t, device=x.device)
        pred_x0 = denoise(x, times)
        yield DenoisingStep(t, x, pred_x0)
        x = scheduler.step(pred_x0, x, times, torch.randn(x.shape, generator=generator, device=x.device))


def ddim(
    denoise: Denoiser, x: Tensor, scheduler: NoiseScheduler, timesteps: Iterable[int],
    generator: torch.Generator | None = None, eta: float = 0.0,
) -> Iterator[DenoisingStep]:  # fmt: skip
    """DDIM (Song et al. 2021, eq. 12 and 16): η = 0 adds no fresh noise, η = 1 as much as DDPM."""
    alpha, sigma = scheduler.sqrt_alphas_cumprod, scheduler.sqrt_one_minus_alphas_cumprod
    for t, t_next in pairwise([*timesteps, None]):
        pred_x0 = denoise(x, torch.full((len(x),), t, device=x.device))
        yield DenoisingStep(t, x, pred_x0)
        if t_next is None:
            return  # the step to no noise at all would end at pred_x0
        eps = (x - alpha[t] * pred_x0) / sigma[t]
        fresh = eta * sigma[t_next] / sigma[t] * (1 - (alpha[t] / alpha[t_next]) ** 2).sqrt()
        x = alpha[t_next] * pred_x0 + (sigma[t_next] ** 2 - fresh**2).clamp(min=0).sqrt() * eps
        if eta > 0:
            x = x + fresh * torch.randn(x.shape, generator=generator, device=x.device)


def dpm_solver(
    denoise: Denoiser, x: Tensor, scheduler: NoiseScheduler, timesteps: Iterable[int],
    generator: torch.Generator | None = None,
) -> Iterator[DenoisingStep]:  # fmt: skip
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), second order in the step of λ = log(α/σ); adds no noise.

    DDIM takes pred_x0 as constant between t and t_next; here it goes on as it came from the step before. The first
    step, which has none before it, and the last one, to no noise at all, are DDIM's.
    """
    alpha, sigma = scheduler.sqrt_alphas_cumprod, scheduler.sqrt_one_minus_alphas_cumprod
    log_snr = half_log_snr(scheduler)
    pred_before = h_before = None
    for t, t_next in pairwise([*timesteps, None]):
        pred_x0 = denoise(x, torch.full((len(x),), t, device=x.device))
        yield DenoisingStep(t, x, pred_x0)
        if t_next is None:
            return
        h, midway = log_snr[t_next] - log_snr[t], pred_x0
        if pred_before is not None:
            midway = pred_x0 + h / (2 * h_before) * (pred_x0 - pred_before)
        x = sigma[t_next] / sigma[t] * x - alpha[t_next] * torch.expm1(-h) * midway
        pred_before, h_before = pred_x0, h


SAMPLERS = {"ddpm": ddpm, "ddim": ddim, "dpm_solver": dpm_solver}
SPACINGS = ("trailing", "log_snr")
#: What ``sample`` does unless told otherwise; only DDPM takes all steps by itself. On two models of real motion with
#: T = 50, joints ended within 1.1 cm of where dpm_solver over all 50 steps ends; ddim over all 50 was 1.4 to 2.2 off.
DEFAULT_SAMPLER, DEFAULT_STEPS, DEFAULT_SPACING = "dpm_solver", 15, "log_snr"


# Which steps to visit -----------------------------------------------------------------------------------------------


def half_log_snr(scheduler: NoiseScheduler) -> Tensor:
    """λ_t = log(√ᾱ_t / √(1-ᾱ_t)), half the logarithm of the signal-to-noise ratio, ``[T]``, falling with t."""
    return (scheduler.sqrt_alphas_cumprod / scheduler.sqrt_one_minus_alphas_cumprod).log()


def timesteps(scheduler: NoiseScheduler, num_steps: int, spacing: str) -> list[int]:
    """``num_steps`` of the T timesteps, falling, all different; they begin at T-1, where the noise begins.

    Args:
        spacing: ``"trailing"``, even in t (Lin et al. 2023, table 2); or ``"log_snr"``, even in λ (Lu et al. 2022),
            which ends at 0.
    """
    last = scheduler.num_timesteps - 1
    if spacing == "trailing":
        return [round((last + 1) * (1 - i / num_steps)) - 1 for i in range(num_steps)]
    log_snr, chosen = half_log_snr(scheduler).cpu(), [last]
    for left in range(num_steps - 1, 0, -1):
        # an even share of what remains: where neighbours are far apart in λ (cosine's first two), no step is wasted
        t = chosen[-1]
        wanted = log_snr[t] + (log_snr[0] - log_snr[t]) / left
        free = log_snr[left - 1 : t]  # below t, and with enough below for the rest
        chosen.append(left - 1 + int((free - wanted).abs().argmin()))
    return chosen


def plan(
    scheduler: NoiseScheduler, sampler: str = DEFAULT_SAMPLER, num_steps: int | None = None,
    spacing: str = DEFAULT_SPACING, eta: float = 0.0,
) -> tuple[Callable[..., Iterator[DenoisingStep]], list[int]]:  # fmt: skip
    """The sampler, and the timesteps it will visit, for what is asked of ``sample``.

    Raises:
        InputError: unknown sampler or spacing, more steps than there are, an η where there is none.
    """
    run, most = SAMPLERS[_known("sampler", sampler, SAMPLERS)], scheduler.num_timesteps
    if num_steps is None:
        num_steps = most if sampler == "ddpm" else min(DEFAULT_STEPS, most)
    if not 1 <= num_steps <= most:
        raise InputError(f"steps is {num_steps}; this model has {most}, choose 1 to {most}")
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}; choose 0 (no noise) to 1 (as much as DDPM)")
    if eta > 0 and sampler != "ddim":
        raise InputError(f"eta is {eta}, but only ddim has an eta; leave it out, or choose the sampler ddim")
    if sampler == "ddpm" and num_steps < most:
        run, eta = ddim, 1.0
    visited = timesteps(scheduler, num_steps, _known("spacing", spacing, SPACINGS))
    return partial(run, eta=eta) if eta > 0 else run, visited


# Guidance -----------------------------------------------------------------------------------------------------------


def guided(
    model: MDM, action: Tensor, scale: float = 1.0, interval: tuple[int, int] | None = None, mask: Tensor | None = None
) -> Denoiser:
    """Classifier-free guidance: pred_x0 = uncond + scale · (cond - uncond), both from one doubled batch.

    That is Ho & Salimans 2022, eq. 6 (their w is scale - 1), on x0 as in Tevet et al. 2023, eq. 7. Scale 1 is the
    model as it is and doubles nothing, 0 is unconditional, above 1 exaggerates what makes the action this action.

    Args:
        model: ``(x_t, t, action, mask) -> pred_x0``, with a ``null_action``.
        action: ``[N]`` labels.
        interval: ``(low, high)``, guidance acts where low ≤ t ≤ high only (Kynkäänniemi et al. 2024).
        mask: ``[N, F]``, True = real frame.
    """
    both = torch.cat([action, torch.full_like(action, model.null_action)])
    both_masks = None if mask is None else torch.cat([mask, mask])

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        if scale == 1 or (interval is not None and not interval[0] <= int(t[0]) <= interval[1]):
            return model(x_t, t, action, mask).float()
        answers = model(torch.cat([x_t, x_t]), torch.cat([t, t]), both, both_masks).float()  # bf16 would lose digits
        cond, uncond = answers.chunk(2)
        return uncond + scale * (cond - uncond)

    return denoise


# From a checkpoint --------------------------------------------------------------------------------------------------


@torch.no_grad()
def sample(
    checkpoint: Checkpoint, action: str | int | Sequence[str | int], num_samples: int = 1, *,
    sampler: str = DEFAULT_SAMPLER, num_steps: int | None = None, spacing: str = DEFAULT_SPACING, eta: float = 0.0,
    guidance_scale: float | None = None, guidance_interval: tuple[int, int] | None = None,
    num_frames: int | None = None, lengths: Sequence[int] | Tensor | None = None, seed: int = 0,
    precision: str = "auto",
) -> Iterator[DenoisingStep]:  # fmt: skip
    """Make motions, yielding every denoising step, so that one can watch it.

    Args:
        action: name or id, or several of them.
        num_samples: motions of each action, which follow each other; N in all.
        sampler: ``"dpm_solver"``, ``"ddim"`` or ``"ddpm"``.
        num_steps: how many of the T steps; ``None`` is 15, or all for DDPM.
        spacing: ``"log_snr"`` or ``"trailing"``, see ``timesteps``.
        eta: DDIM's share of fresh noise, 0 (none) to 1.
        guidance_scale: see ``guided``; ``None`` is the checkpoint's own, which its makers found best.
        guidance_interval: the timesteps ``(low, high)`` in which guidance acts; ``None`` is all.
        num_frames: F; ``None`` is the longest of ``lengths``, or else the length the model was trained on.
        lengths: ``[N]`` real frames of each motion; frames past them are hidden from attention. ``None``: all are real.
        seed: the same seed gives the same motions on one machine.
        precision: ``"auto"``, ``"bf16"`` or ``"fp32"``.

    Yields:
        ``DenoisingStep``; ``checkpoint.representation.decode`` turns its features into joints.

    Raises:
        InputError: for what the model cannot do; the message says what it can.
    """
    several = isinstance(action, Sequence) and not isinstance(action, str)
    ids = [checkpoint.action_id(a) for a in (action if several else [action])]
    scale = checkpoint.config.guidance_scale if guidance_scale is None else guidance_scale
    lengths = None if lengths is None else [int(length) for length in lengths]
    if num_frames is None:
        num_frames = max(lengths) if lengths else checkpoint.config.num_frames
    scheduler = checkpoint.scheduler
    run, visited = plan(scheduler, sampler, num_steps, spacing, eta)
    _check_motions(checkpoint, len(ids), num_samples, num_frames, lengths)
    _check_guidance(checkpoint, scale, guidance_interval)

    device = checkpoint.representation.mean.device
    labels = torch.tensor(ids, device=device).repeat_interleave(num_samples)
    mask = None if lengths is None else length_mask(torch.tensor(lengths, device=device), num_frames)
    predict = guided(checkpoint.model.eval(), labels, scale, guidance_interval, mask)

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        with autocast(device, precision):
            return predict(x_t, t)

    generator = torch.Generator(device).manual_seed(seed)  # our own, so that no other draw can disturb it
    shape = (len(labels), num_frames, checkpoint.representation.num_features)
    noise = torch.randn(shape, generator=generator, device=device)
    yield from run(denoise, noise, scheduler, visited, generator)


def generate(
    checkpoint: Checkpoint, action: str | int | Sequence[str | int], num_samples: int = 1, *,
    lengths: Sequence[int] | Tensor | None = None, **options,
) -> Tensor:  # fmt: skip
    """``sample`` run to its end: motions ``[N, F, 22, 3]`` in metres, y up, on the CPU.

    With ``lengths``, a motion that is over holds its last pose.
    """
    last = deque(sample(checkpoint, action, num_samples, lengths=lengths, **options), maxlen=1).pop()
    motions = checkpoint.representation.decode(last.pred_x0).cpu()
    return motions if lengths is None else hold_last_pose(motions, torch.as_tensor(lengths).cpu())


def hold_last_pose(motions: Tensor, lengths: Tensor) -> Tensor:
    """``[N, F, J, 3]`` with the frames at and past ``lengths [N]`` replaced by the last one before."""
    frame = torch.arange(motions.shape[1]).minimum(lengths[:, None] - 1)
    return motions[torch.arange(len(motions))[:, None], frame]


def _known(what: str, name: str, names: Iterable[str]) -> str:
    """``name``, if it is one of ``names``; else an ``InputError`` that suggests the nearest."""
    if name in names:
        return name
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown {what} {name!r}; {hint}There are: {', '.join(names)}")


def _check_motions(
    checkpoint: Checkpoint, num_actions: int, num_samples: int, num_frames: int, lengths: list[int] | None
) -> None:
    longest = len(checkpoint.model.positional_encoding.table) - 2
    if num_actions < 1:
        raise InputError("the list of actions is empty; name at least one")
    if num_samples < 1:
        raise InputError(f"num_samples is {num_samples}; ask for at least 1")
    if lengths is not None and len(lengths) != num_actions * num_samples:
        raise InputError(f"there are {len(lengths)} lengths for {num_actions * num_samples} motions; give one a motion")
    if not 2 <= num_frames <= longest:
        raise InputError(f"frames is {num_frames}; choose 2 to {longest} (20 frames are a second)")
    if lengths and not 2 <= min(lengths) <= max(lengths) <= num_frames:
        raise InputError(f"lengths go from {min(lengths)} to {max(lengths)}; choose 2 to {num_frames}, the frames made")


def _check_guidance(checkpoint: Checkpoint, scale: float, interval: tuple[int, int] | None) -> None:
    if not 0 <= scale < math.inf:
        raise InputError(f"guidance_scale is {scale}; choose 1 (none) to about 5, or 0 (no action at all)")
    if scale != 1 and checkpoint.config.cond_mask_prob == 0:
        raise InputError(
            f"guidance_scale is {scale}, but this model never saw a dropped action (cond_mask_prob is 0) and so cannot "
            "be guided; leave it at 1, or train with cond_mask_prob 0.1"
        )
    if interval is not None and not (len(interval) == 2 and interval[0] <= interval[1]):
        raise InputError(f"guidance_interval is {interval}; give two timesteps, the lower first")
