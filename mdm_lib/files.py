"""Files: written so that a crash or a full disk never leaves half of one; and motions as .npy."""

import os
from pathlib import Path

from mdm_lib.errors import InputError


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
