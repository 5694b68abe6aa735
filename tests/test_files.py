"""Files of ours: never half of one, and never in the place of what is no plain file."""

import os

import numpy as np
import pytest

from mdm_lib import InputError
from mdm_lib.files import write_atomically
from mdm_lib.formats import save_motions


def test_a_file_is_written_whole_and_folders_are_made(tmp_path):
    path = write_atomically(tmp_path / "a" / "b.bin", b"content")
    assert path.read_bytes() == b"content" and [p.name for p in path.parent.iterdir()] == ["b.bin"]


def test_folders_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, said in ((tmp_path, "a folder"), (tmp_path / "pipe", "no plain file"), ("/dev/null", "no plain file")):
        with pytest.raises(InputError, match=f"is {said}; give the name of a file"):
            write_atomically(place, b"content")
    assert not os.path.isfile("/dev/null")


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_motions_do_not_overwrite_their_own_description(tmp_path):
    with pytest.raises(InputError, match=r"motions\.npy"):
        save_motions(tmp_path / "x.json", np.zeros((1, 2, 22, 3)), [0], ("walk",), {})
    assert not list(tmp_path.iterdir())
