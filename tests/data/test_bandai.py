"""The Bandai-Namco loader: BVH files and the prepared file, what is read and what is refused."""

import sys
import zipfile

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from mdm_lib import InputError, load_clips
from mdm_lib.data import load_bandai, load_humanact12
from mdm_lib.data.bandai import ACTIONS, BVH_JOINTS, LAYOUT, MAX_FRAMES, STYLES
from mdm_lib.motion.skeleton import JOINT, JOINT_NAMES, PARENTS, bone_lengths

OVER_GROUND = torch.tensor([1.0, 0.0, 1.0])


def prepared(**changes):
    """The arrays of a prepared file: three clips, of which the last in the arrays is the first by number."""
    random = np.random.default_rng(0)
    return {
        "poses": random.normal(0, 0.3, (60, 72)).astype("f2"),
        "trans": random.normal(0, 1, (60, 3)).astype("f4"),
        "rest": random.normal(0, 0.2, (24, 3)).astype("f4"),
        "parents": np.array([*PARENTS, 20, 21]),
        "start": np.array([40, 0, 30]),
        "length": np.array([20, 30, 10]),
        "y": np.array([1, 0, 1]),
        "style": np.array(["youthful", "active", "unheard-of"]),
        "label_names": np.array(["walk", "bow"]),
        "fps": np.array(20),
    } | changes


def save(path, content):
    np.savez(path, **content)
    return path


# ---------------------------------------------------------------- the prepared file


def test_prepared_file_by_forward_kinematics(tmp_path):
    content = prepared()
    clips = load_clips(f"bandai:{save(tmp_path / 'mine.npz', content)}")
    assert clips.lengths.tolist() == [20, 30, 10] and clips.labels.tolist() == [1, 0, 1]
    assert clips.label_names == ("walk", "bow") and clips.source.endswith("(mine.npz)")
    assert [STYLES[i] for i in clips.factors["style"][:2]] == ["youthful", "active"] and clips.factors["style"][2] == -1
    joints = forward_kinematics_by_scipy(
        Rotation.from_rotvec(content["poses"][40:].reshape(-1, 3).astype("f8")).as_matrix().reshape(20, 24, 3, 3),
        content["trans"][40:], content["rest"],
    )  # fmt: skip
    off = torch.from_numpy(joints).float() - clips.joints[0, :20]
    torch.testing.assert_close(off, off[:1, :1].expand_as(off) * torch.tensor([0.0, 1, 0]), atol=1e-5, rtol=0)


def forward_kinematics_by_scipy(rotations, root, offsets):
    world, joints = rotations.copy(), np.repeat(root[:, None].astype("f8"), 22, axis=1)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        world[:, joint] = world[:, parent] @ rotations[:, joint]
        joints[:, joint] = joints[:, parent] + world[:, parent] @ offsets[joint]
    return joints


@pytest.fixture(scope="session")
def real_clips(real_data):
    return load_bandai(real_data)


def test_real_prepared_file(real_clips):
    assert len(real_clips) == 1030 and real_clips.label_names == ACTIONS
    assert real_clips.labels.bincount().tolist() == [100] * 10 + [15] * 2
    assert real_clips.lengths.max() == MAX_FRAMES and real_clips.factors["style"].unique().tolist() == list(range(19))


def test_both_loaders_agree_on_the_same_motion(real_clips, humanact12_pickle):
    """The fixture wrote the first five clips of each action in the layout of HumanAct12Poses."""
    other = load_humanact12(humanact12_pickle)
    first = torch.cat([(real_clips.labels == label).nonzero()[:5, 0] for label in range(12)])
    same = real_clips.select(first)
    assert (same.lengths == other.lengths).all() and (same.labels == other.labels).all()
    num_frames = other.joints.shape[1]
    assert (same.joints[:, :num_frames] - other.joints).norm(dim=-1).max() < 1e-4  # 0.1 mm


@pytest.mark.parametrize("name", LAYOUT)
def test_a_lacking_array_is_named(tmp_path, name):
    content = prepared()
    del content[name]
    with pytest.raises(InputError, match=rf"x\.npz lacks {name}; data/README"):
        load_bandai(save(tmp_path / "x.npz", content))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"poses": np.zeros((60, 66), "f2")}, r"'poses' must have dtype kind 'f' and shape \[60, 72\], .* \[60, 66\]"),
        ({"poses": np.array(1.0)}, "'poses' must have"),
        ({"trans": np.zeros((59, 3), "f4")}, r"'trans' must have .*\[60, 3\], .*\[59, 3\]"),
        ({"trans": np.zeros((60, 3), "i4")}, "'trans' must have dtype kind 'f'.* not 'i'"),
        ({"start": np.zeros(2, int)}, r"'start' must have .*\[3\]"),
        ({"style": np.zeros(3, int)}, "'style' must have dtype kind 'U'"),
        ({"fps": np.array([20])}, "'fps' must have"),
        ({"fps": np.array(30)}, "must have 20 frames per second"),
        ({"parents": np.arange(-1, 23)}, "SMPL's joint order"),
        ({"start": np.array([41, 0, 30])}, "starts and lengths do not fit its 60 frames"),
        ({"start": np.array([-1, 0, 30])}, "starts and lengths do not fit"),
        ({"length": np.array([20, 30, 1])}, "clip 2 has fewer than 2 frames"),
        ({"y": np.array([1, 0, 2])}, "clip 2 has a label out of range"),
        ({"trans": np.full((60, 3), np.nan, "f4")}, "clip 0 has NaN"),
        ({"style": np.array(["a", None, 1], dtype=object)}, "is not a .npz of arrays, or is damaged"),
    ],
)
def test_another_layout_is_refused(tmp_path, changes, complaint):
    with pytest.raises(InputError, match=complaint):
        load_bandai(save(tmp_path / "x.npz", prepared(**changes)))


@pytest.mark.parametrize("content", ["half", "text", "one array", "empty zip"])
def test_a_damaged_file_is_refused(tmp_path, content):
    file = save(tmp_path / "x.npz", prepared())
    if content == "half":
        file.write_bytes(file.read_bytes()[:5000])
    elif content == "text":
        file.write_text("404: not found")
    elif content == "one array":
        with open(file, "wb") as stream:
            np.save(stream, np.zeros(3))
    else:
        zipfile.ZipFile(file, "w").close()
    with pytest.raises(InputError, match=r"x\.npz (is not a \.npz of arrays, or is damaged|lacks poses, trans, rest)"):
        load_bandai(file)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match=r"no file or folder .*data/README"):
        load_bandai(tmp_path / "missing.npz")


# ---------------------------------------------------------------- BVH files

#: As in the real files: a root above the hips, and a spine of two joints.
BVH_PARENTS = {
    "Hips": "joint_Root", "Spine": "Hips", "Chest": "Spine", "Neck": "Chest", "Head": "Neck",
    **{
        f"{joint}_{side}": parent if parent in ("Chest", "Hips") else f"{parent}_{side}"
        for side in "LR"
        for joint, parent in {
            "Shoulder": "Chest", "UpperArm": "Shoulder", "LowerArm": "UpperArm", "Hand": "LowerArm",
            "UpperLeg": "Hips", "LowerLeg": "UpperLeg", "Foot": "LowerLeg", "Toes": "Foot",
        }.items()
    },
}  # fmt: skip
NAMES = ("joint_Root", *BVH_PARENTS)


def hierarchy(joint="joint_Root", names=NAMES):
    children = [hierarchy(name, names) for name in names if BVH_PARENTS.get(name) == joint]
    head = "ROOT" if joint == "joint_Root" else "JOINT"
    end = [] if children else ["End Site", "{", "OFFSET 5 0 0", "}"]
    channels = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    return "\n".join([f"{head} {joint}", "{", "OFFSET 1 2 3", channels, *children, *end, "}"])


def written_order(joint="joint_Root"):
    return [joint] + [name for child in NAMES if BVH_PARENTS.get(child) == joint for name in written_order(child)]


def motion(num_frames, seed=0):
    """Positions in centimetres and angles in degrees, ``[F, 22 joints, 6]``; the bones do not change."""
    random = np.random.default_rng(seed)
    channels = np.empty((num_frames, 22, 6))
    channels[..., :3] = random.normal(0, 20, (22, 3))
    channels[:, :2, :3] += random.normal(0, 2, (num_frames, 2, 3)).cumsum(0)  # root and hips travel
    channels[..., 3:] = random.uniform(-90, 90, (22, 3)) + random.normal(0, 5, (num_frames, 22, 3)).cumsum(0)
    return channels


def write_bvh(path, channels, text=None, frame_time=0.0333333):
    rows = [" ".join(f"{x:.6f}" for x in row.ravel()) for row in channels]
    head = ["HIERARCHY", text or hierarchy(), "MOTION", f"Frames:\t{len(rows)}", f"Frame Time:\t{frame_time}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path


def expected_joints(channels):
    """The same by scipy: resampled, then down the tree of the file, in metres."""
    count = min(len(channels) * 2 // 3, 120)
    order, time = written_order(), np.arange(count) * 1.5
    world = {}
    for name, channel in zip(order, channels.transpose(1, 0, 2), strict=True):
        place = np.stack([np.interp(time, np.arange(len(channels)), channel[:, axis]) for axis in range(3)], 1)
        turn = Slerp(np.arange(len(channels)), Rotation.from_euler("ZXY", channel[:, 3:], degrees=True))(time)
        if name in BVH_PARENTS:
            parent_place, parent_turn = world[BVH_PARENTS[name]]
            place, turn = parent_place + parent_turn.apply(place), parent_turn * turn
        world[name] = place, turn
    joints = np.stack([world[name][0] for name in BVH_JOINTS], 1)
    joints[:, JOINT["spine2"]] = (world["Spine"][0] + world["Chest"][0]) / 2
    return torch.from_numpy(joints / 100).float()


@pytest.mark.parametrize("num_frames", [3, 4, 5, 90, 200])
def test_bvh_joints_are_scipys(tmp_path, num_frames):
    channels = motion(num_frames)
    write_bvh(tmp_path / "dataset-1_walk_normal_001.bvh", channels)
    clips = load_bandai(tmp_path)
    expected = expected_joints(channels)
    assert clips.lengths.tolist() == [len(expected)]
    off = expected - clips.joints[0]
    torch.testing.assert_close(off, off[:1, :1].expand_as(off) * torch.tensor([0.0, 1, 0]), atol=1e-4, rtol=0)
    bones = bone_lengths(clips.joints[0])
    torch.testing.assert_close(bones, bones[:1].expand_as(bones))


def test_what_is_read_and_what_is_skipped_is_said(tmp_path, capsys):
    for place in (
        "b/dataset-1_bow_happy_001", "a/dataset-2_walk_active_007", "a/dataset-1_walk_sad_001",
        "a/dataset-1_kick_sad_001", "a/dataset-1_kick_sad_002", "a/dataset-1_bye_sad_001",
        "copy/dataset-2_walk_active_007", "mine",
    ):  # fmt: skip
        write_bvh(tmp_path / f"{place}.bvh", motion(12))
    write_bvh(tmp_path / "a/dataset-1_walk_new_001.bvh", motion(2))
    clips = load_bandai(tmp_path)
    assert clips.label_names == ("walk", "bow") and clips.labels.tolist() == [1, 0, 0]
    assert [STYLES[i] for i in clips.factors["style"]] == ["happy", "sad", "active"]
    assert tmp_path.name in clips.source
    assert capsys.readouterr().out.splitlines() == [
        "read 3 BVH files, 24 frames at 20 per second: walk (2), bow",
        "skipped 3 of other actions: bye, kick (2)",
        "skipped 1 duplicates: dataset-2_walk_active_007.bvh",
        "skipped 1 not named dataset-N_action_style_NNN: mine.bvh",
        "skipped 1 shorter than two frames: dataset-1_walk_new_001.bvh",
    ]


def test_only_the_first_process_speaks(tmp_path, capsys, monkeypatch):
    write_bvh(tmp_path / "dataset-1_walk_normal_001.bvh", motion(12))
    monkeypatch.setattr("mdm_lib.data.bandai.is_first_process", lambda: False)
    assert len(load_bandai(tmp_path)) == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (None, r"has no motion to read: no \*\.bvh in it; data/README"),
        ("dataset-1_kick_normal_001.bvh", "has no motion to read: skipped 1 of other actions: kick;"),
        ("walk.bvh", "skipped 1 not named dataset-N_action_style_NNN: walk.bvh;"),
    ],
)
def test_a_folder_with_nothing_to_read(tmp_path, name, complaint):
    if name:
        write_bvh(tmp_path / name, motion(12))
    with pytest.raises(InputError, match=complaint):
        load_bandai(tmp_path)


def at_line_end(text):
    return text[: text.rindex("\n", 0, -1) + 1]


DAMAGES = {
    "a frame lacks": at_line_end,
    "a frame is half": lambda text: text[: int(len(text) * 0.9)],
    "half": lambda text: text[: text.index("MOTION") + 8],
    "head": lambda text: text[:300],
    "empty": lambda text: "",
    "page": lambda text: "<html>rate limit</html>",
    "no frames": lambda text: text[: text.index("Frames:")] + "Frames: 0\nFrame Time: 0.0333333\n",
    "letters": lambda text: text.replace(" -", " x", 3),
    "frames on one line": lambda text: at_line_end(text)[:-1] + " " + text[len(at_line_end(text)) :],
    "no offset": lambda text: text.replace("OFFSET 1 2 3\n", "", 1),
    "open brace": lambda text: text.replace("}\nMOTION", "MOTION"),
    "no root": lambda text: text.replace("ROOT", "TOOR"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_bvh_file_is_named(tmp_path, damage):
    write_bvh(tmp_path / "dataset-1_walk_normal_001.bvh", motion(12))
    file = write_bvh(tmp_path / "dataset-1_walk_normal_002.bvh", motion(12))
    file.write_text(damage(file.read_text()))
    complaint = r"normal_002\.bvh is not a BVH file, or is damaged .*.*copy it again.* reads .* of the Bandai"
    with pytest.raises(InputError, match=complaint) as refusal:
        load_bandai(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"frame_time": 0.008333}, "must have 30 frames per second, not a frame time of 0.008333 s"),
        ({"text": hierarchy(names=[n for n in NAMES if n not in ("Hand_L", "Head")])}, "lacks the joints Hand_L, Head"),
        ({"channels": np.full((12, 22, 6), np.nan)}, "has NaN"),
    ],
)
def test_bvh_files_of_other_kinds_are_refused(tmp_path, options, complaint):
    channels = options.pop("channels", motion(12))
    channels = channels[:, :20] if "text" in options else channels
    write_bvh(tmp_path / "dataset-1_walk_normal_001.bvh", channels, **options)
    with pytest.raises(InputError, match=rf"dataset-1_walk_normal_001\.bvh {complaint}"):
        load_bandai(tmp_path)


def test_without_bvhio(tmp_path, monkeypatch):
    write_bvh(tmp_path / "dataset-1_walk_normal_001.bvh", motion(12))
    monkeypatch.setitem(sys.modules, "bvhio", None)
    with pytest.raises(InputError, match="needs bvhio: run `pip install bvhio`"):
        load_bandai(tmp_path)


# ---------------------------------------------------------------- the real BVH files


@pytest.fixture(scope="session")
def real_bvh(real_data):
    folder = real_data.with_name("bvh")
    if not folder.is_dir():
        pytest.skip(f"needs BVH files of the data set in {folder}")
    return folder, load_bandai(folder)


def read_names(folder):
    return [file.stem for file in sorted(folder.glob("*.bvh")) if file.stem.split("_")[1] in ACTIONS]


def test_real_bvh_files_agree_with_the_prepared_file(real_data, real_clips, real_bvh):
    folder, clips = real_bvh
    with np.load(real_data) as content:
        prepared_names = content["clip_names"].tolist()
    both = [(i, prepared_names.index(name)) for i, name in enumerate(read_names(folder)) if name in prepared_names]
    assert len(both) == 5
    for mine, theirs in both:
        assert clips.lengths[mine] == real_clips.lengths[theirs]
        assert clips.label_names[clips.labels[mine]] == ACTIONS[real_clips.labels[theirs]]
        assert clips.factors["style"][mine] == real_clips.factors["style"][theirs]
        # the prepared clips start over the origin, and are of float16 angles and one person
        joints = clips.joints[mine] - clips.joints[mine, 0, 0] * OVER_GROUND
        off = (joints - real_clips.joints[theirs])[clips.mask[mine]].norm(dim=-1)
        assert off.max() < 1e-3  # 1 mm


def test_left_is_left_and_up_is_up(real_bvh):
    _, clips = real_bvh
    assert len(clips) == 24 and clips.label_names == ACTIONS
    left, right, head = (JOINT[name] for name in ("left_wrist", "right_wrist", "head"))
    assert 1.0 < clips.joints[clips.mask][:, head, 1].median() < 1.5
    for name, lifted, other in (("left", left, right), ("right", right, left)):
        for action in ("raise-up", "wave"):
            label = ACTIONS.index(f"{action}-{name}-hand")
            highest = clips.joints[clips.labels == label][..., 1].amax(1)
            assert (highest[:, lifted] > highest[:, other] + 0.3).all()
    for direction, sign in (("left", 1), ("right", -1)):
        chosen = clips.select(clips.labels == ACTIONS.index(f"walk-turn-{direction}"))
        for joints, length in zip(chosen.joints, chosen.lengths, strict=True):
            step = joints[1:length, 0, [2, 0]] - joints[: length - 1, 0, [2, 0]]
            early, late = step[:10].sum(0), step[-10:].sum(0)
            assert sign * (early[0] * late[1] - early[1] * late[0]) > 0


def test_joint_names_have_their_bvh_joints():
    for name, bvh_name in zip(JOINT_NAMES, BVH_JOINTS, strict=True):
        assert bvh_name[-2:] == {"left": "_L", "right": "_R"}.get(name.split("_")[0], bvh_name[-2:])
        assert bvh_name in NAMES
