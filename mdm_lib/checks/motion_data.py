"""Checks of chapter 01: averages over padded clips, mirrors, turns, and angles from positions."""

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse
from mdm_lib.data.synthetic.clips import synthetic_clips
from mdm_lib.motion.geometry import centre, heading, mirror, turn
from mdm_lib.motion.skeleton import MIRROR


@check
def average_height(answer):
    """``answer(joints [B, F, J, 3], lengths [B])`` → ``[B]``, the mean height of joint 0 over real frames."""
    lengths = torch.tensor([3, 5])
    height = torch.tensor([[1.0, 2.0, 6.0, 0.0, 0.0], [4.0, 4.0, 4.0, 4.0, 9.0]])
    joints = torch.zeros(2, 5, 22, 3)
    joints[:, :, 0, 1] = height
    got, wanted = answer(joints, lengths), torch.tensor([3.0, 5.0])
    of_wrong = {
        "this is the mean over all frames; the zeros of the padding lower it": height.mean(1),
        "frame `length` is counted as real, but it is the first padding frame: is it <= for <?": (
            torch.tensor([9.0 / 4, 5.0])
        ),
        "the last real frame is left out: frames 0 to length - 1 are real": torch.tensor([1.5, 4.0]),
        "this is the mean over all joints; the pelvis is joint 0": wanted / 22,
        "this is the sum of the heights, not yet divided by the number of real frames": wanted * lengths,
    }
    for complaint, numbers in of_wrong.items():
        refuse(got, numbers, complaint)
    expect_close(got, wanted, "heights 1, 2 and 6 are 3 on average, and 4, 4, 4, 4 and 9 are 5")
    joints[0, 3:] = 100.0
    expect_close(answer(joints, lengths), wanted, "nonzero padding changes the result: leave it out before adding up")
    joints[0, 3:] = torch.nan
    got = answer(joints, lengths)
    expect(
        not (isinstance(got, Tensor) and got.isnan().any()),
        "if the padding is NaN, so is the average: 0 × NaN is NaN, so use torch.where instead of multiplying",
    )
    expect_close(got, wanted, "NaN in the padding changes the result")
    return "only real frames count, whatever the padding contains"


@check
def mirror_in_front(answer):
    """``answer(joints [..., 22, 3])`` → the same motion in a mirror that negates z."""
    joints = synthetic_clips(12).joints[4:6, :7]
    before, negate_z = joints.clone(), torch.tensor([1.0, 1.0, -1.0])
    wanted = joints[..., list(MIRROR), :] * negate_z
    got = answer(joints)
    expect(joints.equal(before), "it changes the motion that it is given; create a new one")
    swapped = joints[..., list(MIRROR), :]
    of_wrong = {
        "z is negated, but left joints are still called left: the person's left and right are exchanged": (
            joints * negate_z
        ),
        "left and right joints are exchanged, but no coordinate changed its sign": swapped,
        "this is a mirror at the person's side, which negates x; it should be in front": mirror(joints),
        "this negates y: the mirror is the floor": swapped * torch.tensor([1.0, -1.0, 1.0]),
        "x and z are both negated: two sign changes are a half turn, not a mirror": swapped
        * torch.tensor([-1.0, 1.0, -1.0]),
    }
    for complaint, numbers in of_wrong.items():
        refuse(got, numbers, complaint)
    expect_close(got, wanted, "z should be negated, and each joint exchanged with that of the other side (MIRROR)")
    expect_close(
        answer(joints[0]),
        wanted[0],
        "a single motion [F, 22, 3] should work too: index from the right, as in joints[..., 0]",
    )
    return "one sign is changed, and left and right are exchanged"


@check
def face_towards(answer):
    """``answer(joints [B, F, 22, 3], angle [B])`` → centred, the first frame facing ``angle``."""
    joints = synthetic_clips(15).joints[[1, 2, 14], :40]  # walk, run, and warm up
    joints = turn(joints, torch.tensor([0.7, -1.2, 2.0]) - heading(joints[:, 0]))
    angle, now = torch.tensor([0.5, 2.5, -1.5]), heading(joints[:, 0])
    centred, pelvis = centre(joints), joints[:, :, :1]
    each_frame = turn(centred.flatten(0, 1)[:, None], (angle[:, None] - heading(joints)).flatten()).view_as(joints)
    of_wrong = {
        "it turns by the angle, wherever the body faced before; turn by the difference to the heading": turn(
            centred, angle
        ),
        "it turns the wrong way: to face 90° from 30°, turn by 90° - 30°": turn(centred, now - angle),
        "the current heading should be subtracted, not added": turn(centred, angle + now),
        "every motion faces +z (0), whatever the angle": turn(centred, -now),
        "it is turned but not centred: the first frame's pelvis should be over the origin": turn(joints, angle - now),
        "the height is centred as well: the pelvis starts at y = 0, so each clip has a different floor": (
            turn(joints - pelvis[:, :1], angle - now)
        ),
        "every frame is centred by its own pelvis, so all walk on the spot; use the first frame's position for all": (
            turn(joints - pelvis * torch.tensor([1.0, 0.0, 1.0]), angle - now)
        ),
        "every frame is turned by its own heading, which removes all turns; use the first frame's for all": each_frame,
    }
    got = answer(joints, angle)
    for complaint, numbers in of_wrong.items():
        refuse(got, numbers, complaint)
    wanted = turn(centred, angle - now)
    expect_close(got, wanted, "the first frame should be centred and face the angle, and the others move with it")
    expect_close(answer(joints[:1], angle[:1]), wanted[:1], "a batch of one should work too")
    return "centred, and turned by the right difference"


@check
def bend_angles(answer):
    """``answer(places [4, 2])`` → ``[3]`` degrees, each bone relative to the one before (the first to x)."""
    for angles in ([90.0, -90.0, 0.0], [30.0, 40.0, -100.0], [-20.0, 150.0, 60.0]):
        places, wanted = _flat_arm(angles), torch.tensor(angles)
        bones = places.diff(dim=0)
        of_wrong = {
            "these are the bones' angles in the world; subtract the angle of the bone before": wanted.cumsum(0),
            "these are radians; torch.rad2deg makes degrees": wanted.deg2rad(),
            "atan2 takes y first, then x": _between(torch.atan2(bones[:, 0], bones[:, 1])),
            "the signs are the other way round: it is this bone's angle minus the one before": -wanted,
            "these are angles of positions seen from the origin; a bone is the difference of two positions": (
                _between(torch.atan2(places[1:, 1], places[1:, 0]))
            ),
        }
        got = answer(places)
        if isinstance(got, Tensor) and got.shape == wanted.shape and not _same_turn(got, wanted):
            for complaint, numbers in of_wrong.items():
                expect(not _same_turn(got, numbers), complaint)
        complaint = f"wrong for an arm with the angles {angles}"
        # 350° and -10° are the same turn
        got = wanted + _wrap(got - wanted) if isinstance(got, Tensor) and got.shape == wanted.shape else got
        expect_close(got, wanted, complaint, tolerance=1e-2)
    return "forward kinematics, inverted"


def _flat_arm(angles: list[float]) -> Tensor:
    """Positions ``[4, 2]`` of an arm of three bones, whose shoulder is not at the origin."""
    in_world = torch.tensor(angles).cumsum(0).deg2rad()
    bones = torch.tensor([0.3, 0.25, 0.1])[:, None] * torch.stack([in_world.cos(), in_world.sin()], dim=1)
    return torch.cat([torch.zeros(1, 2), bones.cumsum(0)]) + torch.tensor([0.2, 1.4])


def _between(radians: Tensor) -> Tensor:
    """Angles in the world → angles relative to the one before, degrees."""
    return torch.rad2deg(radians.diff(prepend=torch.zeros(1)))


def _wrap(degrees: Tensor) -> Tensor:
    return (degrees + 180) % 360 - 180


def _same_turn(a: Tensor, b: Tensor) -> bool:
    return bool((_wrap(a - b).abs() < 1e-2).all())
