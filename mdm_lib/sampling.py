"""Motions from a checkpoint: guidance, ``sample`` step by step, ``generate`` at once."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.errors import InputError
from mdm_lib.guidance import guided, plain_scale
from mdm_lib.motion.geometry import length_mask
from mdm_lib.motion.skeleton import hold_bone_lengths
from mdm_lib.runtime import PRECISIONS, autocast, check_defaults
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_SPACING, DenoisingStep, plan, sampler_of
from mdm_lib.words import known, plain_number, plain_seed, plain_whole


@dataclass(frozen=True)
class Sampling:
    """How motions are made. What is left out, ``planned`` fills in for a checkpoint.

    Args:
        sampler: ``"dpm_solver"``, ``"ddim"`` or ``"ddpm"``.
        num_steps: how many of the T steps; ``None`` is 15, or all for DDPM.
        spacing: ``"log_snr"`` or ``"trailing"``, see ``timesteps``.
        eta: DDIM's share of fresh noise, 0 (none) to 1.
        guidance_scale: see ``guided``; ``None`` is the checkpoint's own, which its makers found best.
        guidance_interval: the timesteps ``(low, high)`` in which guidance acts; ``None`` is all.
        num_frames: F; ``None`` is the longest of ``lengths``, or else the model's own length. Motions that
            are longer than the longest windows of its training slow down and freeze; a warning says so.
        lengths: ``[N]`` real frames of each motion; frames past them are hidden from attention. ``None``: all are real.
        seed: the same seed gives the same motions on one machine.
        precision: ``"auto"``, ``"bf16"`` or ``"fp32"``; the last step is always computed in float32.
        timesteps: which to visit, falling; ``None``: as ``num_steps`` and ``spacing`` choose them.
    """

    sampler: str = DEFAULT_SAMPLER
    num_steps: int | None = None
    spacing: str = DEFAULT_SPACING
    eta: float = 0.0
    guidance_scale: float | None = None
    guidance_interval: tuple[int, int] | None = None
    num_frames: int | None = None
    lengths: Sequence[int] | None = None
    seed: int = 0
    precision: str = "auto"
    timesteps: Sequence[int] | None = None

    def __post_init__(self):
        """Make everything plain: whole numbers where they must be whole, tuples of them, and no text."""
        plain = {"num_steps": plain_whole, "num_frames": plain_whole, "eta": plain_number}
        plain |= {
            "lengths": partial(_whole_numbers, low=2),
            "timesteps": _whole_numbers,
            "guidance_interval": _whole_numbers,
        }
        for name, make in plain.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, make(SHOWN.get(name, name), getattr(self, name)))

    def planned(self, checkpoint: Checkpoint) -> "Sampling":
        """The same with nothing left open: steps, guidance and length are those of this model.

        Raises:
            InputError: for what the model cannot do; the message says what it can.
        """
        planned, scheduler = self, checkpoint.scheduler
        if self.timesteps is None:
            planned = replace(self, timesteps=plan(scheduler, self.sampler, self.num_steps, self.spacing, self.eta)[1])
        longest = max(self.lengths) if self.lengths else checkpoint.config.num_frames
        planned = replace(
            planned,
            num_steps=len(planned.timesteps),
            guidance_scale=plain_scale(
                checkpoint.guidance_scale if self.guidance_scale is None else self.guidance_scale
            ),
            seed=plain_seed("seed", self.seed),
            num_frames=longest if self.num_frames is None else self.num_frames,
        )
        _check_steps(planned, scheduler.num_timesteps)
        _check_frames(planned, checkpoint)
        _check_guidance(planned, checkpoint)
        return planned

    def to_plain(self) -> dict:
        """What decides the motions, for files."""
        names = ("sampler", "timesteps", "eta", "guidance_scale", "guidance_interval", "seed", "precision")
        return {name: getattr(self, name) for name in names}


#: What messages call a field, if not by its name: as the command line has it.
SHOWN = {"num_steps": "steps", "num_frames": "frames"}


def _whole_numbers(name: str, values, low: int = 0) -> tuple[int, ...]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise InputError(f"{name} is {values!r:.40}; give a list of whole numbers")
    return tuple(plain_whole(name, value, low) for value in values)


#: What a model is asked for: the name or id of an action, or several of them.
Request = str | int | Sequence[str | int]


@torch.no_grad()
def sample(
    checkpoint: Checkpoint, condition: Request | None = None, num_samples: int = 1, sampling: Sampling | None = None,
    **options,
) -> Iterator[DenoisingStep]:  # fmt: skip
    """Make motions, yielding every denoising step, so that one can watch it.

    Args:
        condition: what to do: the name or id of an action, or several of them. ``action="jump"`` says the same.
        num_samples: motions of each, which follow each other; N in all.
        sampling: how; or its fields by name, as in ``sample(checkpoint, "jump", num_steps=10, seed=3)``.

    Yields:
        ``DenoisingStep``; ``checkpoint.representation.decode`` turns its features into joints.

    Raises:
        InputError: for what the model cannot do; the message says what it can.
    """
    check_defaults()
    condition, options = _request(checkpoint, condition, options)
    sampling = as_sampling(sampling, options).planned(checkpoint)
    several = isinstance(condition, Sequence) and not isinstance(condition, str)
    told = checkpoint.vocabulary.encode(condition if several else [condition])
    _check_number(len(told), num_samples, sampling.lengths)
    _warn_of_length(sampling.num_frames, checkpoint)
    device, num_frames = checkpoint.representation.mean.device, sampling.num_frames
    told = told.to(device).repeat_interleave(int(num_samples), dim=0)
    mask = None if sampling.lengths is None else length_mask(torch.tensor(sampling.lengths, device=device), num_frames)
    predict = guided(checkpoint.model.eval(), told, sampling.guidance_scale, sampling.guidance_interval, mask)

    left = len(sampling.timesteps)  # every sampler asks once a step

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        nonlocal left
        left -= 1
        # what is asked last is the answer: rounded to bfloat16, people who stand still would tremble
        with autocast(device, sampling.precision if left else "fp32", checkpoint.config.latent_dim):
            return predict(x_t, t)

    generator = torch.Generator(device).manual_seed(sampling.seed)  # our own, so that no other draw can disturb it
    shape = (len(told), num_frames, checkpoint.representation.num_features)
    noise = torch.randn(shape, generator=generator, device=device)
    run = sampler_of(sampling.sampler, sampling.eta, skips=sampling.num_steps < checkpoint.config.num_timesteps)
    yield from run(denoise, noise, checkpoint.scheduler, sampling.timesteps, generator)


def generate(
    checkpoint: Checkpoint, condition: Request | None = None, num_samples: int = 1, sampling: Sampling | None = None,
    **options,
) -> Tensor:  # fmt: skip
    """``sample`` run to its end, finished: motions ``[N, F, J, 3]`` in metres, y up, on the CPU."""
    condition, options = _request(checkpoint, condition, options)
    sampling = as_sampling(sampling, options)
    last = deque(sample(checkpoint, condition, num_samples, sampling), maxlen=1).pop()
    return finish(checkpoint, last.pred_x0, sampling.lengths)


def _request(checkpoint: Checkpoint, condition: Request | None, options: dict) -> tuple[Request, dict]:
    """What is asked for, given as such or by the vocabulary's keyword, and the other options."""
    keyword = checkpoint.vocabulary.keyword
    rest = {name: value for name, value in options.items() if name != keyword}
    condition = options.get(keyword) if condition is None else condition
    if condition is None:
        raise InputError(f'say what to do, as in sample(checkpoint, {keyword}="…")')
    return condition, rest


def as_sampling(sampling: Sampling | None, options: dict) -> Sampling:
    """The record that ``options``, its fields by name, make or change."""
    for name in options:
        known("option", name, [each.name for each in fields(Sampling)])
    return Sampling(**options) if sampling is None else replace(sampling, **options) if options else sampling


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


def _check_number(num_requests: int, num_samples: int, lengths: tuple[int, ...] | None) -> None:
    plain_whole("num_samples", num_samples)
    if num_requests < 1:
        raise InputError("the list of what to do is empty; name at least one")
    if num_samples < 1:
        raise InputError(f"num_samples is {num_samples}; ask for at least 1")
    if lengths is not None and len(lengths) != num_requests * num_samples:
        raise InputError(
            f"there are {len(lengths)} lengths for {num_requests * num_samples} motions; give one a motion"
        )


def _warn_of_length(num_frames: int, checkpoint: Checkpoint) -> None:
    _, trained = checkpoint.config.window_range
    if num_frames > trained:
        warnings.warn(
            f"{num_frames} frames are more than the {trained} that this model was trained on: the motion will slow "
            f"down and freeze. Ask for at most {trained} ({trained / checkpoint.fps:g} s)",
            stacklevel=3,
        )


def _check_steps(sampling: Sampling, most: int) -> None:
    known("precision", sampling.precision, PRECISIONS)
    visited = sampling.timesteps
    if list(visited) != sorted({*visited}, reverse=True) or not visited or not 0 <= visited[-1] <= visited[0] < most:
        raise InputError(f"timesteps are {list(visited)}; give different ones of 0 to {most - 1}, falling")


def _check_frames(sampling: Sampling, checkpoint: Checkpoint) -> None:
    model, num_frames, lengths = checkpoint.model, sampling.num_frames, sampling.lengths
    longest = len(model.positional_encoding.table) - 1 - model.condition.num_tokens  # the time has a place, too
    if not 2 <= num_frames <= longest:
        raise InputError(f"frames is {num_frames}; choose 2 to {longest} ({checkpoint.fps:g} frames are a second)")
    if lengths and max(lengths) > num_frames:
        raise InputError(f"lengths go up to {max(lengths)}; choose 2 to {num_frames}, the frames made")


def _check_guidance(sampling: Sampling, checkpoint: Checkpoint) -> None:
    scale, interval = sampling.guidance_scale, sampling.guidance_interval
    if scale != 1 and checkpoint.config.cond_mask_prob == 0:
        raise InputError(
            f"guidance_scale is {scale}, but this model never saw a dropped condition (cond_mask_prob is 0) and so "
            "cannot be guided; leave it at 1, or train with cond_mask_prob 0.1"
        )
    if interval is not None and not (len(interval) == 2 and interval[0] <= interval[1]):
        raise InputError(f"guidance_interval is {interval}; give two timesteps, the lower first")
