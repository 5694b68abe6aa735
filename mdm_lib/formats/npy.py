"""Motions as .npy, with a sidecar .json that describes them."""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import torch

from mdm_lib.errors import InputError, printable
from mdm_lib.files import write_atomically
from mdm_lib.formats.arrays_only import unpickle_arrays
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.intake import BEGIN_WITH_SMPL22, UPRIGHT, up_axis
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.reading import read_array, read_json, reading, shown
from mdm_lib.words import plain_number


def save_motions(
    path: str | Path, motions: np.ndarray, labels: list[int], label_names: tuple[str, ...], made_by: dict,
    skeleton: Skeleton = SMPL22, fps: float = FPS,
) -> Path:  # fmt: skip
    """Write motions ``[N, F, J, 3]`` (metres) as float32 .npy, with a sidecar .json that describes them.

    Raises:
        InputError: if a file cannot be written.
    """
    path, content = Path(path), io.BytesIO()
    if path.suffix == ".json":
        raise InputError(f"{path}: motions are written as .npy, with a .json beside them; try motions.npy")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    np.save(content, motions.astype(np.float32))
    about = {
        "labels": labels,
        "label_names": [label_names[label] for label in labels],
        "lengths": [motions.shape[1]] * len(motions),
        "fps": fps,
        "skeleton": skeleton.to_plain(),
        **made_by,
    }
    write_atomically(path.with_suffix(".json"), json.dumps(about, indent=1).encode())
    return write_atomically(path, content.getbuffer())


def load_motions(path: str | Path) -> tuple[np.ndarray, dict]:
    """Read motions ``[N, F, J, 3]`` or ``[F, J, 3]`` (metres) from a .npy, and the contents of its sidecar.

    The sidecar is optional. ``"skeleton"`` (a ``Skeleton``) and ``"fps"`` are always set, by default to SMPL's first
    22 joints and 20 frames per second. A file without one may have another layout, which is seen by looking and said
    in a warning: the ``results.npy`` of MDM's own code, 24, 52 or 55 joints, axes in another order, another axis up.

    Raises:
        InputError: if a file is missing or damaged, or the motions have a shape that cannot be read.
    """
    path = Path(path)
    sidecar = path.with_suffix(".json")
    about = (
        read_json(sidecar, f"the description of {path.name}", "move it away, or write both again")
        if sidecar.exists()
        else {}
    )
    about = {"fps": FPS, **about}
    with reading(path, "a .npy file of motion", "create it again"):
        content = _results(path) if _holds_objects(path) else {"motion": read_array(path, "a .npy file of motion")}
    if "lengths" in content:
        about.setdefault("lengths", np.asarray(content["lengths"]).flatten().tolist())
    with reading(sidecar if sidecar.exists() else path, f"the description of {path.name}", "write both again"):
        about["skeleton"] = Skeleton.from_plain(about["skeleton"]) if "skeleton" in about else SMPL22
        about["fps"] = plain_number(f"{sidecar}: fps", about["fps"])
    motions = _arranged(content["motion"], about["skeleton"], path)
    if not sidecar.exists():
        motions = _upright(motions, about["skeleton"], path)
    _check_description(about, motions, path)
    return motions, about


def _holds_objects(path: Path) -> bool:
    with open(path, "rb") as file:
        return b"'|O'" in file.read(200)


def _results(path: Path) -> dict:
    """The ``results.npy`` that MDM's own code writes: a dict with ``motion`` ``[N, J, 3, F]`` and ``lengths``."""
    content = path.read_bytes()
    found = unpickle_arrays(content[10 + int.from_bytes(content[8:10], "little") :], path)
    found = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
    if not isinstance(found, dict) or not isinstance(found.get("motion"), np.ndarray):
        what = "objects" if isinstance(found, np.ndarray) else shown(found)
        raise InputError(f"{path} is not a .npy file of numbers: it holds {what}, and no dict with the array 'motion'")
    return found


def _arranged(motions: np.ndarray, skeleton: Skeleton, path: Path) -> np.ndarray:
    """``[(N,) F, J, 3]`` from numbers in any of the usual orders."""
    shape, num_joints = list(motions.shape), skeleton.num_joints
    counts = (num_joints, *(BEGIN_WITH_SMPL22 if skeleton == SMPL22 else ()))
    if motions.ndim in (3, 4) and shape[-1] != 3 and shape[-2] == 3 and shape[-3] in counts:
        motions = np.moveaxis(motions, -1, -3)
        warnings.warn(f"{path} has shape {shape}: read as joints, axes, frames", stacklevel=3)
    elif motions.ndim in (2, 3) and shape[-1] in [3 * count for count in counts]:
        motions = motions.reshape(*shape[:-1], -1, 3)
    if motions.ndim in (3, 4) and motions.shape[-1] == 3 and motions.shape[-2] in counts[1:]:
        warnings.warn(f"{path} has {motions.shape[-2]} joints: the first {num_joints} are shown", stacklevel=3)
        motions = motions[..., :num_joints, :]
    if motions.ndim not in (3, 4) or motions.shape[-2:] != (num_joints, 3) or 0 in motions.shape:
        hint = "; these are HumanML3D's features: convert them to joints first" if {263, 251} & {*shape[-1:]} else ""
        raise InputError(f"{path} has shape {shape}; motions are [N, frames, {num_joints}, 3] in metres{hint}")
    if motions.dtype.kind not in "iuf" or not np.isfinite(motions).all():
        raise InputError(f"{path} has NaN or infinite coordinates, or no real numbers; create it again")
    return motions


def _upright(motions: np.ndarray, skeleton: Skeleton, path: Path) -> np.ndarray:
    up = up_axis(torch.from_numpy(motions.reshape(-1, *motions.shape[-2:])).float(), skeleton)
    if up == "y":
        return motions
    warnings.warn(f"{path} has {up} up: turned to y up", stacklevel=3)
    return motions @ np.array(UPRIGHT[up], motions.dtype).T


def _check_description(about: dict, motions: np.ndarray, path: Path) -> None:
    number, frames = (motions.shape[0] if motions.ndim == 4 else 1), motions.shape[-3]
    if not about["fps"] > 0:
        raise InputError(f"{path} is described with {about['fps']} frames per second; give a positive number")
    lengths, names = about.get("lengths"), about.get("label_names")
    if lengths is not None and (
        not isinstance(lengths, list)
        or len(lengths) != number
        or not all(type(length) is int and 0 < length <= frames for length in lengths)
    ):
        raise InputError(f"{path}: its lengths must be {number} whole numbers from 1 to {frames}; write both again")
    if names is not None:
        if not isinstance(names, list) or len(names) != number or not all(isinstance(name, str) for name in names):
            raise InputError(f"{path}: its label_names must be {number} texts; write both files again")
        about["label_names"] = [printable(name) for name in names]
