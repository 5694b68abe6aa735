"""One's own arrays: what they become, and what is said when something looks wrong."""

import warnings

import numpy as np
import pytest
import torch

from mdm_lib import InputError, MotionClips, load_clips
from mdm_lib.motion import SMPL22, bone_lengths, heading
from mdm_lib.motion.intake import UPRIGHT, doubts, resample


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:48")


@pytest.fixture
def people(clips):
    """Twelve motions of real length, as arrays, and the names of what they do."""
    motions = [clip[:length].numpy() for clip, length in zip(clips.joints[:12], clips.lengths, strict=False)]
    return motions, [clips.label_names[label] for label in clips.labels[:12]]


def silently(*arguments, **options) -> MotionClips:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return MotionClips.from_arrays(*arguments, **options)


def test_arrays_and_words_are_taken(people, clips):
    motions, names = people
    for given in (motions, [torch.tensor(m) for m in motions], [m.astype("f8") for m in motions]):
        found = silently(given, names)
        assert found.label_names == tuple(dict.fromkeys(names)) and found.fps == 20
        torch.testing.assert_close(found.joints, clips.joints[:12, : found.joints.shape[1]])
    whole = silently(np.stack([m[:45] for m in motions]), np.arange(12))
    assert whole.lengths.tolist() == [45] * 12 and whole.label_names[11] == "11"


@pytest.mark.parametrize("up", UPRIGHT)
def test_any_axis_up_is_turned_and_no_side_exchanged(people, up):
    motions, names = people
    inverse = np.array(UPRIGHT[up], "f4")  # rows times a rotation undo it
    assert np.linalg.det(inverse) == pytest.approx(1)
    found = silently([m @ inverse for m in motions], names, up=up)
    torch.testing.assert_close(found.joints, silently(motions, names).joints, atol=1e-5, rtol=0)


def test_units_and_sides(people):
    motions, names = people
    expected = silently(motions, names).joints
    torch.testing.assert_close(silently([100 * m for m in motions], names, scale=0.01).joints, expected)
    swapped = [m[:, list(SMPL22.mirror)] for m in motions]
    torch.testing.assert_close(silently(swapped, names, swap_sides=True).joints, expected)


@pytest.mark.parametrize("fps", [10, 25, 30, 50, 60, 120])
def test_another_rate_is_resampled_with_bones_as_long(clips, fps):
    motion = clips.joints[1, : clips.lengths[1]]
    there = resample(motion, 20, fps)
    assert abs((len(there) - 1) / fps - (len(motion) - 1) / 20) < 1 / min(fps, 20)
    back = resample(there, fps, 20)
    if fps >= 20:
        assert (back - motion[: len(back)]).norm(dim=-1).mean() < 0.01
    torch.testing.assert_close(bone_lengths(there).mean(0), bone_lengths(motion).mean(0), atol=2e-3, rtol=0)
    assert bone_lengths(there).std(0).max() < 1e-4


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda m: m * np.array([1, -1, -1], "f4"), r'head below its feet; if y points down, pass up="-y"'),
        (lambda m: m @ np.array(UPRIGHT["z"], "f4"), r'if z points up, pass up="z"'),
        (lambda m: 100 * m, r"tall; pass scale=0.01"),
        (lambda m: m / 0.0254, r"tall; pass scale=0.0254"),
        (lambda m: m[:, list(SMPL22.mirror)], r"toes behind its ankles.*swap_sides=True"),
        (lambda m: np.concatenate([m[:20], m[20:] + 3]), r"jumps by .* from frame 19 to 20"),
    ],
)
def test_what_looks_wrong_is_said_with_what_to_pass(people, damage, said):
    motions, names = people
    with pytest.warns(UserWarning, match=rf"motion clips: clip \d+ .*{said}"):
        MotionClips.from_arrays([damage(m) for m in motions], names)


def test_nothing_is_said_of_people(clips):
    for clip, length in zip(clips.joints, clips.lengths, strict=True):
        assert doubts(clip[:length], 20) == []


def test_real_people_are_not_doubted(real_data):
    clips = load_clips(f"bandai:{real_data}")
    doubted = [doubts(clip[:length], 20) for clip, length in zip(clips.joints, clips.lengths, strict=True)]
    assert sum(map(bool, doubted)) == 0, [d for d in doubted if d][:5]


def test_more_joints_of_smpl_are_cut(people):
    motions, names = people
    longer = [np.concatenate([m, m[:, :2]], axis=1) for m in motions]  # 24
    torch.testing.assert_close(silently(longer, names).joints, silently(motions, names).joints)


@pytest.mark.parametrize(
    ("motions", "labels", "complaint"),
    [
        ([np.zeros((5, 22, 3))], ["a", "b"], "labels must be one per clip, for 1 clips, not 2"),
        ([np.zeros((5, 21, 3))], ["a"], r"clip 0 must be \[frames, 22 joints, 3\], not \[5, 21, 3\]"),
        ([np.zeros((5, 22, 3)), "walk"], ["a", "a"], "clip 1 is not an array of numbers"),
        ([], [], "no clips"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_motion_is_refused(motions, labels, complaint):
    with pytest.raises(InputError, match=complaint):
        MotionClips.from_arrays(motions, labels)


def test_an_unknown_axis_says_which_there_are(people):
    with pytest.raises(InputError, match=r"unknown up axis 'w'.*There are: y, -y, z, -z"):
        MotionClips.from_arrays(*people, up="w")


def test_clips_are_saved_and_loaded(clips, tmp_path):
    again = MotionClips.load(clips.save(tmp_path / "clips.npz"))
    assert again.fingerprint() == clips.fingerprint() and again.skeleton == clips.skeleton and again.fps == clips.fps
    assert again.source == clips.source and torch.equal(again.factors["tempo"], clips.factors["tempo"])
    assert heading(again.joints[0, 0]) == heading(clips.joints[0, 0])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", b"\x93NUMPY", "half"])
def test_a_damaged_file_of_clips_is_refused(clips, tmp_path, content):
    path = clips.save(tmp_path / "clips.npz")
    path.write_bytes(path.read_bytes()[:5000] if content == "half" else content)
    with pytest.raises(InputError, match=r"clips.npz is not what MotionClips.save wrote, or is damaged"):
        MotionClips.load(path)
    with pytest.raises(InputError, match="no file at"):
        MotionClips.load(tmp_path / "nothing.npz")
