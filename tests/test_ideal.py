"""The exact posterior means against brute force, quadrature, and what any posterior mean must obey."""

import pytest
import torch

from mdm_lib import InputError, NoiseScheduler
from mdm_lib.ideal import IdealForClips, IdealForGaussian

SCHEDULER = NoiseScheduler(100, "cosine")


def noise(*shape, seed=0, **options):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **options)


def brute_force(x_t, t, clips, mask=None):
    """Bayes's rule a sample and a clip at a time, in densities of one number each."""
    alphas, sigmas = SCHEDULER.sqrt_alphas_cumprod.double(), SCHEDULER.sqrt_one_minus_alphas_cumprod.double()
    means = []
    for i, x in enumerate(x_t.double()):
        log_p = torch.distributions.Normal(alphas[t[i]] * clips.double(), sigmas[t[i]]).log_prob(x)
        log_p = log_p if mask is None else log_p * mask[i, :, None]
        weights = log_p.sum((1, 2)).softmax(0)
        means.append((weights[:, None, None] * clips).sum(0))
    return torch.stack(means).float()


@pytest.mark.parametrize("mask", [None, torch.arange(6) < torch.tensor([[6], [3], [1], [4], [6]])])
def test_clips_equal_brute_force(mask):
    clips, t = noise(7, 6, 4), torch.tensor([0, 20, 50, 80, 99])
    x_t = SCHEDULER.add_noise(clips[:5], noise(5, 6, 4, seed=1), t)
    ours = IdealForClips(SCHEDULER, clips)(x_t, t, mask=mask)
    assert ours.shape == x_t.shape and ours.dtype == x_t.dtype
    torch.testing.assert_close(ours, brute_force(x_t, t, clips, mask), rtol=1e-4, atol=1e-5)


def test_hidden_frames_tell_nothing():
    clips, x_t, t = noise(7, 6, 4), noise(1, 6, 4, seed=1), torch.tensor([50])
    mask, ideal = torch.arange(6)[None] < 4, IdealForClips(SCHEDULER, clips)
    expected = ideal(x_t, t, mask=mask)
    x_t[:, 4:] = 1e3
    torch.testing.assert_close(ideal(x_t, t, mask=mask), expected)
    shorter = IdealForClips(SCHEDULER, clips[:, :4])(x_t[:, :4], t)
    torch.testing.assert_close(expected[:, :4], shorter)


def test_clips_from_the_mean_to_the_nearest():
    clips, ideal = noise(7, 6, 4), IdealForClips(SCHEDULER, noise(7, 6, 4))
    torch.testing.assert_close(ideal(noise(1, 6, 4, seed=1), torch.tensor([99]))[0], clips.mean(0), rtol=0, atol=0.02)
    t = torch.zeros(7, dtype=torch.long)
    torch.testing.assert_close(ideal(SCHEDULER.add_noise(clips, noise(7, 6, 4, seed=1), t), t), clips)


def test_stable_in_high_dimensions_among_near_duplicates():
    """Log-likelihoods of 1e7 and clips a hair apart: the right twin must win, far-off input must stay finite."""
    clips = noise(1, 200, 100, dtype=torch.float64).repeat(2, 1, 1)
    clips[1, 0, 0] += 1.0
    ideal, t = IdealForClips(SCHEDULER, clips), torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(ideal(SCHEDULER.sqrt_alphas_cumprod[0] * clips, t), clips, rtol=0, atol=1e-6)
    assert ideal(1e6 * clips, t).isfinite().all()


def test_a_condition_picks_the_clips():
    clips, labels = noise(6, 5, 4), torch.tensor([0, 0, 0, 1, 1, 2])
    ideal, x_t, t = IdealForClips(SCHEDULER, clips, labels), noise(4, 5, 4, seed=1), torch.full((4,), 60)
    assert ideal.condition.null == 3
    answer = ideal(x_t, t, torch.tensor([0, 1, 2, 3]))
    torch.testing.assert_close(answer[:1], IdealForClips(SCHEDULER, clips[:3])(x_t[:1], t[:1]))
    torch.testing.assert_close(answer[1:2], IdealForClips(SCHEDULER, clips[3:5])(x_t[1:2], t[1:2]))
    torch.testing.assert_close(answer[2], clips[5])
    torch.testing.assert_close(answer[3:], ideal(x_t[3:], t[3:]))
    with pytest.raises(InputError, match="no clip has the condition 7"):
        ideal(x_t, t, torch.tensor([0, 7, 1, 2]))


def test_gaussian_equals_quadrature():
    """One number: ∫ x0 p(x0) p(x_t | x0) dx0 / ∫ p(x0) p(x_t | x0) dx0 on a grid."""
    mean, variance, grid = 0.7, 0.4, torch.linspace(-8, 8, 40_001, dtype=torch.float64)
    ideal = IdealForGaussian(SCHEDULER, torch.tensor([mean]), torch.tensor([variance]))
    for t in (0, 30, 70, 99):
        alpha, sigma = SCHEDULER.sqrt_alphas_cumprod[t].double(), SCHEDULER.sqrt_one_minus_alphas_cumprod[t].double()
        log_p = -((grid - mean) ** 2) / (2 * variance) - (-0.3 - alpha * grid) ** 2 / (2 * sigma**2)
        expected = (log_p.softmax(0) * grid).sum()
        assert ideal(torch.tensor([[-0.3]]), torch.tensor([t])).item() == pytest.approx(expected.item(), abs=1e-5)


def test_gaussian_in_full_equals_conditioning_and_the_diagonal_form():
    root, mean, t = noise(6, 6, dtype=torch.float64), noise(2, 3, seed=1, dtype=torch.float64), torch.tensor([10, 60])
    cov, x_t = root @ root.T, noise(2, 2, 3, seed=2, dtype=torch.float64)
    ours = IdealForGaussian(SCHEDULER, mean, cov)(x_t, t)
    for i in range(2):  # the joint Gaussian of (x0, x_t), conditioned
        alpha, sigma = SCHEDULER.sqrt_alphas_cumprod[t[i]].double(), SCHEDULER.sqrt_one_minus_alphas_cumprod[t[i]]
        of_x_t = alpha**2 * cov + sigma.double() ** 2 * torch.eye(6, dtype=torch.float64)
        offset = torch.linalg.solve(of_x_t, (x_t[i] - alpha * mean).flatten())
        torch.testing.assert_close(ours[i].flatten(), mean.flatten() + alpha * cov @ offset, rtol=1e-6, atol=1e-8)
    variances = cov.diagonal().view(2, 3)
    diagonal = IdealForGaussian(SCHEDULER, mean, variances)(x_t, t)
    torch.testing.assert_close(diagonal, IdealForGaussian(SCHEDULER, mean, variances.flatten().diag())(x_t, t))


def test_gaussian_refuses_a_covariance_that_does_not_fit():
    with pytest.raises(InputError, match=r"cov has shape \[3\].*\[2, 3\].*\[6, 6\]"):
        IdealForGaussian(SCHEDULER, torch.zeros(2, 3), torch.ones(3))


def test_no_denoiser_does_better():
    """The posterior mean has the least mean squared error: nudged any way, it gets worse."""
    clips, t = noise(5, 3, 2), torch.full((4000,), 50)
    x0 = clips[torch.randint(5, (4000,), generator=torch.Generator().manual_seed(1))]
    x_t = SCHEDULER.add_noise(x0, noise(4000, 3, 2, seed=2), t)
    answer = IdealForClips(SCHEDULER, clips)(x_t, t)
    least = (answer - x0).square().mean()
    for nudged in (0.9 * answer, 1.1 * answer, answer + 0.1, 0.9 * answer + 0.1 * x_t, clips.mean(0).expand_as(x0)):
        assert (nudged - x0).square().mean() > least
