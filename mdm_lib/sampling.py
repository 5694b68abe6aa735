"""Motions from a checkpoint: guidance, ``sample`` step by step, ``generate`` at once."""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.errors import InputError
from mdm_lib.guidance import guided
from mdm_lib.motion.geometry import length_mask
from mdm_lib.motion.skeleton import hold_bone_lengths
from mdm_lib.runtime import autocast
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_SPACING, DenoisingStep, plan


@torch.no_grad()
def sample(
    checkpoint: Checkpoint, condition: str | int | Sequence[str | int], num_samples: int = 1, *,
    sampler: str = DEFAULT_SAMPLER, num_steps: int | None = None, spacing: str = DEFAULT_SPACING, eta: float = 0.0,
    guidance_scale: float | None = None, guidance_interval: tuple[int, int] | None = None,
    num_frames: int | None = None, lengths: Sequence[int] | Tensor | None = None, seed: int = 0,
    precision: str = "auto",
) -> Iterator[DenoisingStep]:  # fmt: skip
    """Make motions, yielding every denoising step, so that one can watch it.

    Args:
        condition: what to do: the name or id of an action, or several of them.
        num_samples: motions of each, which follow each other; N in all.
        sampler: ``"dpm_solver"``, ``"ddim"`` or ``"ddpm"``.
        num_steps: how many of the T steps; ``None`` is 15, or all for DDPM.
        spacing: ``"log_snr"`` or ``"trailing"``, see ``timesteps``.
        eta: DDIM's share of fresh noise, 0 (none) to 1.
        guidance_scale: see ``guided``; ``None`` is the checkpoint's own, which its makers found best.
        guidance_interval: the timesteps ``(low, high)`` in which guidance acts; ``None`` is all.
        num_frames: F; ``None`` is the longest of ``lengths``, or else the length the model was trained on.
        lengths: ``[N]`` real frames of each motion; frames past them are hidden from attention. ``None``: all are real.
        seed: the same seed gives the same motions on one machine.
        precision: ``"auto"``, ``"bf16"`` or ``"fp32"``; the last step is always computed in float32.

    Yields:
        ``DenoisingStep``; ``checkpoint.representation.decode`` turns its features into joints.

    Raises:
        InputError: for what the model cannot do; the message says what it can.
    """
    several = isinstance(condition, Sequence) and not isinstance(condition, str)
    told = checkpoint.vocabulary.encode(condition if several else [condition])
    scale = checkpoint.config.guidance_scale if guidance_scale is None else guidance_scale
    lengths = None if lengths is None else [int(length) for length in lengths]
    if num_frames is None:
        num_frames = max(lengths) if lengths else checkpoint.config.num_frames
    scheduler = checkpoint.scheduler
    run, visited = plan(scheduler, sampler, num_steps, spacing, eta)
    _check_motions(checkpoint, len(told), num_samples, num_frames, lengths)
    _check_guidance(checkpoint, scale, guidance_interval)

    device = checkpoint.representation.mean.device
    told = told.to(device).repeat_interleave(num_samples, dim=0)
    mask = None if lengths is None else length_mask(torch.tensor(lengths, device=device), num_frames)
    predict = guided(checkpoint.model.eval(), told, scale, guidance_interval, mask)

    left = len(visited)  # every sampler asks once a step

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        nonlocal left
        left -= 1
        # what is asked last is the answer: rounded to bfloat16, people who stand still would tremble
        with autocast(device, precision if left else "fp32", checkpoint.config.latent_dim):
            return predict(x_t, t)

    generator = torch.Generator(device).manual_seed(seed)  # our own, so that no other draw can disturb it
    shape = (len(told), num_frames, checkpoint.representation.num_features)
    noise = torch.randn(shape, generator=generator, device=device)
    yield from run(denoise, noise, scheduler, visited, generator)


def generate(
    checkpoint: Checkpoint, condition: str | int | Sequence[str | int], num_samples: int = 1, *,
    lengths: Sequence[int] | Tensor | None = None, **options,
) -> Tensor:  # fmt: skip
    """``sample`` run to its end, finished: motions ``[N, F, J, 3]`` in metres, y up, on the CPU."""
    last = deque(sample(checkpoint, condition, num_samples, lengths=lengths, **options), maxlen=1).pop()
    return finish(checkpoint, last.pred_x0, lengths)


def finish(checkpoint: Checkpoint, pred_x0: Tensor, lengths: Sequence[int] | Tensor | None = None) -> Tensor:
    """The motions ``[N, F, J, 3]``, on the CPU, that sampled features ``[N, F, D]`` stand for.

    The network answers with points, whose distances tremble by about a percent; here every bone of a motion gets the
    one length that it has on average. With ``lengths [N]``, a motion that is over holds its last pose.
    """
    motions = checkpoint.representation.decode(pred_x0).cpu()
    lengths = torch.as_tensor([motions.shape[1]] * len(motions) if lengths is None else lengths).cpu()
    return hold_last_pose(
        hold_bone_lengths(motions, length_mask(lengths, motions.shape[1]), checkpoint.skeleton), lengths
    )


def hold_last_pose(motions: Tensor, lengths: Tensor) -> Tensor:
    """``[N, F, J, 3]`` with the frames at and past ``lengths [N]`` replaced by the last one before."""
    frame = torch.arange(motions.shape[1]).minimum(lengths[:, None] - 1)
    return motions[torch.arange(len(motions))[:, None], frame]


def _check_motions(
    checkpoint: Checkpoint, num_actions: int, num_samples: int, num_frames: int, lengths: list[int] | None
) -> None:
    model = checkpoint.model
    longest = len(model.positional_encoding.table) - 1 - model.condition.num_tokens  # the time has a place, too
    if num_actions < 1:
        raise InputError("the list of actions is empty; name at least one")
    if num_samples < 1:
        raise InputError(f"num_samples is {num_samples}; ask for at least 1")
    if lengths is not None and len(lengths) != num_actions * num_samples:
        raise InputError(f"there are {len(lengths)} lengths for {num_actions * num_samples} motions; give one a motion")
    if not 2 <= num_frames <= longest:
        raise InputError(f"frames is {num_frames}; choose 2 to {longest} ({checkpoint.fps:g} frames are a second)")
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
