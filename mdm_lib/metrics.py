"""How good a set of motions is, as pure functions on tensors: distributions, variety, physics, memorisation.

Motions are joints ``[N, F, 22, 3]`` in metres, y up, 20 frames a second, with ``lengths [N]`` real frames; frames at
and past a motion's length are never looked at. Features are ``[N, D]``, those of ``mdm_lib.recogniser``.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.data.clips import FPS, MotionClips, cut_windows, face_forward, length_mask, mirror, mirror_labels
from mdm_lib.errors import InputError
from mdm_lib.skeleton import JOINT, NUM_JOINTS, bone_lengths

TOES = (JOINT["left_foot"], JOINT["right_foot"])
#: ``nearest_clip`` compares every fourth frame, and windows of so many clips at a time (memory).
COMPARE_EVERY, CLIPS_AT_ONCE = 4, 64

# ------------------------------------------------------------------------------------------------ on features


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """FID: the squared Fréchet distance of two Gaussians fitted to features ``[N, D]`` and ``[M, D]``.

    |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2(Σ_a Σ_b)^½) (Heusel et al. 2017, eq. 6). It grows as N shrinks, even between
    samples of one distribution, so only figures of equal N compare.
    """
    return gaussian_distance(*moments(a), *moments(b))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``[D]`` and covariance ``[D, D]`` of features ``[N, D]``, in float64 on the CPU."""
    if features.dim() != 2 or len(features) < 2:
        raise InputError(f"features are {list(features.shape)}; the distance needs [N, D] with at least 2 motions")
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


# ------------------------------------------------------------------------------------------------ on joints


def bone_drift(joints: Tensor, lengths: Tensor) -> Tensor:
    """How much bones change their length, ``[N]`` in percent: deviation over time / mean, the mean over the bones."""
    mask = length_mask(lengths, joints.shape[1])[..., None]
    bones = bone_lengths(joints)
    mean = torch.where(mask, bones, 0).sum(1) / lengths[:, None]
    variance = torch.where(mask, bones - mean[:, None], 0).square().sum(1) / lengths[:, None]
    return 100 * (variance.sqrt() / mean).mean(1)


def skating_ratio(joints: Tensor, lengths: Tensor) -> Tensor:
    """Share of frames ``[N]`` in which a foot that is down slides (Karunratanakul et al. 2023, section 5.1).

    A foot joint is down while it is less than 5 cm over the floor in two neighbouring frames, and slides when it moves
    over 2.5 cm horizontally between them (0.5 m/s at 20 frames a second). The floor of a motion is where its lower
    foot joint is at the 5th percentile of the frames, as foot joints lie a few centimetres over the soles.
    """
    feet = joints[:, :, TOES]
    height = feet[..., 1].masked_fill(~length_mask(lengths, joints.shape[1])[..., None], torch.nan)
    floor = height.amin(2).nanquantile(0.05, dim=1)
    is_low = height < floor[:, None, None] + 0.05  # never in padding, as NaN compares False
    slides = feet[..., [0, 2]].diff(dim=1).norm(dim=-1) > 0.025
    return (is_low[:, 1:] & is_low[:, :-1] & slides).any(2).sum(1) / (lengths - 1)


def joint_speed(joints: Tensor, lengths: Tensor) -> Tensor:
    """Mean speed of the joints, ``[N]`` in metres a second."""
    return _mean_change(joints, lengths, order=1)


def joint_jerk(joints: Tensor, lengths: Tensor) -> Tensor:
    """Mean jerk (third derivative) of the joints, ``[N]`` in m/s³; NaN for motions of fewer than 4 frames."""
    return _mean_change(joints, lengths, order=3)


def _mean_change(joints: Tensor, lengths: Tensor, order: int) -> Tensor:
    change = joints.diff(n=order, dim=1).norm(dim=-1).mean(2) * FPS**order
    mask = length_mask(lengths - order, change.shape[1])
    return torch.where(mask, change, 0).sum(1) / mask.sum(1)


def lowest_point(joints: Tensor, lengths: Tensor) -> Tensor:
    """Height of the lowest joint in each motion, ``[N]`` metres."""
    is_padding = ~length_mask(lengths, joints.shape[1])
    return joints[..., 1].amin(2).masked_fill(is_padding, torch.inf).amin(1)


def floor_penetration(joints: Tensor, lengths: Tensor, floor: float) -> Tensor:
    """How far each motion goes through the floor at its deepest, ``[N]`` metres, 0 for those that stay above it.

    ``floor`` is the height under which hardly any real motion reaches, such as the 1st percentile of theirs
    (``lowest_point(real, lengths).quantile(0.01)``).
    """
    return (floor - lowest_point(joints, lengths)).clamp(min=0)


# ------------------------------------------------------------------------------------------------ memorisation


class Nearest(NamedTuple):
    """The training clip that each of N motions is nearest to."""

    distance: Tensor  # [N] root mean square over joints and frames, metres
    clip: Tensor  # [N] its index


def nearest_clip(joints: Tensor, lengths: Tensor, labels: Tensor, clips: MotionClips) -> Nearest:
    """Each motion's nearest among all windows of the clips of its action, mirrored ones too.

    Both are turned forward at their first frame, so place and heading do not matter. A clip shorter than the motion
    holds its last pose. Windows start at every frame, and every fourth frame of them is compared (5 a second). A
    model that copies its training clips is nearer to them than unseen real motion is.

    Args:
        joints, lengths, labels: ``[N, F, 22, 3]``, ``[N]``, ``[N]``.
        clips: the training clips, with the same labels.
    """
    motions = face_forward(joints)[:, ::COMPARE_EVERY].flatten(2)
    mask = length_mask(lengths, joints.shape[1])[:, ::COMPARE_EVERY].float()
    distance, nearest = torch.full((len(joints),), torch.inf), torch.zeros(len(joints), dtype=torch.long)
    mirrored_labels = torch.tensor(mirror_labels(clips.label_names))[clips.labels]
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        for flip, clip_labels in ((False, clips.labels), (True, mirrored_labels)):
            for clip in (clip_labels == label).nonzero()[:, 0].split(CLIPS_AT_ONCE):
                windows, index = _all_windows(clips, clip, joints.shape[1], int(lengths[own].min()), flip)
                at = _mean_square(motions[own], mask[own], windows).argmin(1)
                gap = (motions[own] - windows[at]).square().sum(2) * mask[own]  # again, without cancellation
                best = gap.sum(1) / mask[own].sum(1)
                is_nearer = best < distance[own]
                distance[own] = torch.where(is_nearer, best, distance[own])
                nearest[own] = torch.where(is_nearer, index[at], nearest[own])
    return Nearest((distance / NUM_JOINTS).sqrt(), nearest)


def _all_windows(clips: MotionClips, clip: Tensor, num_frames: int, shortest: int, flip: bool) -> tuple[Tensor, Tensor]:
    """Every window of some clips that holds ``shortest`` real frames: ``[W, F/4, 66]``; and whose each is, ``[W]``."""
    count = (clips.lengths[clip] - shortest).clamp(min=0) + 1
    index = clip.repeat_interleave(count)
    start = torch.cat([torch.arange(int(n)) for n in count])
    windows = cut_windows(clips, index, start, num_frames)[0][:, ::COMPARE_EVERY]
    return (mirror(windows) if flip else windows).flatten(2), index


def _mean_square(motions: Tensor, mask: Tensor, windows: Tensor) -> Tensor:
    """``[N, W]`` squared distances, the mean over the real frames: |a − b|² = |a|² − 2ab + |b|², by matrix products."""
    motions = motions * mask[..., None]
    squares = motions.square().sum((1, 2))[:, None] + mask @ windows.square().sum(2).T
    return ((squares - 2 * motions.flatten(1) @ windows.flatten(1).T) / mask.sum(1, keepdim=True)).clamp(min=0)


# ------------------------------------------------------------------------------------------------ numbers


def ks_distance(a: Tensor, b: Tensor) -> float:
    """Two-sample Kolmogorov–Smirnov statistic of numbers ``[N]`` and ``[M]``: the widest gap of their distributions."""
    both = torch.cat([a, b]).sort().values
    shares = [torch.searchsorted(x.sort().values, both, right=True) / len(x) for x in (a, b)]
    return float((shares[0] - shares[1]).abs().max())
