"""Skeleton and rate are values: 21 joints as KIT-ML has them at 12.5 frames a second, and a toy of three joints."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch

from mdm_lib import PRESETS, InputError, MotionClips, generate, load_checkpoint, train
from mdm_lib.evaluation import Judge, evaluate, train_recogniser
from mdm_lib.formats import load_motions, save_motions
from mdm_lib.motion import SMPL22, Skeleton, face_forward, heading, mirror, turn
from mdm_lib.visualise import MotionPlayer, draw_frames, film_strip
from mdm_lib.visualise.figure import body_of
from mdm_lib.widgets import attention_explorer, gallery, noise_explorer, sampler_explorer

KIT21 = Skeleton(
    joint_names=(
        "root", "BP", "BT", "BLN", "BUN", "LS", "LE", "LW", "RS", "RE", "RW", "LH", "LK", "LA", "LMrot", "LF",
        "RH", "RK", "RA", "RMrot", "RF",
    ),
    parents=(-1, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19),
    feet=(15, 20),
    head=4,
)  # fmt: skip
TOY3 = Skeleton(("middle", "left_end", "right_end"), (-1, 0, 0))
#: Where the joints of a standing person are, metres, left is +x.
KIT_POSE = torch.tensor([
    [0, 0.9, 0], [0, 1.0, 0], [0, 1.2, 0], [0, 1.4, 0], [0, 1.5, 0.02],
    [0.18, 1.4, 0], [0.2, 1.12, 0], [0.2, 0.88, 0.05], [-0.18, 1.4, 0], [-0.2, 1.12, 0], [-0.2, 0.88, 0.05],
    [0.1, 0.88, 0], [0.1, 0.48, 0.02], [0.1, 0.08, 0], [0.1, 0.05, 0.05], [0.1, 0.02, 0.14],
    [-0.1, 0.88, 0], [-0.1, 0.48, 0.02], [-0.1, 0.08, 0], [-0.1, 0.05, 0.05], [-0.1, 0.02, 0.14],
])  # fmt: skip
TOY_POSE = torch.tensor([[0, 0.5, 0], [0.3, 0.4, 0], [-0.3, 0.4, 0.0]])
BODIES = {"kit": (KIT21, KIT_POSE, 12.5), "toy": (TOY3, TOY_POSE, 30.0)}


def some_motion(skeleton, pose, fps, num_clips=24, num_frames=30) -> MotionClips:
    """Everybody walks off in a direction of their own, swinging left and right."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(num_frames) / fps
    swing = torch.tensor([{"left": 1.0, "right": -1.0, "centre": 0.0}[skeleton.side(j)]
                          for j in range(skeleton.num_joints)])  # fmt: skip
    clips = []
    for n in range(num_clips):
        forward = 0.15 * swing * torch.sin(2 * torch.pi * (0.5 + n % 2) * time)[:, None] + time[:, None] * (n % 2)
        joints = pose.expand(num_frames, -1, -1).clone()
        joints[..., 2] += forward
        joints += 0.003 * torch.randn(joints.shape, generator=generator)
        clips.append(turn(joints[None], torch.rand(1, generator=generator) * 6)[0])
    labels = torch.arange(num_clips) % 2
    return MotionClips.from_list(clips, labels, ("stand", "go"), "a test", skeleton=skeleton, fps=fps)


@pytest.fixture(scope="module", params=BODIES.values(), ids=BODIES)
def clips(request):
    return some_motion(*request.param)


@pytest.fixture(scope="module")
def checkpoint(clips, tmp_path_factory):
    config = replace(
        PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, batch_size=8, num_frames=24,
        num_timesteps=10,
    )  # fmt: skip
    trainer = deque(train(clips, config, steps=2), maxlen=1).pop()
    return load_checkpoint(trainer.checkpoint().save(tmp_path_factory.mktemp("model") / "model.pth"))


def test_sides_facing_and_mirror_come_from_the_names():
    assert KIT21.pairs == ((5, 8), (6, 9), (7, 10), (11, 16), (12, 17), (13, 18), (14, 19), (15, 20))
    assert KIT21.facing == ((5, 8), (11, 16))  # shoulders and hips hang on the middle of the body
    assert [KIT21.side(j) for j in (0, 5, 8)] == ["centre", "left", "right"]
    assert KIT21.mirror[7] == 10 and KIT21.mirror[10] == 7 and KIT21.mirror[4] == 4
    assert TOY3.pairs == TOY3.facing == ((1, 2),) and TOY3.feet == () and TOY3.head == -1
    other = Skeleton(("Hips", "LeftUpLeg", "RightUpLeg", "hand.L", "hand.R", "l_toe", "r_toe", "Head"),
                     (-1, 0, 0, 0, 0, 1, 2, 0))  # fmt: skip
    assert other.pairs == ((1, 2), (3, 4), (5, 6)) and other.feet == (5, 6) and other.head == 7


@pytest.mark.parametrize("skeleton", [KIT21, TOY3, SMPL22])
def test_a_skeleton_goes_through_plain_values(skeleton):
    assert Skeleton.from_plain(skeleton.to_plain()) == skeleton
    assert Skeleton.from_plain({n: skeleton.to_plain()[n] for n in ("joint_names", "parents")}).pairs == skeleton.pairs


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"joint_names": ("a", "a", "b")}, "no name twice"),
        ({"parents": (-1, 0)}, "3 different.* and 2 parents"),
        ({"parents": (-1, 2, 0)}, "parents precede"),
        ({"parents": (0, 0, 0)}, "root"),
        ({"head": 3}, "0 to 2"),
        ({"feet": (5,)}, "0 to 2"),
    ],
)
def test_what_is_no_skeleton_is_refused(changes, complaint):
    with pytest.raises(InputError, match=complaint):
        Skeleton(**{"joint_names": ("a", "b", "c"), "parents": (-1, 0, 0), **changes})


def test_clips_of_other_joints_are_refused(clips):
    with pytest.raises(InputError, match=r"22 joints, 3\], not"):
        MotionClips(clips.joints, clips.lengths, clips.labels, clips.label_names)
    with pytest.raises(InputError, match="fps is 0"):
        replace(clips, fps=0)


def test_heading_and_mirror(clips):
    skeleton = clips.skeleton
    faced = face_forward(clips.joints, skeleton)
    torch.testing.assert_close(heading(faced[:, 0], skeleton), torch.zeros(len(clips)), atol=1e-3, rtol=0)
    seen = mirror(clips.joints, skeleton)
    torch.testing.assert_close(heading(seen, skeleton), -heading(clips.joints, skeleton), atol=1e-3, rtol=0)
    torch.testing.assert_close(mirror(seen, skeleton), clips.joints)


def test_train_save_open_and_sample(clips, checkpoint):
    assert checkpoint.skeleton == clips.skeleton and checkpoint.fps == clips.fps
    motions = generate(checkpoint, ["go", "stand"], 2)
    assert motions.shape == (4, 24, clips.skeleton.num_joints, 3) and motions.isfinite().all()
    with pytest.raises(InputError, match=f"{clips.fps:g} frames are a second"):
        generate(checkpoint, "go", num_frames=1)


def test_score(clips, checkpoint):
    card = evaluate(checkpoint, Judge(clips, train_recogniser(clips, 24, steps=5), 24), num_seeds=1, num_steps=2)
    measures = {figure.measure for figure in card.figures}
    assert {"FID", "recognised", "bone drift, %", "speed / real"} <= measures
    assert ("skating ratio" in measures) == bool(clips.skeleton.feet)  # the toy has no feet
    assert card.get("speed / real").real == pytest.approx(1, abs=0.1)


def test_draw_and_play(clips):
    look = {"fps": clips.fps, "skeleton": clips.skeleton}
    frames = draw_frames(clips.joints[:2], title="other bodies", **look)
    assert len(frames) == 30 and len({frame.tobytes() for frame in frames}) == 30
    red, _, blue = np.moveaxis(np.asarray(film_strip(clips.joints[:2], **look).convert("RGB"), int), -1, 0)
    assert (blue - red > 60).sum() > 1000 and (red - blue > 60).sum() > 1000  # left and right limbs
    player = MotionPlayer(clips.joints[:2], **look)
    body = player._scene["body"]
    assert body["joints"] == clips.skeleton.num_joints and player._scene["fps"] == clips.fps
    assert [tuple(bone[:2]) for bone in body["bones"]] == list(body_of(clips.skeleton).bones)
    assert len(player._data) == 2 * 2 * 30 * clips.skeleton.num_joints * 3
    with pytest.raises(InputError, match="not"):
        player.update(torch.zeros(2, 22, 3))


def test_explorers(clips, checkpoint):
    for explorer in (noise_explorer(clips), attention_explorer(checkpoint, clips), sampler_explorer(checkpoint),
                     gallery(checkpoint, actions=["go"])):  # fmt: skip
        players = [item for item in explorer.stage.items.values() if isinstance(item, MotionPlayer)]
        assert players and all(p.skeleton == clips.skeleton and p._scene["fps"] == clips.fps for p in players)


def test_files_of_motions_say_what_they_are(clips, tmp_path):
    motions = clips.joints[:2].numpy()
    path = save_motions(tmp_path / "m.npy", motions, [0, 1], clips.label_names, {}, clips.skeleton, clips.fps)
    found, about = load_motions(path)
    assert np.array_equal(found, motions) and about["skeleton"] == clips.skeleton and about["fps"] == clips.fps
