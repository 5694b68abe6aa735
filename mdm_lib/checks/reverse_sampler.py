"""Checks of the exercises on the reverse sampler."""

import math

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close
from mdm_lib.samplers import DenoisingStep
from mdm_lib.scheduler import NoiseScheduler


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _expect_shape(got, like: Tensor) -> None:
    expect_close(got, like, "", tolerance=math.inf)


# ---------------------------------------------------------------- the ancestral loop


class Recorder:
    """A denoiser that returns half of another motion, and records its calls."""

    def __init__(self):
        self.steps: list[DenoisingStep] = []

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        expect(
            isinstance(t, Tensor) and list(t.shape) == [len(x_t)],
            f"denoise needs t as a tensor of {len(x_t)} equal numbers, one per motion: torch.full((len(x),), t)",
        )
        pred_x0 = x_t.roll(1, 0) / 2  # unlike x_t, so that exchanged coefficients show
        self.steps.append(DenoisingStep(int(t[0]), x_t.clone(), pred_x0.clone()))
        return pred_x0


@check
def ancestral_with_beta(answer) -> str:
    """``answer(denoise, x, scheduler)`` → x after all steps, with noise of deviation √β_t in each but the last."""
    scheduler, x, denoise = NoiseScheduler(20), _draw(256, 4, 6), Recorder()
    result = answer(denoise, x.clone(), scheduler)
    expect(isinstance(result, Tensor), f"it should return a tensor, it returns a {type(result).__name__}")
    expect(result.shape == x.shape, f"the shape should be that of x, {list(x.shape)}; it is {list(result.shape)}")
    _expect_falling([step.t for step in denoise.steps], scheduler.num_timesteps)
    expect_close(denoise.steps[0].x_t, x, "the first call of denoise should be with x as it was given")
    before = None
    for step, after in zip(denoise.steps, denoise.steps[1:], strict=False):
        mean = scheduler.posterior_x0_coef[step.t] * step.pred_x0 + scheduler.posterior_xt_coef[step.t] * step.x_t
        noise = (after.x_t - mean) / scheduler.betas[step.t].sqrt()
        expect(
            before is None or noise.abs().max() < 1e-3 or (noise - before).abs().max() > 1e-3,
            "every step adds the same noise; draw it inside the loop",
        )
        _expect_posterior(scheduler, step, after.x_t)
        before = noise
    last = denoise.steps[-1]
    extra = result - last.pred_x0
    if extra.std() > 1e-4:
        expect(
            abs(extra.std() / scheduler.betas[0].sqrt() - 1) > 0.15,
            "noise is added at the last step too: t = 0 gives the clean motion, and nothing removes this noise",
        )
    expect_close(result, last.pred_x0, "the step at t = 0 should end at its pred_x0, the mean without noise")
    return "it goes down all steps and adds fresh noise of deviation √β_t to each motion, and none at the end"


def _expect_falling(visited: list[int], num_timesteps: int) -> None:
    falling = list(range(num_timesteps))[::-1]
    expect(
        visited != falling[::-1],
        "the timesteps rise; sampling begins at T-1, so go down: range(T - 1, -1, -1) or reversed(range(T))",
    )
    expect(visited[:1] == falling[:1], f"the first step should be t = T-1 = {falling[0]}, it is {visited[:1]}")
    expect(
        visited != falling[:-1],
        "the step at t = 0 is missing; range(T - 1, -1, -1) reaches it, range(T - 1, 0, -1) does not",
    )
    expect(visited == falling, f"denoise should be called once at each t from {falling[0]} to 0, not at {visited}")


def _expect_posterior(scheduler: NoiseScheduler, step: DenoisingStep, after: Tensor) -> None:
    """``after`` should be drawn around the posterior's mean with deviation √β, separately for every motion."""
    of_x0, of_xt = scheduler.posterior_x0_coef[step.t], scheduler.posterior_xt_coef[step.t]
    beta, small = scheduler.betas[step.t], scheduler.posterior_std[step.t]
    added = after - (of_x0 * step.pred_x0 + of_xt * step.x_t)
    wanted = torch.stack([of_x0, of_xt])
    both = torch.stack([step.pred_x0.flatten(), step.x_t.flatten()], 1)
    used = torch.linalg.lstsq(both, after.flatten()[:, None]).solution[:, 0]
    expect(
        (used - wanted).norm() < 0.1 or (used - wanted).norm() < 2 * (used - wanted.flip(0)).norm(),
        "the two coefficients are exchanged: posterior_x0_coef belongs to pred_x0, posterior_xt_coef to x_t",
    )
    expect(added.std() > 1e-4, "no noise is added; without it all motions converge to the same average")
    rows = added.flatten(1)
    expect(
        (rows - rows[:1]).abs().max() > 1e-3,
        "every motion gets the same noise; draw it in the shape of x, torch.randn_like(x)",
    )
    size = float(added.std() / beta.sqrt())
    expect(abs(float(added.std() / beta) - 1) > 0.05 or abs(size - 1) < 0.05, "the deviation is β_t; it should be √β_t")
    expect(
        abs(float(added.std() / small) - 1) > 0.05 or abs(size - 1) < 0.05,
        "this is posterior_std, the root of β̃_t; the exercise asks for the other choice, √β_t",
    )
    expect(
        abs(size - 1) < 0.05 and abs(float(added.mean() / beta.sqrt())) < 0.1,
        f"at t = {step.t} the noise added to the posterior's mean has {size:.2f} times the deviation √β_t",
    )


# ---------------------------------------------------------------- DDIM


@check
def ddim_step(answer) -> str:
    """``answer(alphas_cumprod, x_t, pred_x0, t, t_next)`` → x at t_next, with the noise that x_t holds."""
    abar = NoiseScheduler(50).alphas_cumprod
    x0, eps = _draw(2, 3, 4), _draw(2, 3, 4, seed=1)

    def at(t: int, noise: Tensor = eps) -> Tensor:
        return abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * noise

    for t, t_next in ((30, 29), (30, 10), (49, 0), (10, 30)):
        x_t = at(t)
        got, again = (answer(abar, x_t.clone(), x0.clone(), t, t_next) for _ in range(2))
        _expect_shape(got, x_t)
        expect_close(again, got, "two calls differ: DDIM draws no fresh noise, it reuses the noise in x_t")
        if (got - at(t_next)).abs().max() > 1e-4:
            for wrong, complaint in _mistakes(abar, x_t, x0, eps, t, t_next):
                expect((got - wrong).abs().max() > 1e-4, complaint)
        way = "up" if t_next > t else "down"
        expect_close(got, at(t_next), f"from t = {t} {way} to t = {t_next} the result should have the same x0 and ε")
    return "the same x0 and noise at another noise level, down or up, over any gap"


def _mistakes(abar: Tensor, x_t: Tensor, x0: Tensor, eps: Tensor, t: int, t_next: int) -> list[tuple[Tensor, str]]:
    """Typical wrong answers, and the message for each."""
    a, a_next = abar[t], abar[t_next]
    signal, noise = a_next.sqrt() * x0, (1 - a_next).sqrt()
    rootless = "ε is computed from ᾱ without its root: x_t = √ᾱ·x0 + √(1-ᾱ)·ε, so solving for ε keeps both roots"
    mistakes = [
        (signal + noise * (x_t - a * x0) / (1 - a), rootless),
        (signal + noise * (x_t - a * x0) / (1 - a).sqrt(), rootless),
        (signal + noise * (x_t - a.sqrt() * x0) / (1 - a), rootless),
        (a_next * x0 + (1 - a_next) * eps, "ε is right, but the way back needs the roots too, √ᾱ and √(1-ᾱ)"),
        (a.sqrt() * x0 + noise * eps, "pred_x0 is weighted by √ᾱ of t; the target is t_next"),
        (signal + (1 - a).sqrt() * eps, "ε is weighted by √(1-ᾱ) of t; the target is t_next"),
        (x_t, "this is x_t again. Is ε computed with ᾱ of t_next? x_t was made at t: solve with ᾱ of t, then go on"),
        (a_next.sqrt() * x_t + noise * eps, "the first term takes pred_x0, here it takes x_t"),
    ]
    neighbour = abar[t - 1].sqrt() * x0 + (1 - abar[t - 1]).sqrt() * eps
    return [*mistakes, (neighbour, f"this is x at t - 1; from {t} the step should go to t_next = {t_next}")]


@check
def ddim_sigma(answer) -> str:
    """``answer(alphas_cumprod, t, t_next, eta)`` → the deviation of the fresh noise (Song et al. 2021, eq. 16)."""
    scheduler = NoiseScheduler(50)
    abar = scheduler.alphas_cumprod
    for t, t_next, eta in ((30, 29, 1.0), (30, 10, 1.0), (49, 0, 0.5), (20, 5, 0.0)):
        a, a_next = float(abar[t]), float(abar[t_next])
        got = answer(abar, t, t_next, eta)
        expect(isinstance(got, Tensor | float | int), f"it should give a number, it gives a {type(got).__name__}")
        number = float(got)
        expect(
            not math.isnan(number),
            "the root of a negative number: 1 - ᾱ_t/ᾱ_next is above 0, since ᾱ_t, with more noise, is smaller",
        )
        levels, kept = (1 - a_next) / (1 - a), 1 - a / a_next
        of_roots = (1 - a_next**0.5) / (1 - a**0.5) * (1 - (a / a_next) ** 0.5)
        right = eta * (levels * kept) ** 0.5
        mistakes = [
            (eta * levels * kept, "this is the variance σ²; the deviation is its root"),
            (eta * (kept / levels) ** 0.5, "the first ratio is upside down: it is (1-ᾱ of t_next) over (1-ᾱ of t)"),
            ((eta * levels * kept) ** 0.5, "η is outside the root, not under it"),
            ((levels * kept) ** 0.5, "η is not used; with η = 0 there is no fresh noise"),
            (eta * of_roots**0.5, "these are the numbers for √ᾱ; the formula has ᾱ itself under the root"),
        ]
        for wrong, complaint in mistakes:
            expect(abs(number - wrong) > 1e-4 or abs(number - right) < 1e-4, complaint)
        expect_close(number, right, f"from t = {t} to {t_next} with η = {eta} it should be {right:.3f}")
    for t in (1, 20, 49):
        got = float(answer(abar, t, t - 1, 1.0))
        expect_close(
            got, float(scheduler.posterior_std[t]), f"with η = 1 from {t} to {t - 1} it should be posterior_std"
        )
    return "0 for η = 0, and for η = 1 from t to t - 1 exactly the posterior's deviation"


# ---------------------------------------------------------------- between two noises


@check
def mix(answer) -> str:
    """``answer(a, b, share)`` → noise that is ``a`` for share 0, ``b`` for share 1, standard normal between."""
    a, b = _draw(1, 200, 200), _draw(1, 200, 200, seed=1)
    expect_close(answer(a, b, 0.0), a, "share 0 should give the first noise as it is", tolerance=1e-3)
    expect_close(answer(a, b, 1.0), b, "share 1 should give the second noise as it is", tolerance=1e-3)
    for share in (0.5, 0.25, 0.8):
        got = answer(a, b, share)
        _expect_shape(got, a)
        size, straight = float(got.std()), (share**2 + (1 - share) ** 2) ** 0.5
        expect(
            abs(size - straight) > 0.02,
            f"a linear mix at {share} has deviation {size:.2f}, but the model expects 1 at the start; variances add, "
            "so choose weights whose squares add up to 1",
        )
        expect(abs(size - 1) < 0.02, f"at share {share} the deviation should be 1, it is {size:.2f}")
        expect(
            (got - got.mean()).mul(a + b).mean() > 0.5, f"at share {share} the mix contains little of the two noises"
        )
    half = answer(a, b, 0.5)
    lean = float(((half * a).mean() - (half * b).mean()).abs())
    expect(lean < 0.05, "at share 0.5 both noises should have equal weights")
    return "both ends are right, and between them the noise has deviation 1"
