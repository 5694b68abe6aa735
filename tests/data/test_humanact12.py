"""HumanAct12Poses: what is read, what is refused, and the download (with a gdown of our own)."""

import io
import os
import pickle
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import clip, layout, write

from mdm_lib.data.humanact12 import HUMANACT12_ACTIONS, download_humanact12, load_humanact12
from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import heading
from mdm_lib.motion.skeleton import JOINT, forward_kinematics

# ---------------------------------------------------------------- the unpickler: what it refuses


class Call:
    """What a pickle says to have a function called; a third part is the state given to the result."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


# ---------------------------------------------------------------- the layout


def test_y_turns_up_by_a_rotation_and_the_feet_come_to_the_floor(tmp_path):
    clips = load_humanact12(write(tmp_path / "humanact12poses.pkl", layout()))
    assert clips.lengths.tolist() == [30, 8, 70] and clips.labels.tolist() == [0, 11, 3]
    assert clips.label_names == HUMANACT12_ACTIONS and clips.fps == 20
    expected = torch.from_numpy(clip(30)[:, :22]) * torch.tensor([1.0, -1, -1]) + torch.tensor([0, 1.5, 0])
    torch.testing.assert_close(clips.joints[0, :30], expected)
    assert (clips.joints[~clips.mask] == 0).all()


def test_one_misjudged_frame_does_not_lift_the_clip(tmp_path):
    joints = clip(60)
    joints[20, JOINT["left_foot"], 1] = 2.5  # a metre under the floor
    clips = load_humanact12(write(tmp_path / "x.pkl", layout(joints3D=[joints] * 3)))
    torch.testing.assert_close(clips.joints[0, 0, JOINT["left_foot"], 1], torch.tensor(0.0))


def test_names_come_from_the_call_else_from_beside_the_file(tmp_path):
    file = write(tmp_path / "mine.pkl", layout(y=[0, 1, 12]))
    with pytest.raises(InputError, match=r"mine.pkl: clip 2 has the label 12.* 0 to 11 have names; .*--label-names"):
        load_humanact12(file)
    names = [f"action{i}" for i in range(13)]
    assert load_humanact12(file, np.array(names)).label_names == tuple(names)
    (tmp_path / "labels.txt").write_text("\n".join(names) + "\n\n")
    assert load_humanact12(file).label_names == tuple(names)
    (tmp_path / "mine.labels.txt").write_text("one\ntwo\n")
    with pytest.raises(InputError, match="clip 2 has the label 12"):
        load_humanact12(file)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([1, 2], "must be a dict with the lists .*, not a list"),
        ({"motion": [], "y": []}, r"must be a dict .*, not a dict of 'motion', 'y'"),
        (layout(y=5), "'y' must be a list with one entry per clip, not a int"),
        (layout(y=[0, 1]), "same length.*'joints3D': 3, 'y': 2"),
        (layout(y=[0, 1, "walk"]), "clip 2 has the label 'walk'"),
        (layout(y=[0, -1, 1]), "clip 1 has the label -1"),
        (layout(joints3D=[clip(), clip(0), clip()]), "clip 1 has fewer than 2 frames"),
        (layout(joints3D=[clip(), clip(), clip(1)]), "clip 2 has fewer than 2 frames"),
        (layout(joints3D=[clip(), clip() * np.nan, clip()]), "clip 1 has NaN"),
        (layout(joints3D=[clip(5, 17)] * 3), r"clip 0 must be .*24 joints.*, not \[5, 17, 3\]"),
        (layout(joints3D=[clip(), "walk", clip()]), "clip 1 must be .*, not a str"),
        ({"joints3D": [], "y": []}, "there are no clips"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_the_file(tmp_path, content, complaint):
    with pytest.raises(InputError, match=rf"odd\.pkl:? .*{complaint}") as error:
        load_humanact12(write(tmp_path / "odd.pkl", content))
    assert "\n" not in str(error.value)


def test_a_missing_file_comes_with_the_ways_to_get_it(tmp_path):
    with pytest.raises(InputError, match=r"download humanact12.*drive\.google\.com"):
        load_humanact12(tmp_path)


# ---------------------------------------------------------------- real motion


def test_real_motion_keeps_its_left_its_height_and_its_places(real_data, humanact12_pickle):
    with np.load(real_data) as file:
        data = dict(file)
    clips = load_humanact12(humanact12_pickle.parent, data["label_names"])
    assert len(clips) == 60 and clips.labels.bincount().tolist() == [5] * 12

    first = np.flatnonzero(data["y"] == 3)[0]  # the file has five of each action, in order
    rows = slice(data["start"][first], data["start"][first] + data["length"][first])
    vectors = torch.from_numpy(data["poses"][rows].astype("f4")).view(-1, 24, 3)[:, :22]
    x, y, z = vectors.unbind(-1)
    cross = torch.stack([0 * x, -z, y, z, 0 * x, -x, -y, x, 0 * x], -1).unflatten(-1, (3, 3))
    offsets = torch.from_numpy(data["rest"][:22].astype("f4"))
    places = forward_kinematics(cross.matrix_exp(), torch.from_numpy(data["trans"][rows]), offsets)
    shift = clips.joints[15, : len(places)] - places
    assert shift[..., [0, 2]].abs().max() < 1e-3
    assert shift[..., 1].std() < 1e-3 and shift[..., 1].abs().max() < 0.06

    real = clips.joints[clips.mask]
    toes = sum(real[:, JOINT[f"{s}_foot"]] - real[:, JOINT[f"{s}_ankle"]] for s in ("left", "right"))
    ahead = torch.atan2(toes[:, 0], toes[:, 2])  # not always the body's: a runner's swinging foot points back
    assert torch.cos(ahead - heading(real)).quantile(0.1) > 0.5, "left and right are exchanged"
    assert 1.2 < real[:, JOINT["head"], 1].median() < 1.45
    assert real[..., 1].min() > -0.02


# ---------------------------------------------------------------- the download


def archive(name="HumanAct12Poses/humanact12poses.pkl", content=None):
    content = pickle.dumps(layout(), 2) if content is None else content
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member_name, member in (("HumanAct12Poses/._humanact12poses.pkl", b"resource fork"), (name, content)):
            member_info = tarfile.TarInfo(member_name)
            member_info.size = len(member)
            tar.addfile(member_info, io.BytesIO(member))
    return buffer.getvalue()


@pytest.fixture
def drive(monkeypatch):
    """A gdown that writes what it is told to, or raises it; ``calls`` are the parameters it was given."""
    fake = SimpleNamespace(answer=archive(), calls=[])

    def download(url=None, output=None, quiet=False, id=None, resume=False):
        fake.calls.append((id, resume))
        if isinstance(fake.answer, Exception):
            raise fake.answer
        if fake.answer is not None:
            with open(output, "wb") as file:
                file.write(fake.answer)

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=download))
    return fake


def test_download_leaves_one_file_and_is_done_once(tmp_path, drive, capsys):
    folder = tmp_path / "data" / "humanact12"
    file = download_humanact12(folder)
    assert drive.calls == [("1130gHSvNyJmii7f6pv5aY5IyQIWc3t7R", True)]
    assert [*folder.iterdir()] == [file] and len(load_humanact12(folder)) == 3
    assert "holds 3 clips; HumanAct12Poses had 1191" in capsys.readouterr().out
    assert download_humanact12(folder) == file and len(drive.calls) == 1


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"<!DOCTYPE html><title>Quota exceeded", "a web page"),
        (archive()[:-200], "not a complete archive"),
        (archive(name="other.pkl"), "contains no humanact12poses.pkl"),
        (archive(content=pickle.dumps(Call(os.system, "false"))), "system"),
        (archive(content=b"half a pickle"), "cut short"),
        (OSError("no\nroute"), "no route"),
        (None, "gave up"),
    ],
    ids=["html", "truncated", "other", "evil", "damaged", "exception", "nothing"],
)
def test_a_failed_download_says_how_to_go_on_and_does_not_stand_in_the_way(tmp_path, drive, answer, complaint):
    drive.answer = answer
    with pytest.raises(InputError, match=rf"{complaint}.*https://drive\.google\.com/uc\?id=1130gHSv") as error:
        download_humanact12(tmp_path)
    assert "\n" not in str(error.value) and not [*tmp_path.iterdir()]
    drive.answer = archive()
    assert download_humanact12(tmp_path).is_file()


def test_an_archive_fetched_by_hand_is_used_and_kept(tmp_path, drive):
    (tmp_path / "HumanAct12Poses.tar.gz0123abcd.part").write_bytes(b"gdown's partial file is not an archive")
    mine = write(tmp_path / "HumanAct12Poses (1).tar.gz", archive(name="../../humanact12poses.pkl"))
    assert download_humanact12(tmp_path) == tmp_path / "humanact12poses.pkl"
    assert mine.is_file() and not drive.calls


def test_a_bad_archive_of_the_readers_is_not_deleted(tmp_path, drive):
    mine = write(tmp_path / "mine.tar.gz", b"<html>")
    with pytest.raises(InputError, match=r"mine.tar.gz is not a complete archive.*Delete it"):
        download_humanact12(tmp_path)
    assert mine.is_file()


def test_without_gdown_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(InputError, match="pip install gdown"):
        download_humanact12(tmp_path)
