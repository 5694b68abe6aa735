"""Classifier-free guidance: two answers of one model, and the way from one to the other and beyond."""

import torch
from torch import Tensor

from mdm_lib.errors import InputError
from mdm_lib.model import MDM
from mdm_lib.samplers import Denoiser
from mdm_lib.words import plain_number

#: Far beyond what looks like a person, and far below what overflows.
LARGEST_SCALE = 100


def guided(
    model: MDM, condition: Tensor, scale: float = 1.0, interval: tuple[int, int] | None = None,
    mask: Tensor | None = None,
) -> Denoiser:  # fmt: skip
    """Classifier-free guidance: pred_x0 = uncond + scale · (cond - uncond), both from one doubled batch.

    That is Ho & Salimans 2022, eq. 6 (their w is scale - 1), on x0 as in Tevet et al. 2023, eq. 7. Scale 1 is the
    model as it is and doubles nothing, 0 is unconditional, above 1 exaggerates what the condition changes.

    Args:
        model: ``(x_t, t, condition, mask) -> pred_x0``, whose ``condition`` can ``drop``.
        condition: ``[N, ...]`` what the model is told, for instance labels ``[N]``.
        interval: ``(low, high)``, guidance acts where low ≤ t ≤ high only (Kynkäänniemi et al. 2024).
        mask: ``[N, F]``, True = real frame.
    """
    everywhere = torch.ones(len(condition), dtype=torch.bool, device=condition.device)
    both = torch.cat([condition, model.condition.drop(condition, everywhere)])
    both_masks = None if mask is None else torch.cat([mask, mask])

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        if scale == 1 or (interval is not None and not interval[0] <= int(t[0]) <= interval[1]):
            return model(x_t, t, condition, mask).float()
        answers = model(torch.cat([x_t, x_t]), torch.cat([t, t]), both, both_masks).float()  # bf16 would lose digits
        cond, uncond = answers.chunk(2)
        return uncond + scale * (cond - uncond)

    return denoise


def plain_scale(value) -> int | float:
    """A guidance scale as a Python number.

    Raises:
        InputError: for what is not a number from 0 to ``LARGEST_SCALE``.
    """
    scale = plain_number("guidance_scale", value)
    if not 0 <= scale <= LARGEST_SCALE:
        raise InputError(
            f"guidance_scale is {scale:g}; choose 1 (none) to about 5, or 0 (nothing in particular); "
            f"{LARGEST_SCALE} at most"
        )
    return scale
