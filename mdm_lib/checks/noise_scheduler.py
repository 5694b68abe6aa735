"""Checks of the exercises on the noise scheduler."""

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse
from mdm_lib.scheduler import NoiseScheduler


@check
def signal_left(answer):
    """``betas [T]`` → √ᾱ ``[T]``, the factor by which the motion has shrunk after each step."""
    betas = torch.tensor([0.36, 0.75])  # by hand: √0.64 = 0.8, then √(0.64 · 0.25) = 0.4
    got = answer(betas)
    refuse(got, (1 - betas).cumprod(0), "this is ᾱ, the motion's share of the variance; the factor is its square root")
    refuse(got, (1 - betas).sqrt(), "this is what each step keeps by itself; after two steps, multiply both factors")
    refuse(got, betas.cumprod(0).sqrt(), "you multiplied the β, the noise variances; use what each step keeps, 1 - β")
    for total in ((1 - betas).cumsum(0), 1 - betas.cumsum(0)):
        for wrong in (total, total.clamp(min=0).sqrt(), total.sqrt()):
            refuse(got, wrong, "you added up (cumsum); each step scales what is left, so multiply (cumprod)")
    for wrong in ((1 - (1 - betas).cumprod(0)).sqrt(), 1 - (1 - betas).cumprod(0)):
        refuse(got, wrong, "these numbers grow with the noise; give what is left of the motion, √ᾱ")
    expect_close(got, torch.tensor([0.8, 0.4]), "β = 0.36 and then 0.75 should leave 0.8 and then 0.4 of the motion")
    for schedule in ("linear", "cosine"):
        scheduler = NoiseScheduler(50, schedule)
        expect_close(
            answer(scheduler.betas), scheduler.sqrt_alphas_cumprod, f"wrong on the {schedule} schedule of 50 steps"
        )
    return "the factors multiply, and the square root of their product is left of the motion"


@check
def add_noise(answer):
    """``alphas_cumprod [T], x0 [B, F, D], noise [B, F, D], t [B]`` → x_t ``[B, F, D]``."""
    table = torch.tensor([0.64, 0.36])
    ten, one, at_zero = torch.full((1, 2, 3), 10.0), torch.ones(1, 2, 3), torch.tensor([0])
    got = answer(table, ten, one, at_zero)  # √0.64 · 10 + √0.36 · 1 = 8.6
    refuse(got, 6.76 * one, "ᾱ and 1 - ᾱ are shares of the variance; both need a square root as factors")
    refuse(got, 8.36 * one, "1 - ᾱ is the noise's variance; multiply the noise by its square root")
    refuse(got, 7.0 * one, "ᾱ is the motion's share of the variance; multiply the motion by its square root")
    refuse(got, 8.2 * one, "use the root of 1 - ᾱ, not 1 - √ᾱ: the variances must add up to 1, not the factors")
    refuse(got, 6.8 * one, "the factors of motion and noise are exchanged: √ᾱ belongs to x0")
    refuse(got, 11.0 * one, "the noise is added, but the motion is not scaled down: √ᾱ belongs to x0")
    expect_close(got, 8.6 * one, "with ᾱ = 0.64, x0 = 10 and noise = 1 it should be 0.8 · 10 + 0.6 · 1 = 8.6")
    scheduler = NoiseScheduler(50)
    table, times = scheduler.alphas_cumprod, torch.tensor([0, 10, 25, 49])
    x0, noise = _draws(4, 4, 4)  # equal numbers of clips, frames and features: a wrong axis raises no error
    got, wanted = answer(table, x0, noise, times), scheduler.add_noise(x0, noise, times)
    for view, axis in (((1, 1, -1), "features"), ((1, -1, 1), "frames")):
        wrong = table[times].sqrt().view(view) * x0 + (1 - table[times]).sqrt().view(view) * noise
        refuse(got, wrong, f"t runs along the {axis}: each *clip* has its own t; give √ᾱ the shape [B, 1, 1]")
    first = scheduler.add_noise(x0, noise, times[:1].expand(4))
    refuse(got, first, "every clip got the first clip's t; each has its own")
    expect_close(got, wanted, "wrong for a batch in which each clip has its own t")
    x0, noise = _draws(3, 5, 7)
    times = torch.tensor([49, 0, 25])
    expect_close(answer(table, x0, noise, times), scheduler.add_noise(x0, noise, times), "wrong for a [3, 5, 7] batch")
    return "both roots are right, and each clip of a batch has its own t"


@check
def one_step_back(answer):
    """``alphas_cumprod [T], x0, x_t, t (a number), noise`` → a sample of x_{t-1}, all shaped like x0."""
    table, zero, one = torch.tensor([0.9, 0.36]), torch.zeros(2, 3), torch.ones(2, 3)
    of_x0, of_x_t = answer(table, one, zero, 1, zero), answer(table, zero, one, 1, zero)
    now, before = 0.36, 0.9
    alpha = now / before
    beta = 1 - alpha
    x0_coef, x_t_coef = before**0.5 * beta / (1 - now), alpha**0.5 * (1 - before) / (1 - now)
    expect(
        not isinstance(of_x0, Tensor) or of_x0.isfinite().all(),
        "there are NaN, from the root of a negative number: is α > 1? ᾱ_t and ᾱ_{t-1} may be swapped in it",
    )
    swap = "ᾱ_t and ᾱ_{t-1} are swapped: alphas_cumprod[t] has more noise, so it is the smaller one"
    for wrong in (now**0.5 * beta / (1 - now), now**0.5 * beta / (1 - before), now**0.5 * (1 - before / now) / 0.1):
        refuse(of_x0, wrong * one, swap)
    refuse(of_x0, x_t_coef * one, "x0 and x_t are swapped: β belongs to x0, 1 - ᾱ_{t-1} to x_t")
    refuse(of_x0, before**0.5 * one, "β is the noise of one step, 1 - ᾱ_t / ᾱ_{t-1}; 1 - ᾱ_t is that of all steps")
    refuse(of_x0, before * beta / (1 - now) * one, "x0's factor contains √ᾱ_{t-1}: is your square root missing?")
    expect_close(of_x0, x0_coef * one, f"for ᾱ = [0.9, 0.36] and t = 1, x0's factor should be {x0_coef:.3f}")
    refuse(of_x_t, alpha**0.5 * one, swap)
    refuse(of_x_t, alpha * 0.1 / 0.64 * one, "x_t's factor contains √α: is your square root missing?")
    expect_close(of_x_t, x_t_coef * one, f"for ᾱ = [0.9, 0.36] and t = 1, x_t's factor should be {x_t_coef:.3f}")
    of_noise = answer(table, zero, zero, 1, one)
    variance = (1 - before) / (1 - now) * beta
    refuse(of_noise, zero, "the noise is missing: this is the mean, not a sample")
    refuse(of_noise, variance * one, "this is the variance; multiply the noise by its square root")
    refuse(of_noise, beta**0.5 * one, "√β is the deviation of a step forward; given x0, a step back has a smaller one")
    expect_close(of_noise, variance**0.5 * one, f"for ᾱ = [0.9, 0.36] and t = 1, the deviation is {variance**0.5:.3f}")
    x0, x_t, noise = torch.full((2, 3), 0.5), *_draws(2, 3)
    got = answer(table, x0, x_t, 0, noise)
    expect(
        not isinstance(got, Tensor) or got.isfinite().all(),
        "at t = 0 there are NaN: alphas_cumprod[-1] is the *last* entry; before the first step ᾱ is 1",
    )
    expect_close(got, x0, "the step at t = 0 gives the clean motion: the answer is x0, and no noise is added", 1e-5)
    scheduler = NoiseScheduler(50, "cosine")
    for t in (1, 20, 49):
        got = answer(scheduler.alphas_cumprod, x0, x_t, t, noise)
        wanted = scheduler.step(x0, x_t, torch.full((2,), t), noise)
        expect_close(got, wanted, f"wrong on a cosine schedule at t = {t}")
    return "both factors, the deviation, and no noise at t = 0"


def _draws(*shape: int) -> tuple[Tensor, Tensor]:
    """Two tensors of seeded noise."""
    return tuple(torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)))
