"""Rotations: axis-angle, quaternions, matrices, interpolation."""

import torch
from torch import Tensor


def quaternions(axis_angle: Tensor) -> Tensor:
    """``[..., 3]`` axis times angle in radians → ``[..., 4]`` unit quaternions, the real part first."""
    half = axis_angle.norm(dim=-1, keepdim=True) / 2
    return torch.cat([half.cos(), axis_angle * (half / torch.pi).sinc() / 2], dim=-1)


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """``[..., 4]`` unit quaternions, the real part first → ``[..., 3, 3]``."""
    w, x, y, z = quaternions.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def slerp(start: Tensor, end: Tensor, part: Tensor) -> Tensor:
    """Unit quaternions ``[..., 4]`` on the shorter arc from start (part 0) to end (part 1); Shoemake 1985."""
    cos = (start * end).sum(-1, keepdim=True)
    angle = cos.abs().clamp(max=1).acos() / torch.pi  # at most 1/2, so that its sinc is never zero
    near, far = (share * (share * angle).sinc() / angle.sinc() for share in (1 - part, part))
    return near * start + far * end.where(cos >= 0, -end)
