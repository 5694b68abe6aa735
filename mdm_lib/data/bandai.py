"""The Bandai-Namco Research Motiondataset: studio motion capture that anyone can download (``data/README.md``)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mdm_lib.data.clips import FPS, MotionClips, put_on_floor
from mdm_lib.errors import InputError
from mdm_lib.skeleton import NUM_JOINTS, PARENTS, forward_kinematics

SOURCE = "Bandai-Namco Research Motiondataset 1 and 2"
KEYS = ("poses", "trans", "rest", "parents", "start", "length", "y", "label_names", "fps")


def load_bandai(path: str | Path) -> MotionClips:
    """Read a prepared file of the data set (``.npz``).

    Returns:
        all clips: ``[N, F, 22, 3]``, metres, y up, 20 frames a second, on the floor.

    Raises:
        InputError: when the file is missing, damaged or has another layout.
    """
    file = Path(path)
    content = _read_npz(file)
    if int(content["fps"]) != FPS or tuple(content["parents"][:NUM_JOINTS]) != PARENTS:
        raise InputError(f"{file} must have {FPS} frames a second and SMPL's joint order; prepare it anew")
    rotations = rotation_matrices(torch.from_numpy(content["poses"]).double().unflatten(1, (-1, 3))[:, :NUM_JOINTS])
    root, rest = (torch.from_numpy(content[name]).double() for name in ("trans", "rest"))
    joints = forward_kinematics(rotations, root, rest[:NUM_JOINTS]).float()
    if not len(joints) == content["length"].sum() == (content["start"] + content["length"]).max():
        raise InputError(f"{file}: starts and lengths do not fit its {len(joints)} frames; copy it anew")
    clips = list(joints.split(content["length"].tolist()))
    names = tuple(str(name) for name in content["label_names"])
    return put_on_floor(MotionClips.from_list(clips, content["y"], names, f"{SOURCE} ({file.name})"))


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise InputError(f"there is no file {file}; data/README.md says how to get the data")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays}
    except Exception as error:  # zipfile's, zlib's and numpy's, whichever notices first
        raise InputError(f"{file} is damaged, cut short or no .npz of arrays; copy it anew") from error
    if missing := [name for name in KEYS if name not in content]:
        raise InputError(f"{file} lacks {', '.join(missing)}; data/README.md has the layout")
    return content


def rotation_matrices(axis_angle: Tensor) -> Tensor:
    """``[..., 3]`` axis times angle in radians → ``[..., 3, 3]`` (Rodrigues' formula)."""
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(cross)
