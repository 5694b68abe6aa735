"""HumanAct12Poses, the course's real motion: download and loading."""

import os
import tarfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.formats.arrays_only import read_arrays_only, unpickle_arrays
from mdm_lib.motion.clips import MotionClips, put_on_floor
from mdm_lib.motion.intake import up_axis
from mdm_lib.motion.skeleton import NUM_JOINTS
from mdm_lib.reading import check_expansion, reading, shown

#: HumanAct12's actions in the order of its labels (Guo et al. 2020); the synthetic clips have the same.
HUMANACT12_ACTIONS = (
    "warm_up", "walk", "run", "jump", "drink", "lift_dumbbell", "sit", "eat", "turn_steering_wheel", "phone",
    "boxing", "throw",
)  # fmt: skip


FILE_NAME = "humanact12poses.pkl"
NUM_CLIPS = 1191
LONGEST_NAMES = 1_000_000  # characters
DRIVE_ID = "1130gHSvNyJmii7f6pv5aY5IyQIWc3t7R"
BY_HAND = (
    f"by hand: open https://drive.google.com/uc?id={DRIVE_ID} in a browser, put the .tar.gz (or the {FILE_NAME} "
    "in it) into {folder}, and run `python -m mdm_lib download humanact12 --folder {folder}` again"
)


def load_humanact12(path: str | Path, label_names: Sequence[str] | None = None) -> MotionClips:
    """Read ``humanact12poses.pkl``, or any other motion in its layout (``data/README.md``).

    In HumanAct12Poses y points down; a half turn about x makes it point up. (Negating all axes would exchange left
    and right.) A file in the same layout whose y points up already is left so, with a warning. Heights are relative to
    a camera, so each clip is put on the floor (``put_on_floor``).

    Args:
        path: the pickle, or the folder that holds it.
        label_names: names of the actions; by default the lines of ``<stem>.labels.txt`` or ``labels.txt`` beside the
            pickle, else ``HUMANACT12_ACTIONS``.

    Returns:
        all clips, including short ones: ``[N, F, 22, 3]``, metres, y up, 20 frames per second.

    Raises:
        InputError: if the file is missing, damaged, would run code or has another layout, or if a clip has NaN,
            fewer than 2 frames, other joints or a label without a name. The message names file and clip.
    """
    file = _find(Path(path))
    if file is None:
        folder = Path(path).parent if Path(path).suffix else Path(path)
        raise InputError(
            f"{path}: there is no {FILE_NAME}; run `python -m mdm_lib download humanact12`, or get it "
            + BY_HAND.format(folder=folder)
        )
    return _as_clips(read_arrays_only(file), file, _names_beside(file) if label_names is None else label_names)


def _find(path: Path) -> Path | None:
    candidates = (path, path / FILE_NAME, *sorted(path.glob(f"*/{FILE_NAME}")))
    return next((file for file in candidates if file.is_file()), None)


def _names_beside(file: Path) -> tuple[str, ...]:
    for names in (file.with_suffix(".labels.txt"), file.with_name("labels.txt")):
        if names.is_file():
            with reading(names, "a list of names"), open(names, encoding="utf-8-sig", errors="replace") as file:
                lines = file.read(LONGEST_NAMES).splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    return HUMANACT12_ACTIONS


def _as_clips(data: object, file: Path, label_names: Sequence[str]) -> MotionClips:
    if not isinstance(data, dict) or not {"joints3D", "y"} <= data.keys():
        keys = ", ".join(map(shown, list(data)[:6])) if isinstance(data, dict) else ""
        found = f"a dict of {keys or 'nothing'}" if isinstance(data, dict) else shown(data)
        raise InputError(f"{file} must be a dict with the lists 'joints3D' and 'y' (data/README.md), not {found}")
    lists = {key: data[key] for key in ("poses", "oldposes", "joints3D", "y") if key in data}
    for key, value in lists.items():
        if not isinstance(value, (list, tuple)) and np.ndim(value) == 0:
            raise InputError(f"{file}: {key!r} must be a list with one entry per clip, not a {type(value).__name__}")
    sizes = {key: len(value) for key, value in lists.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{file}: its lists must have the same length, one entry per clip; their lengths are {sizes}")
    for index, label in enumerate(data["y"]):
        if not isinstance(label, (int, np.integer)) or not 0 <= label < len(label_names):
            raise InputError(
                f"{file}: clip {index} has the label {shown(label)}, but only labels 0 to "
                f"{len(label_names) - 1} have names; name all actions with --label-names or in {file.stem}.labels.txt, "
                "one per line"
            )
    joints = [_joints(clip, f"{file}: clip {index}") for index, clip in enumerate(data["joints3D"])]
    clips = MotionClips.from_list(joints, [int(label) for label in data["y"]], label_names, source=str(file))
    is_original = len(clips) == NUM_CLIPS and tuple(label_names) == HUMANACT12_ACTIONS
    clips = replace(clips, source=f"{'HumanAct12Poses' if is_original else 'motion in its layout'} ({file.name})")
    if up_axis(clips.joints[clips.mask], clips.skeleton) == "-y":  # what the half turn below made of y up
        warnings.warn(f"{file}: y points up in it, other than in HumanAct12Poses; it is left so", stacklevel=3)
        clips = replace(clips, joints=clips.joints * clips.joints.new_tensor([1, -1, -1]))
    return put_on_floor(clips)


def _joints(clip: object, where: str) -> Tensor:
    """``[F, 24, 3]``, y down → ``[F, 22, 3]``, y up."""
    is_array = isinstance(clip, np.ndarray) and clip.dtype.kind in "fiu"
    if not is_array or clip.ndim != 3 or clip.shape[1:] not in ((24, 3), (NUM_JOINTS, 3)):
        found = list(clip.shape) if is_array else f"a {type(clip).__name__}"
        raise InputError(f"{where} must be an array of numbers [frames, 24 joints, 3] in SMPL's order, not {found}")
    return torch.from_numpy(np.asarray(clip[:, :NUM_JOINTS], np.float32) * np.float32([1, -1, -1]))


def download_humanact12(folder: str | Path) -> Path:
    """Put ``humanact12poses.pkl`` into ``folder``, from an archive already there or else from the web.

    Returns:
        path of the pickle. An existing one is left unchanged.

    Raises:
        InputError: if the download fails or is not the data set; the message explains the manual download.
    """
    folder = Path(folder)
    if file := _find(folder):
        return file
    archives = [file for file in sorted(folder.glob("*")) if file.name.endswith((".tar.gz", ".tgz", ".tar"))]
    archive = archives[0] if archives else _fetch(folder / "HumanAct12Poses.tar.gz")
    try:
        content = _unpack(archive)
        clips = _as_clips(unpickle_arrays(content, archive), archive, HUMANACT12_ACTIONS)
    except InputError as error:
        if not archives:
            archive.unlink()  # otherwise the next run would find it and fail again
        again = "Delete it and run again" if archives else "Run again"
        raise InputError(f"{error}. {again}, or get it {BY_HAND.format(folder=folder)}") from error
    if len(clips) != NUM_CLIPS:
        print(f"note: {archive.name} holds {len(clips)} clips; HumanAct12Poses had {NUM_CLIPS}")
    file = write_atomically(folder / FILE_NAME, content)
    if not archives:
        archive.unlink()
    return file


def _fetch(archive: Path) -> Path:
    by_hand = BY_HAND.format(folder=archive.parent)
    try:
        import gdown
    except ImportError as error:
        raise InputError(f"the download needs gdown: run `pip install gdown`; or get the file {by_hand}") from error
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        gdown.download(id=DRIVE_ID, output=os.fspath(archive), resume=True)
        if not archive.is_file():
            raise FileNotFoundError("gdown gave up")
    except Exception as error:  # from gdown, requests or urllib3; the types vary with their versions
        reason = " ".join(str(error).split())
        raise InputError(
            f"the download failed ({reason}). Running again resumes it; or get the file {by_hand}"
        ) from error
    return archive


def _unpack(archive: Path) -> bytes:
    """The pickle's content. Nothing is extracted to disk, so paths in the archive cannot do harm."""
    with reading(archive, "a complete archive", "get it again"):
        with open(archive, "rb") as file:
            if file.read(200).lstrip().startswith(b"<"):
                raise ValueError("it is a web page, perhaps Google's notice of too many downloads")
        with tarfile.open(archive) as tar:
            for member in tar:
                check_expansion(member.offset_data + member.size, archive.stat().st_size)  # before it is skipped
                if member.isfile() and PurePosixPath(member.name).name == FILE_NAME:
                    return tar.extractfile(member).read()
    raise InputError(f"{archive} contains no {FILE_NAME}")
