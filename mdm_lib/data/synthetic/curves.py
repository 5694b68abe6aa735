"""Mathematics of the synthetic people: curves over time, points, rotations, two-bone limbs."""

import math
from itertools import pairwise

import torch
from torch import Tensor

# ------------------------------------------------------------------------------------------------ curves and points


def wave(phase: Tensor) -> Tensor:
    """A sine with one period per cycle."""
    return torch.sin(2 * math.pi * phase)


def ease(x: Tensor) -> Tensor:
    """0 → 1 with a soft start and a soft end."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def glide(x: Tensor, ramp: float = 0.2) -> Tensor:
    """0 → 1 at constant speed between soft ends; its peak speed is below that of ``ease``, as for a swinging foot."""
    x = x.clamp(0, 1)
    start, end = (ramp - x).clamp(min=0), (x - 1 + ramp).clamp(min=0)
    return (x - ramp / 2 + (start**2 - end**2) / (2 * ramp)) / (1 - ramp)


def curve(phase: Tensor, times, values, slopes=None) -> Tensor:
    """Smooth periodic curve ``[N, F]`` through key frames, flat at its extremes, never overshooting.

    Args:
        phase: ``[N, F]`` cycles.
        times, values: of the key frames, numbers or ``[N, 1]``; times ascend within [0, 1).
        slopes: ``{index: slope}`` where the slope (per cycle) is known. Elsewhere it is 0 at a peak and the harmonic
            mean of the two chords between peaks (Fritsch & Butland 1984).
    """
    times, values = ([torch.as_tensor(x) for x in row] for row in (times, values))
    times, values = [times[-1] - 1, *times, times[0] + 1], [values[-1], *values, values[0]]
    widths, rises = ([b - a for a, b in pairwise(row)] for row in (times, values))
    chords = [rise / width for rise, width in zip(rises, widths, strict=True)]
    means = [2 * a * b / torch.where(a * b > 0, a + b, torch.inf) for a, b in pairwise(chords)]
    means = [(slopes or {}).get(k, mean) for k, mean in enumerate(means)]
    total, means = values[0], [means[-1], *means, means[0]]
    for k, (width, rise) in enumerate(zip(widths, rises, strict=True)):
        s = ((phase % 1 - times[k]) / width).clamp(0, 1)  # a cubic Hermite segment, which adds its rise in total
        total = total + rise * s * s * (3 - 2 * s) + width * s * (1 - s) * (means[k] * (1 - s) - means[k + 1] * s)
    return total


def vec(x, y, z) -> Tensor:
    """``[..., 3]`` of three numbers or curves."""
    return torch.stack(torch.broadcast_tensors(*(torch.as_tensor(v, dtype=torch.float32) for v in (x, y, z))), -1)


def angles(pitch=0.0, yaw=0.0, roll=0.0) -> Tensor:
    """``[..., 3]`` degrees: pitch bows forward, yaw turns left, roll leans to the right."""
    return vec(pitch, yaw, roll)


def rotation(degrees: Tensor) -> Tensor:
    """``[..., 3]`` (pitch, yaw, roll) → ``[..., 3, 3]``: roll first, then pitch, then yaw."""
    (cp, cy, cr), (sp, sy, sr) = (f(torch.deg2rad(degrees)).unbind(-1) for f in (torch.cos, torch.sin))
    rows = [cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp]
    rows += [cp * sr, cp * cr, -sp]
    rows += [cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def rotate(matrix: Tensor, vector: Tensor) -> Tensor:
    """``[..., 3, 3]``, ``[..., 3]`` → ``[..., 3]``."""
    return (matrix @ vector[..., None])[..., 0]


def two_bone(reach: Tensor, bones, pole: Tensor, rest_bone, rest_hinge) -> tuple[Tensor, Tensor]:
    """Rotations of the two bones of a limb that put its end at ``reach`` (law of cosines).

    Args:
        reach: ``[N, F, 3]`` from the limb's root to the target; shortened if out of reach.
        bones: lengths of the upper and the lower bone, ``[N, 1]`` each.
        pole: ``[..., 3]`` the direction in which knee or elbow points.
        rest_bone, rest_hinge: the directions of bones and hinge axis in the rest pose.

    Returns:
        Two rotations ``[N, F, 3, 3]`` from the rest pose, in the frame of ``reach``.
    """
    upper, lower = bones
    along, distance = torch.nn.functional.normalize(reach, dim=-1), reach.norm(dim=-1)
    distance = torch.maximum(torch.minimum(distance, 0.998 * (upper + lower)), 1.05 * (upper - lower).abs())
    side = torch.nn.functional.normalize(pole - (pole * along).sum(-1, keepdim=True) * along, dim=-1)
    cos = ((upper**2 + distance**2 - lower**2) / (2 * upper * distance))[..., None]
    first = cos * along + (1 - cos**2).sqrt() * side
    second = (distance[..., None] * along - upper[..., None] * first) / lower[..., None]
    hinge = torch.linalg.cross(along, side)
    rest = _frame(torch.tensor(rest_bone), torch.tensor(rest_hinge))
    return _frame(first, hinge) @ rest.mT, _frame(second, hinge) @ rest.mT


def _frame(bone: Tensor, hinge: Tensor) -> Tensor:
    return torch.stack([bone, hinge, torch.linalg.cross(bone, hinge)], -1)
