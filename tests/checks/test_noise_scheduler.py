"""The checks of chapter 03: right answers pass, typical wrong ones are told what is wrong with them."""

import pytest
import torch

from mdm_lib.checks import noise_scheduler as checks
from mdm_lib.checks.tutor import WrongAnswer


@pytest.mark.parametrize(
    "answer",
    [
        lambda betas: (1 - betas).cumprod(0).sqrt(),
        lambda betas: (1 - betas).sqrt().cumprod(0),
        lambda betas: torch.stack([(1 - betas[: t + 1]).prod() for t in range(len(betas))]) ** 0.5,
    ],
)
def test_signal_left_right(answer, capsys):
    checks.signal_left(answer)
    assert capsys.readouterr().out.startswith("✔ signal_left")


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (lambda betas: (1 - betas).cumprod(0), "this is ᾱ.*square root"),
        (lambda betas: (1 - betas.cumsum(0)).sqrt(), "cumsum.*multiply"),
        (lambda betas: (1 - betas.cumsum(0)).clamp(min=0).sqrt(), "cumsum.*multiply"),
        (lambda betas: 1 - betas.cumsum(0), "cumsum.*multiply"),
        (lambda betas: (1 - betas).cumsum(0).sqrt(), "cumsum.*multiply"),
        (lambda betas: betas.cumprod(0).sqrt(), "you multiplied the β"),
        (lambda betas: (1 - betas).sqrt(), "each step keeps by itself"),
        (lambda betas: (1 - (1 - betas).cumprod(0)).sqrt(), "these numbers grow with the noise"),
        (lambda betas: (1 - betas).prod().sqrt(), "the shape should be"),
    ],
)
def test_signal_left_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.signal_left(answer)


def noised(roots=(0.5, 0.5), view=(-1, 1, 1), swapped=False, pick=slice(None)):
    """Our own add_noise with a mistake in it."""

    def add_noise(alphas_cumprod, x0, noise, t):
        left = alphas_cumprod[t][pick].view(view)
        factors = left ** roots[0], (1 - left) ** roots[1]
        of_x0, of_noise = factors[::-1] if swapped else factors
        return of_x0 * x0 + of_noise * noise

    return add_noise


def test_add_noise_right(capsys):
    checks.add_noise(noised())
    assert capsys.readouterr().out.startswith("✔ add_noise")


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (noised(roots=(1, 1)), "both need a square root"),
        (noised(roots=(0.5, 1)), "1 - ᾱ is the noise's variance"),
        (noised(roots=(1, 0.5)), "ᾱ is the motion's share"),
        (noised(roots=(0, 0.5)), "it should be 0.8 · 10"),
        (lambda a, x0, noise, t: x0 + noise, "motion is not scaled down"),
        (lambda a, x0, n, t: a[t].sqrt() * x0 + (1 - a[t].sqrt()) * n, "not 1 - √ᾱ"),
        (noised(swapped=True), "factors of motion and noise are exchanged"),
        (noised(view=(-1,)), "t runs along the features"),
        (noised(view=(-1, 1)), "t runs along the frames"),
        (noised(pick=slice(1)), "first clip's t"),
        (lambda a, x0, noise, t: noised()(a, x0[0], noise[0], t)[0], "the shape should be"),
    ],
)
def test_add_noise_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.add_noise(answer)


def stepped(change=lambda **tables: tables, first=1.0):
    """Our own step with a mistake in it; ``first`` is what stands for ᾱ before the first step, or None: index -1."""

    def one_step_back(alphas_cumprod, x0, x_t, t, noise):
        now, before = alphas_cumprod[t], torch.tensor(first) if t == 0 and first is not None else alphas_cumprod[t - 1]
        alpha = now / before
        tables = {"now": now, "before": before, "alpha": alpha, "beta": 1 - alpha, "root": 0.5}
        k = tables | change(**tables)
        of_x0 = k["before"].sqrt() * k["beta"] / (1 - k["now"])
        of_x_t = k["alpha"].sqrt() * (1 - k["before"]) / (1 - k["now"])
        variance = (1 - k["before"]) / (1 - k["now"]) * k["beta"]
        if k.get("swapped"):
            of_x0, of_x_t = of_x_t, of_x0
        return of_x0 * x0 + of_x_t * x_t + k.get("deviation", variance ** k["root"]) * noise

    return one_step_back


def test_one_step_back_right(capsys):
    checks.one_step_back(stepped())
    assert capsys.readouterr().out.startswith("✔ one_step_back")


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (stepped(lambda now, before, **_: {"now": before, "before": now}), "are swapped"),
        (stepped(lambda alpha, **_: {"alpha": 1 / alpha, "beta": 1 - 1 / alpha}), "is α > 1"),
        (
            stepped(lambda now, before, **_: {"now": before, "before": now, "beta": 1 - before / now}),
            "ᾱ_t and ᾱ_{t-1} may be swapped",
        ),
        (stepped(lambda **_: {"swapped": True}), "x0 and x_t are swapped"),
        (stepped(lambda now, **_: {"beta": 1 - now}), "β is the noise of one step"),
        (stepped(lambda **_: {"root": 1}), "this is the variance"),
        (stepped(lambda beta, **_: {"deviation": beta.sqrt()}), "√β is the deviation of a step forward"),
        (stepped(lambda **_: {"deviation": 0}), "the noise is missing"),
        (stepped(lambda before, **_: {"deviation": max((1 - before).sqrt(), torch.tensor(0.306))}), "deviation is"),
        (stepped(first=None), "at t = 0"),
        (lambda a, x0, x_t, t, n: stepped()(a, x0, x_t, t, n) + (t == 0) * 0.1 * n, "no noise is added"),
    ],
)
def test_one_step_back_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.one_step_back(answer)
