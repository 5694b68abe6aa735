"""Motion of other projects: what can be understood by looking is read, and said; the rest is named."""

import numpy as np
import pytest
from helpers import clip, layout, standing, write

from mdm_lib import InputError
from mdm_lib.data import load_humanact12
from mdm_lib.formats import load_motions
from mdm_lib.motion.intake import UPRIGHT

BODY = standing(6)[0].numpy()  # [6, 22, 3]
HANDS = np.concatenate([BODY, np.zeros((6, 30, 3), "f4")], 1)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.stack([HANDS[:, :24]] * 2), "has 24 joints: the first 22"),
        (HANDS, "has 52 joints: the first 22"),
        (np.stack([BODY] * 3).transpose(0, 2, 3, 1), "joints, axes, frames"),
        (BODY.transpose(1, 2, 0), "joints, axes, frames"),
        (BODY.reshape(6, 66), None),
        *[(BODY @ np.array(matrix, "f4"), f"has {up} up") for up, matrix in UPRIGHT.items() if up != "y"],
    ],
)
def test_other_orders_are_the_same_motion(array, said, tmp_path, recwarn):
    np.save(tmp_path / "a.npy", array)
    motions, about = load_motions(tmp_path / "a.npy")
    assert np.allclose(motions.reshape(-1, 6, 22, 3), BODY, atol=1e-6) and about["fps"] == 20
    assert [str(w.message) for w in recwarn] == [] if said is None else said in str(recwarn[0].message)


def test_the_results_of_mdms_own_code(tmp_path, recwarn):
    results = {"motion": np.stack([BODY.transpose(1, 2, 0)] * 2), "text": ["a", "b"], "lengths": np.array([6, 4])}
    np.save(tmp_path / "results.npy", results, allow_pickle=True)
    motions, about = load_motions(tmp_path / "results.npy")
    assert motions.shape == (2, 6, 22, 3) and np.array_equal(motions[1], BODY) and about["lengths"] == [6, 4]
    results["run"] = pytest.raises  # what only code can bring back
    np.save(tmp_path / "results.npy", results, allow_pickle=True)
    with pytest.raises(InputError, match="could run code; nothing was run"):
        load_motions(tmp_path / "results.npy")


def test_features_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((40, 263)))
    with pytest.raises(InputError, match=r"shape \[40, 263\].*HumanML3D's features"):
        load_motions(tmp_path / "a.npy")


def test_a_pickle_that_is_y_up_already_is_left_so(tmp_path):
    upright = [np.concatenate([BODY, BODY[:, -2:]], 1) for _ in range(3)]
    with pytest.warns(UserWarning, match="y points up in it"):
        clips = load_humanact12(write(tmp_path / "mine.pkl", layout(joints3D=upright, poses=upright, oldposes=upright)))
    head, foot = (clips.joints[:, 0, joint, 1] for joint in (15, 10))
    assert (head > foot).all() and clips.source == "motion in its layout (mine.pkl)"
    assert load_humanact12(write(tmp_path / "other.pkl", layout(joints3D=[clip(9)] * 3))).skeleton.num_joints == 22
