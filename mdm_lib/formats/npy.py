"""Motions as .npy, with a sidecar .json that describes them."""

import io
import json
from pathlib import Path

import numpy as np

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.skeleton import SMPL22, Skeleton


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
    22 joints and 20 frames per second.

    Raises:
        InputError: if a file is missing or damaged, or the motions have another shape.
    """
    path = Path(path)
    try:
        motions = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"no file at {path}; make one with `python -m mdm_lib sample`, or check the path") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a .npy file of numbers, or is cut short; create it again") from error
    about = {"fps": FPS, **_read_sidecar(path)}
    about["skeleton"] = Skeleton.from_plain(about["skeleton"]) if "skeleton" in about else SMPL22
    shape, num_joints = getattr(motions, "shape", ()), about["skeleton"].num_joints
    if len(shape) not in (3, 4) or shape[-2:] != (num_joints, 3) or 0 in shape:
        raise InputError(f"{path} has shape {list(shape)}; motions are [N, frames, {num_joints}, 3] in metres")
    return motions, about


def _read_sidecar(path: Path) -> dict:
    sidecar = path.with_suffix(".json")
    try:
        return json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
    except ValueError as error:
        raise InputError(
            f"{sidecar}, which describes {path.name}, is damaged; move it away, or write both again"
        ) from error
