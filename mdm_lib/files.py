"""Writing files so that a crash or a full disk leaves no partial file, and finding files shipped with the course."""

import os
from pathlib import Path

from mdm_lib.errors import InputError


def write_atomically(path: str | Path, content: bytes) -> Path:
    """Write ``content`` to a temporary file, then rename it to ``path``; missing folders are created.

    A link stays a link, to the new content. What is no plain file (a folder, a device) is never replaced.

    Raises:
        InputError: if it cannot be written (full disk, no permission); an existing file at ``path`` is left untouched.
    """
    given, path = Path(path), Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'no plain file'}; give the name of a file")
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
            f"cannot write {path}: {error.strerror}; any earlier file there is untouched. "
            "Free some space or choose another folder, then run again"
        ) from error
    return given


def asset_path(name: str) -> Path:
    """Path of a file shipped with the course, in a checkout or an installed wheel: ``asset_path("synthetic.pth")``.

    Raises:
        InputError: if there is no such file; the message lists the models.
    """
    package = Path(__file__).parent
    folder = next((f for f in (package / "assets", package.parent / "assets") if f.is_dir()), package / "assets")
    if not (folder / name).is_file():
        there = ", ".join(sorted(file.name for file in folder.glob("*.pth"))) or "none"
        raise InputError(f"the course has no file {name!r}; its models are: {there}")
    return folder / name
