"""The noise scheduler against closed forms, a simulated chain, and diffusers."""

import math

import pytest
import torch
from diffusers import DDPMScheduler

from mdm_lib import PRESETS, NoiseScheduler
from mdm_lib.scheduler import cosine_betas, linear_betas

SCHEDULES = ["linear", "cosine"]


def theirs(kind, schedule, num_timesteps, **options):
    scale = 1000 / num_timesteps
    return kind(
        num_timesteps, beta_start=1e-4 * scale, beta_end=0.02 * scale,
        beta_schedule={"linear": "linear", "cosine": "squaredcos_cap_v2"}[schedule],
        prediction_type="sample", clip_sample=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_tables_and_add_noise_equal_diffusers(schedule):
    ours, oracle = NoiseScheduler(1000, schedule), theirs(DDPMScheduler, schedule, 1000)
    # theirs are float32 from the start, hence the tolerance
    torch.testing.assert_close(ours.alphas_cumprod, oracle.alphas_cumprod, rtol=1e-3, atol=1e-6)
    x0, noise, t = torch.randn(5, 4, 6), torch.randn(5, 4, 6), torch.tensor([0, 1, 10, 500, 999])
    torch.testing.assert_close(ours.add_noise(x0, noise, t), oracle.add_noise(x0, noise, t), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("t", [0, 1, 42, 99])
def test_step_equals_diffusers(schedule, t):
    ours, oracle = NoiseScheduler(100, schedule), theirs(DDPMScheduler, schedule, 100)
    x0, x_t = torch.randn(3, 4, 6), torch.randn(3, 4, 6)
    expected = oracle.step(x0, t, x_t, generator=torch.Generator().manual_seed(7)).prev_sample
    noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(ours.step(x0, x_t, torch.full((3,), t), noise), expected, rtol=1e-3, atol=1e-4)


def test_linear_is_the_papers_and_scales():
    betas = linear_betas(1000)
    torch.testing.assert_close(betas[[0, -1]], torch.tensor([1e-4, 0.02], dtype=torch.float64))
    torch.testing.assert_close(linear_betas(100)[[0, -1]], torch.tensor([1e-3, 0.2], dtype=torch.float64))
    assert linear_betas(10).max() == 0.999


def test_cosine_closed_form():
    def f(time):
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    alphas_cumprod = (1 - cosine_betas(1000)).cumprod(0)
    for t in (0, 250, 900):
        assert alphas_cumprod[t].item() == pytest.approx(f((t + 1) / 1000) / f(0), rel=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("num_timesteps", sorted({10, 50, 1000} | {c.num_timesteps for c in PRESETS.values()}))
def test_every_chain_ends_in_noise(schedule, num_timesteps):
    assert NoiseScheduler(num_timesteps, schedule).alphas_cumprod[-1] < 1e-3


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_closed_form_is_the_chain(schedule):
    """Adding a little noise t times gives the mean and deviation that add_noise jumps to."""
    torch.manual_seed(0)
    scheduler, x = NoiseScheduler(20, schedule), torch.full((200_000,), 2.0)
    for t in range(10):
        beta = scheduler.betas[t]
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn_like(x)
    assert x.mean().item() == pytest.approx(2 * scheduler.sqrt_alphas_cumprod[9].item(), abs=0.01)
    assert x.std().item() == pytest.approx(scheduler.sqrt_one_minus_alphas_cumprod[9].item(), abs=0.01)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_last_step_is_deterministic(schedule):
    scheduler, x0 = NoiseScheduler(30, schedule), torch.randn(2, 3, 4)
    at_zero = torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(scheduler.step(x0, torch.randn(2, 3, 4), at_zero), x0, rtol=1e-5, atol=1e-6)


def test_bayes_posterior_by_quadrature():
    """q(x_{t-1} | x_t, x_0) is proportional to q(x_t | x_{t-1}) q(x_{t-1} | x_0): multiply and integrate."""
    scheduler, t, x0, x_t = NoiseScheduler(20, "cosine"), 8, 0.7, -0.4
    alphas_cumprod = scheduler.alphas_cumprod.double()
    beta, before = scheduler.betas[t].double(), alphas_cumprod[t - 1]
    grid = torch.linspace(-6, 6, 20_001, dtype=torch.float64)
    log_density = -((x_t - (1 - beta).sqrt() * grid) ** 2) / (2 * beta) - (grid - before.sqrt() * x0) ** 2 / (
        2 * (1 - before)
    )
    weights = log_density.softmax(0)
    mean = (weights * grid).sum()
    deviation = (weights * (grid - mean) ** 2).sum().sqrt()
    args = torch.tensor([[x0]]), torch.tensor([[x_t]]), torch.tensor([t])
    assert scheduler.step(*args, torch.zeros(1, 1)).item() == pytest.approx(mean.item(), abs=1e-5)
    assert scheduler.posterior_std[t].item() == pytest.approx(deviation.item(), abs=1e-5)


def test_an_unknown_schedule_says_what_there_is():
    with pytest.raises(ValueError, match="unknown schedule 'cosin'; there are: linear, cosine"):
        NoiseScheduler(50, "cosin")


def test_one_timestep_for_all_may_be_a_number():
    scheduler, x0, noise = NoiseScheduler(50), torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    t = torch.full((3,), 20)
    assert torch.equal(scheduler.add_noise(x0, noise, 20), scheduler.add_noise(x0, noise, t))
    assert torch.equal(scheduler.step(x0, noise, 20, noise), scheduler.step(x0, noise, t, noise))
