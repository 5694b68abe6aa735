"""Measures on features ``[N, D]``, those of the recogniser: distance of distributions, accuracy, variety."""

import torch
from torch import Tensor

from mdm_lib.errors import InputError


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """FID: the squared Fréchet distance of two Gaussians fitted to features ``[N, D]`` and ``[M, D]``.

    |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2(Σ_a Σ_b)^½) (Heusel et al. 2017, eq. 6). It grows as N shrinks, even between
    samples of one distribution, so compare only figures of equal N.
    """
    return gaussian_distance(*moments(a), *moments(b))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``[D]`` and covariance ``[D, D]`` of features ``[N, D]``, in float64 on the CPU."""
    if features.dim() != 2 or len(features) < 2:
        raise InputError(f"features are {list(features.shape)}; the distance needs [N, D] with at least 2 motions")
    if not features.isfinite().all():
        bad = int((~features.isfinite()).any(1).nonzero()[0])
        raise InputError(f"features of motion {bad} have NaN or infinite numbers; leave that motion out")
    features = features.cpu().double()  # Apple's MPS has no float64
    return features.mean(0), torch.cov(features.T).view(features.shape[1], -1)


def gaussian_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """The squared Fréchet distance of two Gaussians (Dowson & Landau 1982).

    tr (Σ_a Σ_b)^½ is the trace of the symmetric (Σ_a^½ Σ_b Σ_a^½)^½, which has the same eigenvalues and whose
    decomposition exists for singular covariances too (N ≤ D).
    """
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * shared)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of motions recognised as what they should be; logits ``[N, A]``, labels ``[N]``."""
    return float((logits.argmax(1) == labels).double().mean())


def diversity(features: Tensor, num_pairs: int = 200, seed: int = 0) -> float:
    """Mean distance of random pairs of motions, features ``[N, D]`` (Guo et al. 2020, section 5: 200 pairs).

    Both motions of a pair are drawn freely, as in the evaluation code of Action2Motion, ACTOR and MDM.
    """
    first, second = _pairs(len(features), num_pairs, torch.Generator().manual_seed(seed))
    return float((features[first] - features[second]).norm(dim=1).mean())


def multimodality(features: Tensor, labels: Tensor, num_pairs: int = 20, seed: int = 0) -> float:
    """Mean distance of random pairs of motions of one action (Guo et al. 2020, section 5: 20 pairs of each action).

    Drawn as for ``diversity``; actions that have a single motion are left out.
    """
    generator, distances = torch.Generator().manual_seed(seed), []
    for label in labels.unique():
        own = features[labels == label]
        if len(own) > 1:
            first, second = _pairs(len(own), num_pairs, generator)
            distances.append((own[first] - own[second]).norm(dim=1))
    if not distances:
        raise InputError("multimodality needs two motions of one action at least; make more of each")
    return float(torch.cat(distances).mean())


def _pairs(size: int, num_pairs: int, generator: torch.Generator) -> Tensor:
    """Indices below ``size``, ``[2, num_pairs]``."""
    return torch.randint(size, (2, num_pairs), generator=generator)


def ks_distance(a: Tensor, b: Tensor) -> float:
    """Two-sample Kolmogorov–Smirnov statistic of numbers ``[N]`` and ``[M]``: the widest gap of their distributions."""
    both = torch.cat([a, b]).sort().values
    shares = [torch.searchsorted(x.sort().values, both, right=True) / len(x) for x in (a, b)]
    return float((shares[0] - shares[1]).abs().max())
