"""Measures on features, against closed forms and scipy."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_lib import InputError
from mdm_lib.evaluation import measures


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_gaussian(dimensions: int, seed: int):
    draws = torch.randn(dimensions + 1, dimensions, dtype=torch.float64, generator=seeded(seed))
    return draws[0], draws[1:] @ draws[1:].T / dimensions


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), dimensions=st.integers(1, 12))
def test_distance_of_gaussians_against_scipy(seed, dimensions):
    (mean_a, cov_a), (mean_b, cov_b) = (random_gaussian(dimensions, seed + k) for k in (0, 1))
    root = scipy.linalg.sqrtm((cov_a @ cov_b).numpy())
    expected = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * np.trace(root).real
    ours = measures.gaussian_distance(mean_a, cov_a, mean_b, cov_b)
    assert ours == pytest.approx(float(expected), rel=1e-6, abs=1e-6)
    assert ours == pytest.approx(measures.gaussian_distance(mean_b, cov_b, mean_a, cov_a), rel=1e-6, abs=1e-6)


def test_distance_of_gaussians_with_a_common_basis_has_a_closed_form():
    mean, (a, b) = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([[1.0, 4.0, 9.0], [4.0, 1.0, 0.0]]).double()
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    ours = measures.gaussian_distance(torch.zeros_like(mean), a.diag(), mean, b.diag())
    assert ours == pytest.approx(float(expected), abs=1e-9)


def test_frechet_distance_of_samples_approaches_that_of_their_gaussians():
    (mean_a, cov_a), (mean_b, cov_b) = (random_gaussian(4, k) for k in (0, 1))
    a, b = (
        mean + torch.randn(40_000, 4, dtype=torch.float64, generator=seeded(k)) @ torch.linalg.cholesky(cov).T
        for k, (mean, cov) in enumerate([(mean_a, cov_a), (mean_b, cov_b)])
    )
    exact = measures.gaussian_distance(mean_a, cov_a, mean_b, cov_b)
    assert measures.frechet_distance(a, b) == pytest.approx(exact, rel=0.03)


def test_frechet_distance_of_a_set_from_itself_and_from_its_shift():
    features = torch.randn(30, 64, generator=seeded())  # fewer motions than features: singular covariances
    assert measures.frechet_distance(features, features) == pytest.approx(0, abs=1e-5)
    assert measures.frechet_distance(features, features + 0.5) == pytest.approx(64 * 0.25, rel=1e-5)


def test_frechet_distance_falls_with_the_number_of_samples():
    draws = torch.randn(2, 2000, 16, generator=seeded())
    distances = [measures.frechet_distance(*draws[:, :size]) for size in (50, 200, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


def test_frechet_distance_needs_two_motions():
    with pytest.raises(InputError, match="at least 2"):
        measures.frechet_distance(torch.zeros(1, 4), torch.zeros(5, 4))


def test_accuracy():
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0], [0.0, 1.0]])
    assert measures.accuracy(logits, torch.tensor([0, 1, 1, 1])) == 0.75


def test_diversity_and_multimodality_of_known_sets():
    # two actions, 10 apart; in each, half of the motions stand 1 apart from the other half
    features = torch.tensor([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0], [10.0, 1.0]]).repeat(50, 1)
    labels = torch.tensor([0, 0, 1, 1]).repeat(50)
    expected = (0 + 1 + 10 + math.sqrt(101)) / 4
    assert measures.diversity(features, num_pairs=20_000) == pytest.approx(expected, rel=0.02)
    assert measures.multimodality(features, labels, num_pairs=20_000) == pytest.approx(0.5, rel=0.02)
    same = torch.ones(5, 3)
    assert measures.diversity(same) == measures.multimodality(same, torch.zeros(5)) == 0


def test_diversity_and_multimodality_are_seeded():
    features, labels = torch.randn(40, 8, generator=seeded()), torch.arange(40) % 3
    for measure in (lambda seed: measures.diversity(features, seed=seed),
                    lambda seed: measures.multimodality(features, labels, seed=seed)):  # fmt: skip
        assert measure(3) == measure(3) != measure(4)


def test_multimodality_leaves_lone_motions_out_and_needs_a_pair():
    features, labels = torch.tensor([[0.0], [2.0], [99.0]]), torch.tensor([0, 0, 1])
    assert measures.multimodality(features, labels, num_pairs=5000) == pytest.approx(1, rel=0.05)
    with pytest.raises(InputError, match="two motions of one action"):
        measures.multimodality(features, torch.tensor([0, 1, 2]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 60), other=st.integers(1, 60), whole=st.booleans())
def test_ks_distance_against_scipy(seed, size, other, whole):
    draws = 3 * torch.randn(size + other, generator=seeded(seed))
    draws = draws.round() if whole else draws  # whole numbers: many ties
    a, b = draws.split([size, other])
    assert measures.ks_distance(a, b) == pytest.approx(scipy.stats.ks_2samp(a.numpy(), b.numpy()).statistic, abs=1e-6)


def test_a_feature_that_is_no_number_names_its_motion():
    features = torch.randn(30, 4, generator=seeded())
    features[7, 2] = torch.nan
    with pytest.raises(InputError, match="motion 7 have NaN"):
        measures.frechet_distance(features, torch.randn(30, 4))
