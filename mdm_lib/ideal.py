"""What a perfect model would answer: the exact E[x0 | x_t] for data simple enough to compute it.

With x_t = α x0 + σ ε (α = √ᾱ_t, σ = √(1-ᾱ_t)), the mean squared error that training lowers is lowest at the
posterior mean E[x0 | x_t] = ∫ x0 p(x0) N(x_t; α x0, σ²) dx0 / ∫ p(x0) N(x_t; α x0, σ²) dx0. Here the integral is a
sum (a finite set of clips) or known (a Gaussian). Both are denoisers that every sampler takes, so a sampler's errors
can be seen apart from a network's.

They compute in float64, as likelihoods in thousands of dimensions differ by millions: on a CPU or CUDA.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mdm_lib.errors import InputError
from mdm_lib.scheduler import NoiseScheduler


class _Labels(NamedTuple):
    """What is dropped of labels: they become ``null``."""

    null: int

    def drop(self, label: Tensor, where: Tensor) -> Tensor:
        return torch.where(where, self.null, label)


class IdealForClips:
    """The posterior mean when the data are n given clips, all equally likely.

    Then p(x0) = 1/n Σ δ(x0 - x_i), and E[x0 | x_t] = Σ w_i x_i with w = softmax_i(-|x_t - α x_i|² / 2σ²) (Karras et
    al. 2022, appendix B.3). In heavy noise it is the mean clip, in light noise the nearest one: this model
    has learnt the training set by heart, and generates nothing else.

    Called like an ``MDM``, so ``guided`` takes it too.

    Args:
        scheduler: gives α and σ.
        clips: ``[n, F, D]`` features.
        told: ``[n, ...]`` what a model would be told of each clip, such as its label.
        condition: the condition whose ``drop`` says what "nothing in particular" looks like; by default that of labels.
    """

    def __init__(
        self, scheduler: NoiseScheduler, clips: Tensor, told: Tensor | None = None, condition: nn.Module | None = None
    ):
        self.scheduler = scheduler
        self.clips = clips.double()
        self.told = torch.zeros(len(clips), dtype=torch.long, device=clips.device) if told is None else told
        self.condition = _Labels(int(self.told.max()) + 1) if condition is None else condition

    def __call__(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """``x_t [N, F, D]``, ``t [N]`` → ``[N, F, D]``.

        Args:
            condition: ``[N, ...]``, only clips of which this is told count; where it is dropped, or ``None``: all do.
            mask: ``[N, F]`` bool, True = real frame; the others tell nothing about the clip.

        Raises:
            InputError: for a condition that no clip fulfils.
        """
        weights = self.log_likelihood(x_t, t, mask)
        if condition is not None:
            fits = self.fits(condition)
            if not fits.any(1).all():
                unknown = condition[~fits.any(1)][0].tolist()
                raise InputError(f"no clip has the condition {unknown}; ask for one that a clip has")
            weights = weights.masked_fill(~fits, -torch.inf)
        return torch.einsum("ni,ifd->nfd", weights.softmax(1), self.clips).to(x_t.dtype)

    def fits(self, condition: Tensor) -> Tensor:
        """Which clips count for each ``condition [N, ...]``: ``[N, n]`` bool."""
        everywhere = torch.ones(len(condition), dtype=torch.bool, device=condition.device)
        dropped = self.condition.drop(condition, everywhere)
        asked, none, told = (each.reshape(len(each), -1) for each in (condition, dropped, self.told))
        return (asked[:, None] == told).all(-1) | (asked == none).all(-1)[:, None]

    def log_likelihood(self, x_t: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        """log N(x_t; α x_i, σ²) of every clip but for a constant a row, ``[N, n]``.

        -|x_t - α x_i|² / 2σ² = (α x_t·x_i - α² |x_i|² / 2) / σ² - |x_t|² / 2σ²: two matrix products, and the last
        term, the same for all clips, drops out of the softmax.
        """
        alpha, sigma = self.scheduler.sqrt_alphas_cumprod[t].double(), self.scheduler.sqrt_one_minus_alphas_cumprod[t]
        seen = torch.ones_like(x_t) if mask is None else mask[..., None].expand_as(x_t)
        clips, seen = self.clips.flatten(1).T, seen.flatten(1).double()
        likeness = alpha[:, None] * ((x_t.flatten(1) * seen) @ clips) - (alpha**2)[:, None] / 2 * (seen @ clips**2)
        return likeness / (sigma.double() ** 2)[:, None]


class IdealForGaussian:
    """The posterior mean when the data are Gaussian, x0 ~ N(mean, cov).

    x0 and x_t are then jointly Gaussian, and conditioning gives E[x0 | x_t] = mean + α Σ (α² Σ + σ² I)⁻¹ (x_t - α mean)
    (Bishop 2006, eq. 2.116): in each eigen-direction of Σ, of variance s, the Wiener gain α s / (α² s + σ²).

    Args:
        scheduler: gives α and σ.
        mean: any shape, that of one motion, say ``[F, D]``.
        cov: shaped like ``mean``, the variance of each number; or ``[d, d]`` in full, d the numbers of ``mean``.
    """

    def __init__(self, scheduler: NoiseScheduler, mean: Tensor, cov: Tensor):
        self.scheduler, self.mean = scheduler, mean.double()
        size = mean.numel()
        if cov.shape != mean.shape and cov.shape != (size, size):
            raise InputError(f"cov has shape {list(cov.shape)}; give {list(mean.shape)} (variances) or {[size, size]}")
        self.variances, self.axes = cov.double().flatten(), None
        if cov.shape != mean.shape:
            self.variances, self.axes = torch.linalg.eigh(cov.double())

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """``x_t [N, ...]``, ``t [N]`` → like ``x_t``."""
        alpha = self.scheduler.sqrt_alphas_cumprod[t].double()[:, None]
        sigma = self.scheduler.sqrt_one_minus_alphas_cumprod[t].double()[:, None]
        offset = x_t.flatten(1) - alpha * self.mean.flatten()
        gain = alpha * self.variances / (alpha**2 * self.variances + sigma**2)
        offset = gain * offset if self.axes is None else (gain * (offset @ self.axes)) @ self.axes.T
        return (self.mean.flatten() + offset).view_as(x_t).to(x_t.dtype)
