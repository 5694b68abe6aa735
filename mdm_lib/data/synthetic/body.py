"""The synthetic people: proportions, stance, gait and hand positions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.data.synthetic.curves import angles, curve, glide, rotate, rotation, two_bone, vec, wave
from mdm_lib.motion.skeleton import JOINT, forward_kinematics

MAX_FRAMES = 120
GRAVITY = 9.81

LEFT, RIGHT = 1.0, -1.0
SIDES = {"left": LEFT, "right": RIGHT}
#: Parts with a slow random movement, three numbers each; see ``Actor.drift``.
SPINE, HEAD, PELVIS, LEFT_HAND, RIGHT_HAND, MOOD = range(6)

#: Rest pose (T-pose) of a person 1.7 m tall: joints in their parents' frames, metres; centre line and left side.
REST_OFFSETS = {
    "spine1": (0.0, 0.11, -0.01), "spine2": (0.0, 0.13, 0.0), "spine3": (0.0, 0.06, 0.01),
    "neck": (0.0, 0.20, -0.02), "head": (0.0, 0.11, 0.04),
    "left_hip": (0.09, -0.07, 0.0), "left_knee": (0.0, -0.41, 0.0), "left_ankle": (0.0, -0.40, 0.0),
    "left_foot": (0.0, -0.055, 0.13), "left_collar": (0.07, 0.11, -0.01), "left_shoulder": (0.11, 0.03, -0.01),
    "left_elbow": (0.27, 0.0, 0.0), "left_wrist": (0.25, 0.0, 0.0),
}  # fmt: skip
LEG = 0.81  # hip to ankle of the same person, metres
BALL_HEIGHT = 0.02  # height of a planted foot joint (the ball of the foot) above the floor, metres


# ------------------------------------------------------------------------------------------------ people


@dataclass
class Actor:
    """N people performing the same action over F frames."""

    offsets: Tensor  # [N, 1, 22, 3] rest pose
    time: Tensor  # [F] seconds
    phase: Tensor  # [N, F] cycles
    tempo: Tensor  # [N, 1] cycles per second
    amplitude: Tensor  # [N, 1] around 1
    tiredness: Tensor  # [N, 1] 0 to 1
    stride: Tensor  # [N, 1] metres per cycle, for walking and running
    curvature: Tensor  # [N, 1] degrees per metre by which the path bends left
    gravity: Tensor  # [N, 1] m/s²; larger for small people, whose joints are scaled down later
    seeds: Tensor  # [N, 6, 3, 3] uniform random numbers for `drift`

    def __post_init__(self):
        lengths = self.offsets.norm(dim=-1)
        self.leg_bones, self.arm_bones = (
            (lengths[..., JOINT[upper]], lengths[..., JOINT[lower]])
            for upper, lower in (("left_knee", "left_ankle"), ("left_elbow", "left_wrist"))
        )
        self.leg, self.arm = sum(self.leg_bones), sum(self.arm_bones)  # [N, 1]
        self.foot = self.offsets[:, :, JOINT["left_foot"]]  # [N, 1, 3] ball of the foot relative to the ankle

    def drift(self, what: int) -> Tensor:
        """Slow random movement of about ±1, ``[N, F, 3]``: people are never quite symmetric or still."""
        bias, first, second = self.seeds[:, what, :, None, :].unbind(1)
        time = self.time[:, None]
        return (bias - 0.5) + 0.5 * wave(0.13 * time + first) + 0.4 * wave(0.31 * time + second)


def rest_offsets(legs: Tensor, arms: Tensor, torso: Tensor, shoulders: Tensor) -> Tensor:
    """Rest pose of N people, ``[N, 1, 22, 3]``, from their proportions ``[N]`` (1 = those of ``REST_OFFSETS``)."""
    stretch = {"knee": legs, "ankle": legs, "elbow": arms, "wrist": arms, "collar": shoulders, "shoulder": shoulders}
    stretch |= {"spine1": torso, "spine2": torso, "spine3": torso, "neck": torso}
    offsets = torch.zeros(len(legs), 1, len(JOINT), 3)
    for name, offset in REST_OFFSETS.items():
        factor = stretch.get(name.removeprefix("left_"), torch.ones_like(legs))
        offsets[:, 0, JOINT[name]] = factor[:, None] * torch.tensor(offset)
        if name.startswith("left"):
            offsets[:, 0, JOINT[name.replace("left", "right")]] = factor[:, None] * torch.tensor(offset) * vec(-1, 1, 1)
    return offsets


class Foot(NamedTuple):
    """Position ``[N, F, 3]`` of the ball of a foot, and the foot's angles, degrees."""

    ball: Tensor
    heel: Tensor | float = 0.0  # heel raised, turning about the ball
    toe: Tensor | float = 0.0  # toes raised, turning about the ankle
    yaw: Tensor | float = 0.0


class Hand(NamedTuple):
    """Target position ``[N, F, 3]`` of a wrist, and the direction in which the elbow points."""

    wrist: Tensor
    elbow: Tensor

    def to(self, other: "Hand", weight: Tensor) -> "Hand":
        """Interpolate from this hand (``weight`` 0) to another (1)."""
        return Hand(*(torch.lerp(a, b, weight[..., None]) for a, b in zip(self, other, strict=True)))


def both(limb: Callable[[float], Foot | Hand]) -> list:
    """The left and the right limb."""
    return [limb(LEFT), limb(RIGHT)]


class Body:
    """A posed person: first trunk and legs, then the hands, which may depend on where the mouth is.

    Args:
        actor: the person.
        pelvis: ``[N, F, 3]`` desired position of the pelvis, relative to standing upright.
        feet: left and right.
        tilt, spine, head: ``angles`` of the pelvis, of the spine relative to the pelvis, and of the head relative to a
            level gaze. The neck makes the head's rotation, since rotating the head joint would move no joint.
        heading: ``[N, F]`` direction in which the person faces, degrees.
    """

    def __init__(self, actor: Actor, pelvis: Tensor, feet, tilt=None, spine=None, head=None, heading=0.0):
        self.actor, shape = actor, actor.phase.shape
        tilt, spine, head = (angles() if a is None else a for a in (tilt, spine, head))
        breath = 0.8 * wave(0.27 * actor.time + actor.seeds[:, MOOD, 2, :1])
        spine = spine + angles(pitch=14.0 * actor.tiredness - breath) + 1.3 * actor.drift(SPINE)
        head = head + angles(pitch=16.0 * actor.tiredness) + 2.5 * actor.drift(HEAD)
        self.facing = rotation(angles(yaw=heading)).expand(*shape, 3, 3)
        self.rotations = torch.eye(3).repeat(*shape, len(JOINT), 1, 1)
        upright, third = self.facing @ rotation(tilt), rotation(spine / 3)
        self._set("pelvis", upright)
        for joint in ("spine1", "spine2", "spine3"):
            self._set(joint, third)
        self._set("neck", rotation(head - 0.7 * (tilt + spine)))  # keeps the gaze level while the trunk moves
        self.chest = upright @ third @ third @ third
        self._place_legs(upright, pelvis + 0.006 * actor.drift(PELVIS) * vec(1, 0, 1), feet)
        self.joints = forward_kinematics(self.rotations, self.pelvis, actor.offsets)  # the arms are still in T-pose

    def _set(self, joint: str, rotation: Tensor) -> None:
        self.rotations[..., JOINT[joint], :, :] = rotation

    def _place_legs(self, upright: Tensor, pelvis: Tensor, feet) -> None:
        actor = self.actor
        ahead = [self.facing @ rotation(angles(yaw=foot.yaw)) for foot in feet]
        soles = [axes @ rotation(angles(pitch=foot.heel)) for axes, foot in zip(ahead, feet, strict=True)]
        ankles = [foot.ball - rotate(sole, actor.foot) for foot, sole in zip(feet, soles, strict=True)]
        hips = [rotate(upright, actor.offsets[:, :, JOINT[f"{side}_hip"]]) for side in SIDES]
        self.pelvis = self._let_down(pelvis, [ankle - hip for ankle, hip in zip(ankles, hips, strict=True)])
        for k, (side, sign) in enumerate(SIDES.items()):
            knee, reach = rotate(ahead[k], vec(0.1 * sign, 0, 1)), ankles[k] - self.pelvis - hips[k]
            thigh, shin = two_bone(reach, actor.leg_bones, knee, (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))
            sole = soles[k] @ rotation(angles(pitch=-torch.as_tensor(feet[k].toe)))
            self._set(f"{side}_hip", upright.mT @ thigh)
            self._set(f"{side}_knee", thigh.mT @ shin)
            self._set(f"{side}_ankle", shin.mT @ sole)

    def _let_down(self, pelvis: Tensor, ankles: list[Tensor]) -> Tensor:
        """Pelvis position, low enough that both legs reach their ankles (given relative to the hips)."""
        actor, (x, y, z) = self.actor, pelvis.unbind(-1)
        straight = actor.leg - actor.foot[..., 1] + BALL_HEIGHT - actor.offsets[:, :, JOINT["left_hip"], 1]
        heights = [straight + y]
        for ankle in ankles:
            away = (ankle[..., 0] - x) ** 2 + (ankle[..., 2] - z) ** 2
            heights.append(ankle[..., 1] + ((0.994 * actor.leg) ** 2 - away).clamp(min=0.01).sqrt())
        sharpness = 200.0  # of the soft minimum, which avoids a jerk
        return vec(x, -torch.logsumexp(-sharpness * torch.stack(heights), 0) / sharpness, z)

    def _shoulder(self, side: float) -> Tensor:
        return self.joints[..., JOINT["left_shoulder" if side == LEFT else "right_shoulder"], :]

    def face(self, x: float, y: float, z: float) -> Tensor:
        """A point that moves with the head, given relative to the head joint."""
        head = self.chest @ self.rotations[..., JOINT["neck"], :, :]
        return self.joints[..., JOINT["head"], :] + rotate(head, vec(x, y, z))

    def hold(self, side: float, point: Tensor, elbow=(0.3, -0.6, -0.7)) -> Hand:
        """The hand at a point; ``elbow`` is the direction in which the elbow points: outwards, up, forward."""
        return Hand(point, rotate(self.facing, vec(side * elbow[0], *elbow[1:])))

    def reach(self, side: float, out, up, ahead, elbow=(0.3, -0.6, -0.7)) -> Hand:
        """The hand at a position relative to its shoulder, in arm lengths: outwards, up, forward."""
        place = self.actor.arm[..., None] * vec(side * torch.as_tensor(out), up, ahead)
        return self.hold(side, self._shoulder(side) + rotate(self.facing, place), elbow)

    def hang(self, side: float, swing=0.0, elbow=15.0, out=8.0) -> Hand:
        """The arm as a pendulum: ``swing`` forward, ``elbow`` bent, held ``out`` from the body (degrees)."""
        swing, elbow, out = (torch.deg2rad(torch.as_tensor(a)) for a in (swing, elbow, out))
        upper, lower = (
            vec(side * out.sin(), -a.cos() * out.cos(), a.sin() * out.cos()) for a in (swing, swing + elbow)
        )
        place = sum(length[..., None] * bone for length, bone in zip(self.actor.arm_bones, (upper, lower), strict=True))
        return Hand(self._shoulder(side) + rotate(self.facing, place), rotate(self.facing, upper))

    def with_hands(self, left: Hand, right: Hand) -> Tensor:
        """Bend the arms and return the joints ``[N, F, 22, 3]``."""
        for (name, side), hand, drift in zip(SIDES.items(), (left, right), (LEFT_HAND, RIGHT_HAND), strict=True):
            reach = hand.wrist + 0.006 * self.actor.drift(drift) - self._shoulder(side)
            distance = reach.norm(dim=-1)  # limited as the arm straightens, so that the elbow does not snap
            excess = torch.nn.functional.softplus(distance - 0.96 * self.actor.arm, beta=60.0)
            reach = rotate(self.chest.mT, reach * (1 - excess / distance)[..., None])
            pole = rotate(self.chest.mT, hand.elbow)
            upper, lower = two_bone(reach, self.actor.arm_bones, pole, (side, 0.0, 0.0), (0.0, side, 0.0))
            self._set(f"{name}_shoulder", upper)
            self._set(f"{name}_elbow", upper.mT @ lower)
        return forward_kinematics(self.rotations, self.pelvis, self.actor.offsets)


# ------------------------------------------------------------------------------------------------ stance and gait


def planted(side: float, out=0.10, ahead=0.11, up=0.0, heel=0.0, toes_out=10.0) -> Foot:
    """A planted foot: its ball ``out`` to the side and ``ahead`` of the origin, metres."""
    return Foot(vec(side * out, BALL_HEIGHT + up, ahead), heel, yaw=side * toes_out)


def stand(actor: Actor, sway=0.0, **pose) -> Body:
    """A person standing with the feet apart; ``sway`` (metres, + = left) shifts the weight from leg to leg."""
    return Body(actor, vec(sway + 0.02 * actor.drift(MOOD)[..., 0], 0, 0), both(planted), **pose)


def gait(actor: Actor, duty: float, width: float, lift, heel: dict, toe: dict) -> list[Foot]:
    """Both feet of a person walking or running along +z, one ``actor.stride`` per cycle.

    A foot is planted for the share ``duty`` of its cycle, then moves to its next position; the pelvis moves steadily.

    Args:
        width: distance from the midline, metres.
        lift: how high the ball of the foot swings, metres.
        heel, toe: ``{time: degrees}``, key frames of the foot's roll; the foot strikes the floor at time 0.
    """

    def foot(side: float) -> Foot:
        lag = 0.0 if side == LEFT else 0.5
        phase = actor.phase - lag
        swing = ((phase % 1 - duty) / (1 - duty)).clamp(0, 0.999)
        along = actor.stride * (phase.floor() + lag + duty / 2 + glide(swing) - actor.phase[:, :1])
        up = lift * curve(swing, (0.0, 0.35, 0.9, 0.999), (0.0, 1.0, 0.2, 0.0), slopes={0: 4.0})
        ball = vec(side * width, BALL_HEIGHT + up, along + 0.06)
        return Foot(ball, *(curve(phase, roll.keys(), roll.values()) for roll in (heel, toe)), yaw=side * 5.0)

    return both(foot)


def along_path(actor: Actor, pelvis: Tensor, feet: list[Foot]) -> dict:
    """Bend a straight gait onto a gentle arc. Planted feet stay in place."""
    bend = torch.deg2rad(actor.curvature)

    def onto_arc(point: Tensor) -> tuple[Tensor, Tensor]:
        x, y, along = point.unbind(-1)
        chord, heading = along * torch.sinc(bend * along / (2 * math.pi)), bend * along
        place = vec(chord * torch.sin(heading / 2), y, chord * torch.cos(heading / 2))
        return place + vec(x * torch.cos(heading), 0, -x * torch.sin(heading)), torch.rad2deg(heading)

    pelvis, heading = onto_arc(pelvis)
    balls = [onto_arc(foot.ball) for foot in feet]
    feet = [f._replace(ball=ball, yaw=f.yaw + yaw - heading) for f, (ball, yaw) in zip(feet, balls, strict=True)]
    return {"pelvis": pelvis, "feet": feet, "heading": heading}
