"""Files that somebody damaged or made up, for every reader: a clear line within seconds, whatever is in them.

A few hundred in the usual run; MDM_ROBUSTNESS=20 tries twenty times as many, and MDM_SEED=1 others.
"""

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import time
import tracemalloc
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import layout, made_up_action2motion, some_clips

from mdm_lib import InputError, MotionClips
from mdm_lib.data.bandai import _read_npz
from mdm_lib.data.humanact12 import _unpack, load_humanact12
from mdm_lib.evaluation.action2motion import load_action2motion
from mdm_lib.evaluation.recogniser import Recogniser, load_recogniser
from mdm_lib.formats.bvh import read_bvh
from mdm_lib.formats.npy import load_motions, save_motions

EFFORT = int(os.environ.get("MDM_ROBUSTNESS", "1"))
SEED = int(os.environ.get("MDM_SEED", "0"))
BVH = """HIERARCHY
ROOT Hips
{
OFFSET 0 0 0
CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
JOINT Spine
{
OFFSET 0 10 0
CHANNELS 3 Zrotation Xrotation Yrotation
End Site
{
OFFSET 0 10 0
}
}
}
MOTION
Frames: 4
Frame Time: 0.05
"""


def pickled(path):
    path.write_bytes(pickle.dumps(layout(), 2))


def prepared(path):
    rest = {"start": np.array([0, 3]), "length": np.array([3, 3]), "y": np.array([0, 0]), "fps": np.array(20)}
    text = {"style": np.array(["calm", "calm"]), "label_names": np.array(["walk"])}
    arrays = {"poses": np.zeros((6, 72), "f2"), "trans": np.zeros((6, 3), "f4"), "rest": np.zeros((24, 3), "f4")}
    np.savez(path, parents=np.arange(24), **arrays, **rest, **text)


def described(path):
    save_motions(path, np.random.default_rng(0).random((2, 5, 22, 3)), [0, 1], ("walk", "run"), {"seed": 0})


def archived(path):
    content = pickle.dumps(layout(), 2)
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("HumanAct12Poses/humanact12poses.pkl")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


#: For each reader: what reads, and what writes a small file that it reads.
READERS = {
    "pickle": (load_humanact12, "a.pkl", pickled),
    "bandai": (_read_npz, "a.npz", prepared),
    "clips": (MotionClips.load, "b.npz", lambda path: some_clips().save(path)),
    "npy": (load_motions, "c.npy", described),
    "bvh": (lambda path: read_bvh(path, 20, ["Hips", "Spine"]), "d.bvh",
            lambda path: path.write_text(BVH + "0 90 0 1 2 3 4 5 6\n" * 4)),
    "archive": (_unpack, "e.tar.gz", archived),
    "recogniser": (load_recogniser, "f.pth", lambda path: Recogniser(("walk", "run")).save(path)),
    "action2motion": (load_action2motion, "g.tar", made_up_action2motion),
}  # fmt: skip


def outcome(read, path) -> str:
    """ "read" or what the error says; it is one short line, and comes within five seconds of work and a gigabyte."""
    begun = time.process_time()  # no clock: the machine may be busy with something else
    try:
        read(path)
    except InputError as error:
        text = str(error)
        assert text.isprintable() and len(text.replace(str(path), "")) < 700, text[:900]
        return text
    finally:
        assert time.process_time() - begun < (5 if sys.gettrace() is None else 30)  # coverage slows loops down
    return "read"


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """One of the ways in which files are damaged: bits, a cut, a hole, a piece twice, numbers that grew."""
    changed = bytearray(content)
    start, end = sorted(random.integers(0, len(content), 2))
    kind = random.integers(5)
    if kind == 0:
        for place in random.integers(0, len(content), random.integers(1, 9)):
            changed[place] ^= 1 << int(random.integers(8))
    elif kind == 1:
        del changed[start:]
    elif kind == 2:
        del changed[start:end]
    elif kind == 3:
        changed[end:end] = changed[start:end]
    else:
        changed[start : start + 4] = b"\xff\xff\xff\x7f"
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_damaged_files(kind, tmp_path):
    read, name, write = READERS[kind]
    write(tmp_path / name)
    assert outcome(read, tmp_path / name) == "read"
    random = np.random.default_rng(SEED)
    for file in sorted(tmp_path.iterdir()):  # the sidecar too
        content = file.read_bytes()
        for _ in range(150 * EFFORT):
            file.write_bytes(damaged(content, random))
            outcome(read, tmp_path / name)
        file.write_bytes(content)


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_of_this_kind(kind, tmp_path):
    read, name, _ = READERS[kind]
    (tmp_path / "folder" / name).mkdir(parents=True)
    os.mkfifo(tmp_path / name)
    (tmp_path / "empty").mkdir()
    folders = [tmp_path / "folder" / name, tmp_path / name] if kind != "pickle" else []  # it looks into folders
    for path in [*folders, tmp_path / "empty" / name]:
        assert str(path) in outcome(read, path)
    for content in (b"", b"PK", b"PK\x03\x04", b"\0" * 1000, b"\x93NUMPY", b"\xff\xfe text", b"[" * 100_000, b"<html>"):
        (tmp_path / "empty" / name).write_bytes(content)
        assert outcome(read, tmp_path / "empty" / name) != "read"


def doubled_tuple(times: int) -> bytes:
    """A dict whose key is a tuple of a tuple twice, of a tuple twice …: its hash takes for ever."""
    return b"}(" + b"N\x85" + b"2\x86" * times + b"Nu."


class SharedBytes:
    """Pickles as an array of four megabytes whose bytes stand only once in the file."""

    content = bytes(4_000_000)

    def __reduce__(self):
        function, args, _ = np.zeros(1).__reduce__()
        return function, args, (1, (1_000_000,), np.dtype("<f4"), False, self.content)


HOSTILE_PICKLES = {
    "a doubled tuple as a key": doubled_tuple(60),
    "a set of doubled tuples": b"\x80\x04\x8f(" + b"N\x85" + b"2\x86" * 60 + b"\x90.",
    "a far place of the memory": b"Nr\xff\xff\xff\x7f.",
    "a long number that is not there": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**33) + b".",
    "text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",
    "tuples in tuples": b"N" + b"\x85" * 1_000_000 + b".",
    "the same bytes in many arrays": pickle.dumps({"joints3D": [SharedBytes() for _ in range(1000)], "y": []}, 4),
    "a list that holds itself": b"\x80\x02}(X\x01\x00\x00\x00y]q\x00h\x00aX\x08\x00\x00\x00joints3D]q\x01h\x01au.",
}


@pytest.mark.parametrize("content", HOSTILE_PICKLES.values(), ids=HOSTILE_PICKLES)
def test_pickles_that_grow(content, tmp_path):
    (tmp_path / "a.pkl").write_bytes(content)
    assert outcome_in_bounds(load_humanact12, tmp_path / "a.pkl") != "read"


MANY_PARTS = {
    "lists in lists": b"]" * 500_000 + b"a" * 499_999 + b".",
    "many numbers": b"](" + b"K\x01" * 3_000_000 + b"e.",
}


@pytest.mark.parametrize("content", MANY_PARTS.values(), ids=MANY_PARTS)  # a name of its own: older pytest takes all
def test_pickles_of_many_parts(content, tmp_path):
    (tmp_path / "a.pkl").write_bytes(content)
    assert "save arrays of numbers" in outcome(load_humanact12, tmp_path / "a.pkl")


def outcome_in_bounds(read, path) -> str:
    """``outcome``, and again to see that it needs no more than a gigabyte above the file."""
    said = outcome(read, path)
    tracemalloc.start()
    try:
        with suppress(InputError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**30 + 8 * path.stat().st_size
    finally:
        tracemalloc.stop()
    return said


def header(shape, descr="<f4", order=False) -> bytes:
    text = repr({"descr": descr, "fortran_order": order, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    "content",
    [header((10**9, 22, 3)), header((2**62, 22, 3)), header((-1, 22, 3)), header((0, 22, 3)), header(5),
     header((1, 22, 3), "|V7"), header((5, 22, 3), "|O"), header((1, 22, 3), "<M8[s]"),
     b"\x93NUMPY\x01\x00\x05\x00[1]  ",
          header((1, 22, 3), "<U1") + b"\0" * 264, header((1, 22, 3)) + np.full(66, np.nan, "f4").tobytes()],
)  # fmt: skip
def test_arrays_that_are_none(content, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    assert outcome_in_bounds(load_motions, tmp_path / "a.npy") != "read"


def test_other_byte_orders_are_read(tmp_path):
    motions = np.random.default_rng(0).random((2, 5, 22, 3)).astype(">f4")
    np.save(tmp_path / "a.npy", motions)
    found, _ = load_motions(tmp_path / "a.npy")
    assert found.dtype.isnative and np.array_equal(found, motions)


SIDECARS = ["[]", "5", "null", '{"fps": "x"}', '{"fps": -1}', '{"fps": NaN}', '{"fps": 0}', '{"lengths": 5}',
            '{"lengths": [1e9, 2]}', '{"lengths": [99, 2]}', '{"lengths": [5]}', '{"label_names": "ab"}',
            '{"label_names": [1, 2]}', '{"skeleton": 5}', '{"skeleton": {}}', '{"skeleton": {"x": 1}}', "[" * 50_000,
            '{"a":' * 50_000, '{"fps": 1' + "0" * 5000 + "}", "\ud800"]  # fmt: skip


@pytest.mark.parametrize("text", SIDECARS, ids=[text[:20] for text in SIDECARS])
def test_descriptions_of_another_kind(text, tmp_path):
    described(tmp_path / "a.npy")
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert str(tmp_path / "a") in outcome(load_motions, tmp_path / "a.npy")


def test_names_that_move_the_cursor_come_out_spelled(tmp_path):
    described(tmp_path / "a.npy")
    about = json.loads((tmp_path / "a.json").read_text()) | {"label_names": ["\x1b[31mred\n", "\u202eback\a"]}
    (tmp_path / "a.json").write_text(json.dumps(about))
    assert load_motions(tmp_path / "a.npy")[1]["label_names"] == [r"\x1b[31mred ", r"\u202eback\x07"]
    assert replace(some_clips(), label_names=["a\x1b[2J\nb", "b"]).label_names == (r"a\x1b[2J b", "b")


def zipped(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("kind", ["bandai", "clips", "recogniser", "action2motion"])
def test_zip_files_that_grow(kind, tmp_path):
    read, name, _ = READERS[kind]
    one = bytes(2**28)
    zipped(tmp_path / name, {f"{n}.npy": one for n in range(5)} | {"archive/data.pkl": b"N."})
    assert "would unpack to" in outcome_in_bounds(read, tmp_path / name)


def test_an_archive_that_grows(tmp_path):
    member = tarfile.TarInfo("before")
    member.size = 2**40
    with open(tmp_path / "e.tar", "wb") as file:
        file.write(member.tobuf())
        file.truncate(2**40)
    assert "almost empty" in outcome(_unpack, tmp_path / "e.tar")
    (tmp_path / "f.tar").write_bytes(member.tobuf() + bytes(5000))
    assert "would unpack to" in outcome(_unpack, tmp_path / "f.tar")


BVH_CHANGES = {
    "declared frames": ("Frames: 4", "Frames: 1000000000"),
    "a very long number": ("Frames: 4", "Frames: " + "9" * 100_000),
    "negative frames": ("Frames: 4", "Frames: -4"),
    "declared channels": ("CHANNELS 3", "CHANNELS 3000000000"),
    "no time": ("0.05", "0"),
    "time that is none": ("0.05", "nan"),
    "joints in joints": ("End Site", "JOINT a\n{\n" * 20_000 + "End Site"),
    "braces": ("ROOT", "{" * 100_000 + "ROOT"),
}


@pytest.mark.parametrize("change", BVH_CHANGES.values(), ids=BVH_CHANGES)
def test_bvh_that_declares_what_is_not_there(change, tmp_path):
    read, name, write = READERS["bvh"]
    write(tmp_path / name)
    (tmp_path / name).write_text((tmp_path / name).read_text().replace(*change))
    assert outcome_in_bounds(read, tmp_path / name) != "read"


def test_weights_that_claim_more_than_the_file_has(tmp_path):
    from mdm_lib import load_checkpoint
    from mdm_lib.files import asset_path

    content = torch.load(asset_path("synthetic.pth"), weights_only=True)
    for claim in (torch.zeros(1).expand(2**36), torch.zeros(2**20)[None].expand(2**10, -1)):
        weights = {name: claim for name in content["model"]}
        torch.save({**content, "model": weights}, tmp_path / "m.pth")
        assert "claim" in outcome(load_checkpoint, tmp_path / "m.pth")
