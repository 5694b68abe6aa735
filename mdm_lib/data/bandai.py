"""The Bandai-Namco Research Motiondataset: studio motion capture that anyone can download (``data/README.md``).

It is read from the repository's folder of BVH files, or from a prepared ``.npz`` of the same motion. Both give
rotations of SMPL's joints, from which ``forward_kinematics`` computes the joints.
"""

import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mdm_lib.errors import InputError
from mdm_lib.formats.bvh import read_bvh
from mdm_lib.motion.clips import MotionClips, put_on_floor
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.rotations import quaternions, rotation_matrices, slerp
from mdm_lib.motion.skeleton import JOINT, NUM_JOINTS, PARENTS, forward_kinematics
from mdm_lib.reading import read_arrays
from mdm_lib.runtime import is_first_process

SOURCE = "Bandai-Namco Research Motiondataset 1 and 2"

#: The actions that are read from BVH files: the ten of data set 2 (data set 1 has some of them too), dash and bow.
ACTIONS = (
    "walk", "run", "walk-turn-left", "walk-turn-right", "wave-left-hand", "wave-right-hand", "wave-both-hands",
    "raise-up-left-hand", "raise-up-right-hand", "raise-up-both-hands", "dash", "bow",
)  # fmt: skip
#: The styles in which they are performed.
STYLES = (
    "active", "angry", "childish", "chimpira", "elderly", "exhausted", "feminine", "giant", "happy", "masculine",
    "masculinity", "musical", "normal", "not-confident", "old", "proud", "sad", "tired", "youthful",
)  # fmt: skip

BVH_FPS = 30
#: Longer BVH clips are cut to their first six seconds.
MAX_FRAMES = 6 * FPS
BVH_ROOT = "joint_Root"
#: The BVH joint for each of ``JOINT_NAMES``. The BVH spine has two joints, SMPL's three; see ``_smpl_pose``.
BVH_JOINTS = (
    "Hips", "UpperLeg_L", "UpperLeg_R", "Spine", "LowerLeg_L", "LowerLeg_R", "Chest", "Foot_L", "Foot_R", "Chest",
    "Toes_L", "Toes_R", "Neck", "Shoulder_L", "Shoulder_R", "Head", "UpperArm_L", "UpperArm_R", "LowerArm_L",
    "LowerArm_R", "Hand_L", "Hand_R",
)  # fmt: skip

#: The arrays of a prepared file, with dtype kind and shape: N clips, F frames in total, K actions.
LAYOUT = {
    "poses": ("f", "F", 72),
    "trans": ("f", "F", 3),
    "rest": ("f", 24, 3),
    "parents": ("i", 24),
    "start": ("i", "N"),
    "length": ("i", "N"),
    "y": ("i", "N"),
    "style": ("U", "N"),
    "label_names": ("U", "K"),
    "fps": ("i",),
}
COUNTED_IN = {"N": "y", "F": "poses", "K": "label_names"}


def load_bandai(path: str | Path) -> MotionClips:
    """Read the data set from its BVH files, or from a prepared ``.npz`` (``LAYOUT``).

    From a folder, the files of ``ACTIONS`` are read, by their names (``dataset-1_walk_normal_002.bvh``), and resampled
    to 20 frames per second; a summary of files read and skipped is printed.

    Args:
        path: a folder that contains the BVH files at any depth, or the prepared file.

    Returns:
        all clips: ``[N, F, 22, 3]``, metres, y up, 20 frames per second, on the floor (``put_on_floor``).
        ``factors["style"]`` is an index into ``STYLES``, -1 for any other style.

    Raises:
        InputError: if there is nothing to read, or a file is damaged or has another layout; the message names it.
    """
    path = Path(path)
    return put_on_floor(_from_folder(path) if path.is_dir() else _from_npz(path))


def _styles(names: list[str]) -> dict[str, Tensor]:
    return {"style": torch.tensor([STYLES.index(name) if name in STYLES else -1 for name in names])}


# ---------------------------------------------------------------- the prepared file


def _from_npz(file: Path) -> MotionClips:
    content = _read_npz(file)
    if int(content["fps"]) != FPS or tuple(content["parents"][:NUM_JOINTS]) != PARENTS:
        raise InputError(f"{file} must have {FPS} frames per second and SMPL's joint order; prepare it again")
    start, length, num_frames = content["start"], content["length"], len(content["poses"])
    if (start < 0).any() or (length < 0).any() or (start + length > num_frames).any():
        raise InputError(f"{file}: starts and lengths do not fit its {num_frames} frames; copy it again")
    axis_angle = torch.from_numpy(content["poses"]).double().unflatten(1, (-1, 3))[:, :NUM_JOINTS]
    root, rest = (torch.from_numpy(content[name]).double() for name in ("trans", "rest"))
    joints = forward_kinematics(rotation_matrices(quaternions(axis_angle)), root, rest[:NUM_JOINTS]).float()
    clips = [joints[first : first + count] for first, count in zip(start, length, strict=True)]
    names = content["label_names"].tolist()
    clips = MotionClips.from_list(clips, content["y"], names, f"{SOURCE} ({file.name})")
    return replace(clips, factors=_styles(content["style"].tolist()))


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    if not file.exists():
        raise InputError(f"there is no file or folder {file}; data/README.md says how to get the data")
    content = read_arrays(file, "a .npz of arrays")
    if missing := [name for name in LAYOUT if name not in content]:
        raise InputError(f"{file} lacks {', '.join(missing)}; data/README.md describes the layout")
    counts = {letter: len(np.atleast_1d(content[name])) for letter, name in COUNTED_IN.items()}
    for name, (kind, *shape) in LAYOUT.items():
        found, wanted = content[name], tuple(counts.get(size, size) for size in shape)
        if found.dtype.kind != kind or found.shape != wanted:
            raise InputError(
                f"{file}: {name!r} must have dtype kind {kind!r} and shape {list(wanted)}, not {found.dtype.kind!r} "
                f"and {list(found.shape)}; data/README.md describes the layout"
            )
    return content


# ---------------------------------------------------------------- the BVH files


def _from_folder(folder: Path) -> MotionClips:
    files, skipped = _choose(folder)
    clips, actions, styles = [], [], []
    for file in tqdm(files, "reading BVH files", unit="file", delay=2, leave=False, disable=not is_first_process()):
        clip = _read_bvh(file)
        if len(clip) < 2:
            skipped["shorter than two frames"][file.name] += 1
            continue
        _, action, style, _ = file.stem.split("_")
        clips.append(clip)
        actions.append(action)
        styles.append(style)
    names = [name for name in ACTIONS if name in actions]
    labels = [names.index(action) for action in actions]
    clips = MotionClips.from_list(clips, labels, names, f"{SOURCE} ({folder.resolve().name})")
    if is_first_process():
        counts = _listed({name: actions.count(name) for name in names})
        read = f"read {len(clips)} BVH files, {clips.lengths.sum():,} frames at {FPS} per second: {counts}"
        tqdm.write("\n".join([read, *_skips(skipped)]))
    return replace(clips, factors=_styles(styles))


def _choose(folder: Path) -> tuple[list[Path], dict[str, Counter]]:
    """The files to read, and those skipped, by reason."""
    chosen, skipped = {}, defaultdict(Counter)
    for file in sorted(folder.rglob("*.bvh")):
        name = re.fullmatch(r"dataset-\d+_([^_]+)_[^_]+_\d+", file.stem)
        if not name:
            skipped["not named dataset-N_action_style_NNN"][file.name] += 1
        elif name[1] not in ACTIONS:
            skipped["of other actions"][name[1]] += 1
        elif file.name in chosen:  # otherwise one copy might be trained on and the other held out
            skipped["duplicates"][file.name] += 1
        else:
            chosen[file.name] = file
    if not chosen:
        found = "; ".join(_skips(skipped)) or "no *.bvh in it"
        raise InputError(f"{folder} has no motion to read: {found}; data/README.md says how to get the data")
    return [chosen[name] for name in sorted(chosen)], skipped


def _skips(skipped: dict[str, Counter]) -> list[str]:
    return [f"skipped {counts.total()} {reason}: {_listed(counts)}" for reason, counts in skipped.items()]


def _listed(counts: dict[str, int], at_most: int = 20) -> str:
    listed = [f"{name} ({count})" if count > 1 else name for name, count in counts.items()]
    return ", ".join(listed[:at_most] + ["…"] * (len(listed) > at_most))


def _read_bvh(file: Path) -> Tensor:
    """``[F, 22, 3]`` joints, metres, at 20 frames per second."""
    try:
        motion = read_bvh(file, BVH_FPS, (BVH_ROOT, *BVH_JOINTS))
    except InputError as error:
        raise InputError(
            f"{error}. This loader reads the BVH files of the {SOURCE} only; keep others in a folder of their own, and "
            "bring their joints in with MotionClips.from_arrays (README, Your own motions)"
        ) from error
    joints = forward_kinematics(*_smpl_pose(_resample(motion))).float()
    if not joints.isfinite().all():
        raise InputError(f"{file} has NaN or infinite numbers; copy it again")
    return joints


def _resample(motion: Tensor) -> Tensor:
    """Resample ``[F, J, 7]`` (``read_bvh``) from 30 to 20 frames per second, at most ``MAX_FRAMES``.

    Rotations are interpolated rather than joint positions, so that bones keep their length.
    """
    time = torch.arange(min(len(motion) * FPS // BVH_FPS, MAX_FRAMES)) * (BVH_FPS / FPS)
    part = (time % 1).double()[:, None, None]
    before, after = motion[time.long()], motion[time.ceil().long()]
    return torch.cat([before[..., :3].lerp(after[..., :3], part), slerp(before[..., 3:], after[..., 3:], part)], -1)


def _smpl_pose(motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments of ``forward_kinematics`` (rotations, root, offsets; metres) from ``[F, 1 + 22, 7]`` (``read_bvh``).

    The files have no ``spine2``: it is placed halfway between spine and chest, and does not bend.
    """
    offsets, rotations = motion[..., :3] / 100, rotation_matrices(motion[..., 3:])
    hips = (rotations[:, 0] @ offsets[:, 1, :, None])[..., 0] + offsets[:, 0]
    rotations[:, 1] = rotations[:, 0] @ rotations[:, 1]
    offsets, rotations = offsets[:, 1:], rotations[:, 1:]
    offsets[:, [JOINT["spine2"], JOINT["spine3"]]] /= 2
    rotations[:, JOINT["spine2"]] = torch.eye(3, dtype=rotations.dtype)
    return rotations, hips, offsets
