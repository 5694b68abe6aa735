"""The checks on the reverse sampler: right answers pass, typical wrong ones are told what is wrong."""

import math

import pytest
import torch

from mdm_lib.checks import reverse_sampler as checks
from mdm_lib.checks.tutor import WrongAnswer


def walk(timesteps=lambda T: range(T - 1, -1, -1), mean=None, sigma=None, noise=torch.randn_like, last=False, ask=None):
    """An ancestral loop with one thing changed."""

    def loop(denoise, x, scheduler):
        fixed = torch.randn_like(x)
        for t in timesteps(scheduler.num_timesteps):
            pred_x0 = denoise(x, torch.full((len(x),), t) if ask is None else ask(x, t))
            coefs = scheduler.posterior_x0_coef[t], scheduler.posterior_xt_coef[t]
            if mean == "exchanged":
                coefs = coefs[::-1]
            x = coefs[0] * pred_x0 + coefs[1] * x
            if t > 0 or last:
                size = scheduler.betas[t].sqrt() if sigma is None else sigma(scheduler, t)
                x = x + size * (fixed if noise is None else noise(x))
        return x

    return loop


def test_ancestral_loop_right(capsys):
    checks.ancestral_with_beta(walk())
    assert capsys.readouterr().out.startswith("✔ ancestral_with_beta")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (walk(last=True), "noise is added at the last step too"),
        (walk(timesteps=range), "the timesteps rise"),
        (walk(timesteps=lambda T: range(T - 1, 0, -1)), "the step at t = 0 is missing"),
        (walk(timesteps=lambda T: range(T - 2, -1, -1)), "the first step should be t = T-1 = 19"),
        (walk(timesteps=lambda T: range(T - 1, -1, -2)), "called once at each t"),
        (walk(mean="exchanged"), "the two coefficients are exchanged"),
        (walk(noise=lambda x: torch.randn_like(x[:1])), "every motion gets the same noise"),
        (walk(noise=None), "every step adds the same noise"),
        (walk(noise=torch.zeros_like), "no noise is added"),
        (walk(noise=torch.rand_like), "times the deviation √β_t"),
        (walk(sigma=lambda s, t: s.betas[t]), "the deviation is β_t"),
        (walk(sigma=lambda s, t: s.posterior_std[t]), "this is posterior_std"),
        (walk(ask=lambda x, t: t), "denoise needs t as a tensor of 256"),
        (lambda denoise, x, scheduler: [x], "it returns a list"),
        (lambda denoise, x, scheduler: x[:1], "the shape should be that of x"),
    ],
)
def test_ancestral_loop_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.ancestral_with_beta(answer)


def signal(abar, t, t_next):
    return abar[t].sqrt()


def noise(abar, t, t_next):
    return (1 - abar[t]).sqrt()


def signal_next(abar, t, t_next):
    return abar[t_next].sqrt()


def noise_next(abar, t, t_next):
    return (1 - abar[t_next]).sqrt()


def squared(root):
    return lambda *arguments: root(*arguments) ** 2


def moved(a=signal, b=noise, c=signal_next, d=noise_next, first="pred_x0"):
    """A DDIM step, whose four coefficients can be replaced, and what its first term takes."""

    def step(abar, x_t, pred_x0, t, t_next):
        of_x0, of_eps, of_x0_next, of_eps_next = (f(abar, t, t_next) for f in (a, b, c, d))
        eps = (x_t - of_x0 * pred_x0) / of_eps
        return of_x0_next * (pred_x0 if first == "pred_x0" else x_t) + of_eps_next * eps

    return step


def with_fresh_noise(abar, x_t, pred_x0, t, t_next):
    return abar[t_next].sqrt() * pred_x0 + (1 - abar[t_next]).sqrt() * torch.randn_like(x_t)


def to_the_neighbour(abar, x_t, pred_x0, t, t_next):
    return moved()(abar, x_t, pred_x0, t, t - 1)


def test_ddim_step_right(capsys):
    checks.ddim_step(moved())
    assert capsys.readouterr().out.startswith("✔ ddim_step")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (moved(a=squared(signal), b=squared(noise)), "without its root"),
        (moved(a=squared(signal)), "without its root"),
        (moved(b=squared(noise)), "without its root"),
        (moved(c=squared(signal_next), d=squared(noise_next)), "the way back needs the roots"),
        (moved(a=signal_next, b=noise_next), "this is x_t again. Is ε computed with ᾱ of t_next"),
        (moved(c=signal), "pred_x0 is weighted by √ᾱ of t;"),
        (moved(d=noise), "ε is weighted by √.* of t;"),
        (moved(first="x_t"), "the first term takes pred_x0"),
        (with_fresh_noise, "two calls differ"),
        (to_the_neighbour, "this is x at t - 1"),
        (lambda abar, x_t, pred_x0, t, t_next: x_t, "this is x_t again"),
        (lambda abar, x_t, pred_x0, t, t_next: pred_x0, "should have the same x0 and ε"),
        (lambda abar, x_t, pred_x0, t, t_next: pred_x0[0], "the shape should be"),
        (lambda abar, x_t, pred_x0, t, t_next: "x", "it gives a str"),
    ],
)
def test_ddim_step_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.ddim_step(answer)


def sigma(abar, t, t_next, eta):
    return eta * ((1 - abar[t_next]) / (1 - abar[t]) * (1 - abar[t] / abar[t_next])).sqrt()


@pytest.mark.parametrize("answer", [sigma, lambda *arguments: float(sigma(*arguments))])
def test_ddim_sigma_right(answer, capsys):
    checks.ddim_sigma(answer)
    assert capsys.readouterr().out.startswith("✔ ddim_sigma")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda A, t, n, eta: eta * (1 - A[n]) / (1 - A[t]) * (1 - A[t] / A[n]), "this is the variance"),
        (lambda A, t, n, eta: eta * ((1 - A[t]) / (1 - A[n]) * (1 - A[t] / A[n])).sqrt(), "upside down"),
        (lambda A, t, n, eta: eta * ((1 - A[n]) / (1 - A[t]) * (1 - A[n] / A[t])).sqrt(), "root of a negative"),
        (lambda A, t, n, eta: sigma(A, t, n, 1) * eta**0.5, "η is outside the root"),
        (lambda A, t, n, eta: sigma(A, t, n, 1), "η is not used"),
        (lambda A, t, n, eta: sigma(A.sqrt(), t, n, eta), "the numbers for √ᾱ"),
        (lambda A, t, n, eta: sigma(A, t, t - 1, eta), r"from t = 30 to 10 with η = 1.0 it should be 0\.\d+"),
        (lambda A, t, n, eta: "small", "it gives a str"),
    ],
)
def test_ddim_sigma_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.ddim_sigma(answer)


def on_the_circle(a, b, share):
    return math.cos(share * math.pi / 2) * a + math.sin(share * math.pi / 2) * b


def slerp(a, b, share):
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


@pytest.mark.parametrize(
    "answer", [on_the_circle, slerp, lambda a, b, share: math.sqrt(1 - share) * a + math.sqrt(share) * b]
)
def test_mix_right(answer, capsys):
    checks.mix(answer)
    assert capsys.readouterr().out.startswith("✔ mix")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda a, b, share: (1 - share) * a + share * b, "a linear mix at 0.5 has deviation 0.7"),
        (lambda a, b, share: on_the_circle(b, a, share), "share 0 should give the first noise"),
        (lambda a, b, share: math.sqrt(1 - share) * a + math.sqrt(share) * b.flip(1), "share 1 should give the second"),
        (lambda a, b, share: math.cos(share) * a + math.sin(share) * b, "share 1 should give the second"),
        (lambda a, b, share: a if share < 0.5 else b, "equal weights"),
        (lambda a, b, share: on_the_circle(a, b, share) * (1 + share * (1 - share)), "the deviation should be 1"),
        (
            lambda a, b, share: on_the_circle(a, b, share) if share in (0, 1) else torch.randn(a.shape),
            "little of the two noises",
        ),
    ],
)
def test_mix_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.mix(answer)


@pytest.mark.parametrize("check", [checks.ancestral_with_beta, checks.ddim_step, checks.ddim_sigma, checks.mix])
def test_stubs_are_still_to_do(check, capsys):
    check(lambda *arguments: ...)
    assert "still to do" in capsys.readouterr().out
