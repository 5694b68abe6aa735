"""The checks of chapter 01: right answers pass, typical wrong ones are told what is wrong with them."""

import pytest
import torch

from mdm_lib.checks import motion_data as checks
from mdm_lib.checks.tutor import WrongAnswer
from mdm_lib.motion.geometry import centre, face_forward, heading, mirror, turn
from mdm_lib.motion.skeleton import MIRROR

OVER_GROUND = torch.tensor([1.0, 0.0, 1.0])


def is_refused(check, answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        check(answer)


def is_praised(check, answer, capsys):
    check(answer)
    assert capsys.readouterr().out.startswith(f"✔ {check.__name__}: ")


def real(joints, lengths):
    return torch.arange(joints.shape[1]) < lengths[:, None]


def average_height(joints, lengths):
    return torch.where(real(joints, lengths), joints[:, :, 0, 1], 0.0).sum(1) / lengths


def average_height_clip_by_clip(joints, lengths):
    return torch.stack([clip[:length, 0, 1].mean() for clip, length in zip(joints, lengths, strict=True)])


def mask_one_too_long(joints, lengths):
    mask = torch.arange(joints.shape[1]) <= lengths[:, None]
    return (joints[:, :, 0, 1] * mask).sum(1) / mask.sum(1)


def mask_one_too_short(joints, lengths):
    mask = torch.arange(joints.shape[1]) < lengths[:, None] - 1
    return (joints[:, :, 0, 1] * mask).sum(1) / mask.sum(1)


def in_every_mirror(joints):
    return joints[..., list(MIRROR), :] * torch.tensor([1.0, 1.0, -1.0])


def in_place(joints):
    joints[..., 2] *= -1
    return joints[..., list(MIRROR), :]


def face_towards(joints, angle):
    return turn(centre(joints), angle - heading(joints[:, 0]))


def each_frame_turned(joints, angle):
    missing = (angle[:, None] - heading(joints)).flatten()
    return turn(centre(joints).flatten(0, 1)[:, None], missing).view_as(joints)


def in_world(places):
    bones = places.diff(dim=0)
    return torch.atan2(bones[:, 1], bones[:, 0])


def relative(radians):
    return torch.rad2deg(radians.diff(prepend=torch.zeros(1)))


RIGHT = [
    (checks.average_height, average_height),
    (checks.average_height, average_height_clip_by_clip),
    (checks.mirror_in_front, in_every_mirror),
    (
        checks.mirror_in_front,
        lambda x: turn(mirror(x[None] if x.dim() == 3 else x), torch.tensor([torch.pi])).view_as(x),
    ),
    (checks.face_towards, face_towards),
    (checks.face_towards, lambda x, angle: turn(face_forward(x), angle)),
    (checks.bend_angles, lambda places: relative(in_world(places))),
    (checks.bend_angles, lambda places: relative(in_world(places)) % 360),
]
WRONG = [
    (checks.average_height, lambda x, n: x[:, :, 0, 1].mean(1), "mean over all frames"),
    (checks.average_height, mask_one_too_long, "<= for <"),
    (checks.average_height, mask_one_too_short, "the last real frame is left out"),
    (checks.average_height, lambda x, n: (x[..., 1] * real(x, n)[..., None]).sum((1, 2)) / n / 22, "over all joints"),
    (checks.average_height, lambda x, n: (x[:, :, 0, 1] * real(x, n)).sum(1), "not yet divided"),
    (checks.average_height, lambda x, n: x[:, :, 0, 1].sum(1) / n, "nonzero padding"),
    (checks.average_height, lambda x, n: (x[:, :, 0, 1] * real(x, n)).sum(1) / n, "0 × NaN is NaN"),
    (checks.average_height, lambda x, n: x[:, :, 0, 1][real(x, n)].mean(), r"shape should be \[2\], it is \[\]"),
    (checks.average_height, lambda x, n: x[:, :, 0, 2].sum(1) / n, "heights 1, 2 and 6 are 3"),
    (checks.mirror_in_front, lambda x: x * torch.tensor([1.0, 1.0, -1.0]), "still called left"),
    (checks.mirror_in_front, lambda x: x[..., list(MIRROR), :], "no coordinate changed its sign"),
    (checks.mirror_in_front, mirror, "which negates x"),
    (checks.mirror_in_front, lambda x: x[..., list(MIRROR), :] * -OVER_GROUND, "z should be negated"),
    (checks.mirror_in_front, lambda x: mirror(x) * torch.tensor([1.0, 1.0, -1.0]), "half turn, not a mirror"),
    (checks.mirror_in_front, in_place, "changes the motion that it is given"),
    (
        checks.mirror_in_front,
        lambda x: x[:, :, list(MIRROR)] * torch.tensor([1.0, 1, -1]) if x.dim() == 4 else x,
        "a single motion",
    ),
    (checks.face_towards, lambda x, a: turn(centre(x), a), "wherever the body faced before"),
    (checks.face_towards, lambda x, a: turn(centre(x), heading(x[:, 0]) - a), "turns the wrong way"),
    (checks.face_towards, lambda x, a: turn(centre(x), heading(x[:, 0]) + a), "subtracted, not added"),
    (checks.face_towards, lambda x, a: face_forward(x), "whatever the angle"),
    (checks.face_towards, lambda x, a: turn(x, a - heading(x[:, 0])), "turned but not centred"),
    (checks.face_towards, lambda x, a: turn(x - x[:, :1, :1], a - heading(x[:, 0])), "height is centred as well"),
    (checks.face_towards, lambda x, a: turn(x - x[:, :, :1] * OVER_GROUND, a - heading(x[:, 0])), "walk on the spot"),
    (checks.face_towards, each_frame_turned, "its own heading"),
    (checks.face_towards, lambda x, a: x, "should be centred and face the angle"),
    (checks.bend_angles, lambda places: torch.rad2deg(in_world(places)), "angles in the world"),
    (checks.bend_angles, lambda places: relative(in_world(places)).deg2rad(), "these are radians"),
    (checks.bend_angles, lambda places: relative(in_world(places.flip(1))), "atan2 takes y first"),
    (checks.bend_angles, lambda places: -relative(in_world(places)), "the other way round"),
    (checks.bend_angles, lambda places: relative(torch.atan2(places[1:, 1], places[1:, 0])), "seen from the origin"),
    (checks.bend_angles, lambda places: torch.zeros(3), "wrong for an arm"),
    (checks.bend_angles, lambda places: in_world(places)[1:], r"shape should be \[3\], it is \[2\]"),
]


@pytest.mark.parametrize("check, answer", RIGHT)
def test_right_answers_are_praised(check, answer, capsys):
    is_praised(check, answer, capsys)


@pytest.mark.parametrize("check, answer, complaint", WRONG)
def test_wrong_answers_are_told_why(check, answer, complaint):
    is_refused(check, answer, complaint)
