"""Files: written so that a crash or a full disk never leaves half of one; and motions as .npy."""

import io
import json
import os
from pathlib import Path

import numpy as np

from mdm_lib.data.clips import FPS
from mdm_lib.errors import InputError
from mdm_lib.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS


def write_atomically(path: str | Path, content: bytes) -> Path:
    """Write ``content`` beside ``path``, then rename it into place; folders are made.

    Raises:
        InputError: when it cannot be written (full disk, no permission); what stood at ``path`` before is untouched.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; what was there before is untouched. "
            "Free some space or choose another place, then run again"
        ) from error
    return path


def asset_path(name: str) -> Path:
    """A file that comes with the course, in a checkout as in an installed wheel: ``asset_path("synthetic.pth")``.

    Raises:
        InputError: when there is no such file; the message lists those that are there.
    """
    package = Path(__file__).parent
    folder = next((f for f in (package / "assets", package.parent / "assets") if f.is_dir()), package / "assets")
    if not (folder / name).is_file():
        there = ", ".join(sorted(file.name for file in folder.glob("*.pth"))) or "none"
        raise InputError(f"no file {name!r} comes with the course; its models are: {there}")
    return folder / name


def save_motions(
    path: str | Path, motions: np.ndarray, labels: list[int], label_names: tuple[str, ...], made_by: dict
) -> Path:
    """Write motions ``[N, F, 22, 3]`` (metres) as float32 .npy, with a sidecar .json that says what they are."""
    path, content = Path(path), io.BytesIO()
    np.save(content, motions.astype(np.float32))
    about = {
        "labels": labels,
        "label_names": [label_names[label] for label in labels],
        "lengths": [motions.shape[1]] * len(motions),
        "fps": FPS,
        "skeleton": {"joint_names": JOINT_NAMES, "parents": PARENTS},
        **made_by,
    }
    write_atomically(path.with_suffix(".json"), json.dumps(about, indent=1).encode())
    return write_atomically(path, content.getbuffer())


def load_motions(path: str | Path) -> tuple[np.ndarray, dict]:
    """Motions ``[N, F, 22, 3]`` of a .npy, and its sidecar; one without a sidecar is fine."""
    path = Path(path)
    try:
        motions = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"no file at {path}; make one with `python -m mdm_lib sample`, or check the path") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a .npy file of numbers, or is cut short; make it anew") from error
    shape = getattr(motions, "shape", ())
    if len(shape) not in (3, 4) or shape[-2:] != (NUM_JOINTS, 3) or 0 in shape:
        raise InputError(f"{path} has shape {list(shape)}; motions are [N, frames, {NUM_JOINTS}, 3] in metres")
    sidecar = path.with_suffix(".json")
    try:
        return motions, json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
    except ValueError as error:
        raise InputError(f"{sidecar}, which describes {path.name}, is damaged; delete it or make both anew") from error
