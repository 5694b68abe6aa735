"""The embedded data set: people made of formulas who do HumanAct12's twelve actions.

Every clip is made the way an animator would make it: curves over the phase of the action move pelvis, trunk, feet
and hands; two-bone inverse kinematics turns feet and hands into joint rotations; forward kinematics turns these
into joints. Bones therefore keep their length and planted feet stay where they are. Who moves, how fast, how far,
with which hand and where to is drawn at random and kept in ``MotionClips.factors``, so that one can ask whether a
model has learnt the distribution of these factors.

Three actions are close to each other on purpose: *drink* (slow; hand from the waist to the mouth, head tilts back),
*eat* (quick; one hand holds a bowl, the other shuttles between bowl and mouth, head bowed) and *phone* (hand stays
at the ear, head tilts to it, the body sways). They differ by the height of the hands, the rhythm and the head.

Inside this module: y up, the person faces +z, left is +x; angles in degrees; lengths in metres of a person of 1.7 m
(``synthetic_clips`` scales the finished joints). ``N`` clips, ``F`` frames: curves are ``[N, F]``, what is constant
in a clip is ``[N, 1]``, points are ``[N, F, 3]``. Numbers stand for all of them where they are the same for everybody.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.data.clips import FPS, MotionClips, face_forward, length_mask, mirror, turn
from mdm_lib.errors import InputError
from mdm_lib.skeleton import JOINT, forward_kinematics

MAX_FRAMES = 120
GRAVITY = 9.81

LEFT, RIGHT = 1.0, -1.0
SIDES = {"left": LEFT, "right": RIGHT}
#: What drifts slowly of its own accord, three numbers each; see ``Actor.drift``.
SPINE, HEAD, PELVIS, LEFT_HAND, RIGHT_HAND, MOOD = range(6)

#: The rest pose (T-pose) of a person of 1.7 m: each joint in its parent's frame, centre line and left side.
REST_OFFSETS = {
    "spine1": (0.0, 0.11, -0.01), "spine2": (0.0, 0.13, 0.0), "spine3": (0.0, 0.06, 0.01),
    "neck": (0.0, 0.20, -0.02), "head": (0.0, 0.11, 0.04),
    "left_hip": (0.09, -0.07, 0.0), "left_knee": (0.0, -0.41, 0.0), "left_ankle": (0.0, -0.40, 0.0),
    "left_foot": (0.0, -0.055, 0.13), "left_collar": (0.07, 0.11, -0.01), "left_shoulder": (0.11, 0.03, -0.01),
    "left_elbow": (0.27, 0.0, 0.0), "left_wrist": (0.25, 0.0, 0.0),
}  # fmt: skip
LEG = 0.81  # hip to ankle, of the same person
BALL_HEIGHT = 0.02  # of the foot joint (the ball of the foot) over the floor when it stands


# ------------------------------------------------------------------------------------------------ curves and points


def wave(phase: Tensor) -> Tensor:
    """A sine that goes through one period per cycle."""
    return torch.sin(2 * math.pi * phase)


def ease(x: Tensor) -> Tensor:
    """0 → 1 with a soft start and a soft end."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def glide(x: Tensor, ramp: float = 0.2) -> Tensor:
    """0 → 1 at constant speed between two soft ends: slower at its fastest than ``ease``, as a swinging foot is."""
    x = x.clamp(0, 1)
    start, end = (ramp - x).clamp(min=0), (x - 1 + ramp).clamp(min=0)
    return (x - ramp / 2 + (start**2 - end**2) / (2 * ramp)) / (1 - ramp)


def curve(phase: Tensor, times, values, slopes=None) -> Tensor:
    """Smooth periodic curve ``[N, F]`` through key frames, flat at its extremes, never overshooting.

    Args:
        phase: ``[N, F]`` cycles.
        times, values: of the key frames, numbers or ``[N, 1]``; times ascend within [0, 1).
        slopes: ``{index: slope}`` where the slope (per cycle) is known. Elsewhere it is 0 at a peak and the harmonic
            mean of the two chords between peaks (Fritsch & Butland 1984).
    """
    times, values = ([torch.as_tensor(x) for x in row] for row in (times, values))
    times, values = [times[-1] - 1, *times, times[0] + 1], [values[-1], *values, values[0]]
    widths, rises = ([b - a for a, b in pairwise(row)] for row in (times, values))
    chords = [rise / width for rise, width in zip(rises, widths, strict=True)]
    means = [2 * a * b / torch.where(a * b > 0, a + b, torch.inf) for a, b in pairwise(chords)]
    means = [(slopes or {}).get(k, mean) for k, mean in enumerate(means)]
    total, means = values[0], [means[-1], *means, means[0]]
    for k, (width, rise) in enumerate(zip(widths, rises, strict=True)):
        s = ((phase % 1 - times[k]) / width).clamp(0, 1)  # a cubic Hermite segment, which in the end has added its rise
        total = total + rise * s * s * (3 - 2 * s) + width * s * (1 - s) * (means[k] * (1 - s) - means[k + 1] * s)
    return total


def vec(x, y, z) -> Tensor:
    """``[..., 3]`` of three numbers or curves."""
    return torch.stack(torch.broadcast_tensors(*(torch.as_tensor(v, dtype=torch.float32) for v in (x, y, z))), -1)


def angles(pitch=0.0, yaw=0.0, roll=0.0) -> Tensor:
    """``[..., 3]`` degrees: pitch bows forward, yaw turns left, roll leans to the right."""
    return vec(pitch, yaw, roll)


def rotation(degrees: Tensor) -> Tensor:
    """``[..., 3]`` (pitch, yaw, roll) → ``[..., 3, 3]``: roll first, then pitch, then yaw."""
    (cp, cy, cr), (sp, sy, sr) = (f(torch.deg2rad(degrees)).unbind(-1) for f in (torch.cos, torch.sin))
    rows = [cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp]
    rows += [cp * sr, cp * cr, -sp]
    rows += [cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def rotate(matrix: Tensor, vector: Tensor) -> Tensor:
    """``[..., 3, 3]``, ``[..., 3]`` → ``[..., 3]``."""
    return (matrix @ vector[..., None])[..., 0]


def two_bone(reach: Tensor, bones, pole: Tensor, rest_bone, rest_hinge) -> tuple[Tensor, Tensor]:
    """Rotations of the two bones of a limb whose end shall be at ``reach`` (law of cosines).

    Args:
        reach: ``[N, F, 3]`` from the limb's root to the target; shortened if out of reach.
        bones: lengths of the upper and the lower bone, ``[N, 1]`` each.
        pole: ``[..., 3]`` the direction to which knee or elbow bends.
        rest_bone, rest_hinge: the directions of bones and hinge axis in the rest pose.

    Returns:
        Two rotations ``[N, F, 3, 3]`` from the rest pose, in the frame of ``reach``.
    """
    upper, lower = bones
    along, distance = torch.nn.functional.normalize(reach, dim=-1), reach.norm(dim=-1)
    distance = torch.maximum(torch.minimum(distance, 0.998 * (upper + lower)), 1.05 * (upper - lower).abs())
    side = torch.nn.functional.normalize(pole - (pole * along).sum(-1, keepdim=True) * along, dim=-1)
    cos = ((upper**2 + distance**2 - lower**2) / (2 * upper * distance))[..., None]
    first = cos * along + (1 - cos**2).sqrt() * side
    second = (distance[..., None] * along - upper[..., None] * first) / lower[..., None]
    hinge = torch.linalg.cross(along, side)
    rest = _frame(torch.tensor(rest_bone), torch.tensor(rest_hinge))
    return _frame(first, hinge) @ rest.mT, _frame(second, hinge) @ rest.mT


def _frame(bone: Tensor, hinge: Tensor) -> Tensor:
    return torch.stack([bone, hinge, torch.linalg.cross(bone, hinge)], -1)


# ------------------------------------------------------------------------------------------------ people


@dataclass
class Actor:
    """N people who do the same action over F frames."""

    offsets: Tensor  # [N, 1, 22, 3] rest pose
    time: Tensor  # [F] seconds
    phase: Tensor  # [N, F] cycles
    tempo: Tensor  # [N, 1] cycles a second
    amplitude: Tensor  # [N, 1] around 1
    tiredness: Tensor  # [N, 1] 0 to 1
    stride: Tensor  # [N, 1] metres a cycle, of those who walk or run
    curvature: Tensor  # [N, 1] degrees a metre, how their path bends to the left
    gravity: Tensor  # [N, 1] m/s²; more for the small, whose metres will shrink
    seeds: Tensor  # [N, 6, 3, 3] uniform numbers behind `drift`

    def __post_init__(self):
        lengths = self.offsets.norm(dim=-1)
        self.leg_bones, self.arm_bones = (
            (lengths[..., JOINT[upper]], lengths[..., JOINT[lower]])
            for upper, lower in (("left_knee", "left_ankle"), ("left_elbow", "left_wrist"))
        )
        self.leg, self.arm = sum(self.leg_bones), sum(self.arm_bones)  # [N, 1]
        self.foot = self.offsets[:, :, JOINT["left_foot"]]  # [N, 1, 3] the ball as seen from the ankle

    def drift(self, what: int) -> Tensor:
        """Slow aimless movement of about ±1, ``[N, F, 3]``: nobody is quite symmetric, nobody keeps quite still."""
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
    """Where the ball of a foot is ``[N, F, 3]``, and how the foot is turned."""

    ball: Tensor
    heel: Tensor | float = 0.0  # heel raised, turning about the ball
    toe: Tensor | float = 0.0  # toes raised, turning about the ankle
    yaw: Tensor | float = 0.0


class Hand(NamedTuple):
    """Where a wrist shall be ``[N, F, 3]`` and the direction to which the elbow bends."""

    wrist: Tensor
    elbow: Tensor

    def to(self, other: "Hand", weight: Tensor) -> "Hand":
        """On the way (``weight`` 0 → 1) from here to another place."""
        return Hand(*(torch.lerp(a, b, weight[..., None]) for a, b in zip(self, other, strict=True)))


def both(limb: Callable[[float], Foot | Hand]) -> list:
    """The left and the right one."""
    return [limb(LEFT), limb(RIGHT)]


class Body:
    """A posed person: trunk and legs first; then the hands, which may need to know where the mouth is.

    Args:
        actor: who it is.
        pelvis: ``[N, F, 3]`` where the pelvis would like to be, seen from where it is in a straight stand.
        feet: left and right.
        tilt, spine, head: ``angles`` of the pelvis, of the spine against the pelvis, and of the head against a
            level gaze. A rotation of the head joint itself would not show, so the neck does it all.
        heading: ``[N, F]``, where the whole person faces.
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
        self._set("neck", rotation(head - 0.7 * (tilt + spine)))  # the eyes keep level while the trunk moves
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
        """The pelvis over the floor, so low that both legs reach their ankles (given as seen from the hips)."""
        actor, (x, y, z) = self.actor, pelvis.unbind(-1)
        straight = actor.leg - actor.foot[..., 1] + BALL_HEIGHT - actor.offsets[:, :, JOINT["left_hip"], 1]
        heights = [straight + y]
        for ankle in ankles:
            away = (ankle[..., 0] - x) ** 2 + (ankle[..., 2] - z) ** 2
            heights.append(ankle[..., 1] + ((0.994 * actor.leg) ** 2 - away).clamp(min=0.01).sqrt())
        sharpness = 200.0  # a soft minimum: no jerk as it sets in
        return vec(x, -torch.logsumexp(-sharpness * torch.stack(heights), 0) / sharpness, z)

    def _shoulder(self, side: float) -> Tensor:
        return self.joints[..., JOINT["left_shoulder" if side == LEFT else "right_shoulder"], :]

    def face(self, x: float, y: float, z: float) -> Tensor:
        """A point that moves with the head, seen from the head joint."""
        head = self.chest @ self.rotations[..., JOINT["neck"], :, :]
        return self.joints[..., JOINT["head"], :] + rotate(head, vec(x, y, z))

    def hold(self, side: float, point: Tensor, elbow=(0.3, -0.6, -0.7)) -> Hand:
        """The hand at a point; ``elbow`` is where the elbow points: out to its own side, up, ahead of the person."""
        return Hand(point, rotate(self.facing, vec(side * elbow[0], *elbow[1:])))

    def reach(self, side: float, out, up, ahead, elbow=(0.3, -0.6, -0.7)) -> Hand:
        """The hand at a place seen from its shoulder, in arm lengths: out to its own side, up, ahead of the person."""
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
            distance = reach.norm(dim=-1)  # held back as the arm gets straight, so that the elbow does not snap
            excess = torch.nn.functional.softplus(distance - 0.96 * self.actor.arm, beta=60.0)
            reach = rotate(self.chest.mT, reach * (1 - excess / distance)[..., None])
            pole = rotate(self.chest.mT, hand.elbow)
            upper, lower = two_bone(reach, self.actor.arm_bones, pole, (side, 0.0, 0.0), (0.0, side, 0.0))
            self._set(f"{name}_shoulder", upper)
            self._set(f"{name}_elbow", upper.mT @ lower)
        return forward_kinematics(self.rotations, self.pelvis, self.actor.offsets)


# ------------------------------------------------------------------------------------------------ stance and gait


def planted(side: float, out=0.10, ahead=0.11, up=0.0, heel=0.0, toes_out=10.0) -> Foot:
    """A foot that stands: its ball ``out`` to its side and ``ahead`` of the origin."""
    return Foot(vec(side * out, BALL_HEIGHT + up, ahead), heel, yaw=side * toes_out)


def stand(actor: Actor, sway=0.0, **pose) -> Body:
    """A person who stands with the feet apart; ``sway`` (metres, + = left) shifts the weight from leg to leg."""
    return Body(actor, vec(sway + 0.02 * actor.drift(MOOD)[..., 0], 0, 0), both(planted), **pose)


def gait(actor: Actor, duty: float, width: float, lift, heel: dict, toe: dict) -> list[Foot]:
    """Both feet of somebody who walks or runs along +z, one ``actor.stride`` a cycle.

    A foot stands for the share ``duty`` of its cycle, then glides to its next place while the pelvis moves evenly.

    Args:
        width: metres from the middle line.
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
    """Lay a straight gait along a gently curved path. What stands still on the line stands still on the arc."""
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


# ------------------------------------------------------------------------------------------------ the twelve actions


PERFORMERS: list["action"] = []  # in the order of this file, which is that of HumanAct12's labels


@dataclass
class action:
    """Decorator: enters a function, from actors to their joints ``[N, F, 22, 3]``, among the actions."""

    tempo: tuple[float, float]  # cycles a second, drawn uniformly between these; two steps are one cycle
    one_sided: bool = False  # done with one side: described with the right one below, mirrored for left-handers
    stride: float = 0.0  # in leg lengths, at amplitude 1

    def __call__(self, perform: Callable[[Actor], Tensor]) -> Callable[[Actor], Tensor]:
        self.perform = perform
        PERFORMERS.append(self)
        return perform


@action(tempo=(0.40, 0.50))
def warm_up(a: Actor) -> Tensor:
    """Side bends with the feet apart: the arm of the far side sweeps over the head, the other slides down the leg."""
    lean = wave(a.phase)
    roll = 37.0 * a.amplitude * lean  # to the right while positive
    feet = both(lambda side: planted(side, out=0.26, toes_out=15.0))
    trunk = {"tilt": angles(roll=0.15 * roll), "spine": angles(roll=0.85 * roll), "head": angles(roll=0.5 * roll)}
    body = Body(a, vec(0.07 * lean, 0, 0), feet, **trunk)

    def arm(side: float) -> Hand:
        raised = ease(0.5 + 0.5 * side * lean)
        angle = torch.deg2rad(12.0 + 158.0 * raised + side * roll * raised)
        return body.reach(side, 0.9 * angle.sin(), -0.9 * angle.cos(), 0.12, elbow=(0.6, -0.2, -0.8))

    return body.with_hands(*both(arm))


@action(tempo=(0.75, 1.00), stride=1.25)
def walk(a: Actor) -> Tensor:
    """Heel strike, roll over the foot, toe-off; arms swing against the legs, the pelvis turns, tips and sways."""
    heel = {0.30: 0.0, 0.60: 42.0, 0.68: 55.0, 0.92: 0.0}
    feet = gait(a, duty=0.62, width=0.065, lift=0.05, heel=heel, toe={0.0: 22.0, 0.12: 0.0, 0.75: 0.0, 0.95: 20.0})
    bob = 0.012 * wave(2 * a.phase - 0.37)  # highest over the standing leg
    pelvis = vec(0.022 * wave(a.phase - 0.05), bob - 0.015, a.stride * (a.phase - a.phase[:, :1]))
    left_ahead = wave(a.phase + 0.25)  # 1 as the left heel strikes
    turned, tip = a.amplitude * left_ahead, 3.0 * wave(a.phase - 0.06)
    tilt, spine = angles(3.0, yaw=-6.0 * turned, roll=tip), angles(2.0, yaw=13.0 * turned, roll=-1.3 * tip)
    body = Body(a, **along_path(a, pelvis, feet), tilt=tilt, spine=spine)

    def arm(side: float) -> Hand:
        forward = -side * left_ahead
        return body.hang(side, swing=2.0 + 24.0 * a.amplitude * forward, elbow=20.0 + 10.0 * forward, out=9.0)

    return body.with_hands(*both(arm))


@action(tempo=(1.20, 1.40), stride=1.35)
def run(a: Actor) -> Tensor:
    """Leaning forward, elbows at a right angle, heels kicked up; both feet in the air twice a cycle."""
    heel = {0.10: 0.0, 0.34: 50.0, 0.50: 85.0, 0.80: 0.0}
    toe = {0.0: 8.0, 0.08: 0.0, 0.70: 0.0, 0.92: 12.0}
    feet = gait(a, duty=0.34, width=0.05, lift=0.24 * a.amplitude, heel=heel, toe=toe)
    bob = 0.85 * a.gravity / (4 * math.pi * a.tempo) ** 2 * wave(2 * a.phase - 0.09)  # its top is a fall under gravity
    pelvis = vec(0.012 * wave(a.phase - 0.02), -0.05 - bob, a.stride * (a.phase - a.phase[:, :1]))
    left_ahead = wave(a.phase + 0.25)
    tilt, spine = angles(8.0, yaw=-9.0 * left_ahead), angles(8.0, yaw=20.0 * left_ahead)
    body = Body(a, **along_path(a, pelvis, feet), tilt=tilt, spine=spine)

    def arm(side: float) -> Hand:
        forward = -side * left_ahead
        return body.hang(side, swing=-8.0 + 28.0 * a.amplitude * forward, elbow=88.0 + 10.0 * forward, out=8.0)

    return body.with_hands(*both(arm))


@action(tempo=(0.50, 0.65))
def jump(a: Actor) -> Tensor:
    """Crouch with the arms back, take off, fly as a stone does, land and give way; on the spot, again and again."""
    depth, tiptoe = 0.26, 0.07
    speed = (2 * a.gravity * 0.20 * a.amplitude).sqrt()  # at take-off, for the height of the jump
    push, flight, landing = 1.7 * (depth + tiptoe) / speed, 2 * speed / a.gravity, 1.7 * depth / speed  # seconds
    crouched = 0.45 * (1 - a.tempo * (push + flight + landing))
    off = crouched + a.tempo * push
    touch = off + a.tempo * flight
    times = (0.0, crouched, off, 0.5 * (off + touch), touch, touch + a.tempo * landing)
    slope = speed / a.tempo  # between these two slopes the cubic is the parabola of free fall
    top = tiptoe + 0.20 * a.amplitude
    rise = curve(a.phase, times, (0.0, -depth, tiptoe, top, tiptoe, -0.8 * depth), slopes={2: slope, 4: -slope})
    bow = curve(a.phase, times, (0.0, 1.0, 0.0, 0.0, 0.1, 0.75))
    heel = curve(a.phase, times, (0.0, 8.0, 52.0, 45.0, 38.0, 0.0))
    airborne = (rise - tiptoe).clamp(min=0)
    feet = both(lambda side: planted(side, out=0.11, up=1.25 * airborne, heel=heel))
    body = Body(a, vec(0, rise - 0.02, -0.10 * bow), feet, tilt=angles(24.0 * bow), spine=angles(22.0 * bow - 3.0))
    swing = curve(a.phase, times, (10.0, -26.0, 38.0, 86.0, 72.0, 25.0))
    elbow = curve(a.phase, times, (20.0, 15.0, 45.0, 35.0, 30.0, 40.0))
    return body.with_hands(*both(lambda side: body.hang(side, swing, elbow, out=14.0)))


@action(tempo=(0.40, 0.55), one_sided=True)
def drink(a: Actor) -> Tensor:
    """Slowly: a cup goes from the waist to the mouth, the head tilts back for the sip, the cup goes down again."""
    lift = curve(a.phase, (0.0, 0.08, 0.38, 0.68), (0.0, 0.0, 1.0, 1.0))
    sip = a.amplitude * curve(a.phase, (0.0, 0.30, 0.50, 0.62, 0.80), (0.0, 0.0, 1.0, 0.9, 0.0))
    body = stand(a, sway=-0.015, spine=angles(-7.0 * sip), head=angles(5.0 - 34.0 * sip))
    mouth = body.face(-0.02, -0.08, 0.17)
    low = body.hold(RIGHT, mouth + vec(-0.06, -0.33 * a.amplitude, 0.05))
    return body.with_hands(body.hang(LEFT), low.to(body.hold(RIGHT, mouth, elbow=(0.8, -0.7, 0.1)), lift))


@action(tempo=(0.45, 0.80))
def lift_dumbbell(a: Actor) -> Tensor:
    """Curls of both arms, elbows at the sides; the trunk leans back a little against the weight."""
    lift = curve(a.phase, (0.0, 0.42, 0.52, 0.95), (0.0, 1.0, 1.0, 0.0))
    body = stand(a, tilt=angles(-2.0), spine=angles(4.0 - 8.0 * lift), head=angles(4.0))
    elbow = 14.0 + 108.0 * a.amplitude * lift
    return body.with_hands(*both(lambda side: body.hang(side, swing=4.0 + 12.0 * lift, elbow=elbow, out=9.0)))


@action(tempo=(0.40, 0.50))
def sit(a: Actor) -> Tensor:
    """Down onto a chair behind (the trunk bows to keep the balance), a while on it with the hands on the thighs, up."""
    down = curve(a.phase, (0.08, 0.40, 0.68, 0.96), (0.0, 1.0, 1.0, 0.0))
    bow = curve(a.phase, (0.06, 0.25, 0.46, 0.62, 0.80, 0.99), (0.0, 1.0, 0.12, 0.12, 1.0, 0.0))
    drop = 0.36 * a.amplitude * a.leg / LEG
    pelvis = vec(0, -drop * down, -(0.06 + 0.85 * drop) * down)
    tilt, spine = angles(24.0 * bow - 6.0 * down), angles(16.0 * bow + 4.0 * down)
    body = Body(a, pelvis, both(planted), tilt=tilt, spine=spine)

    def arm(side: float) -> Hand:
        on_thigh = body.reach(side, out=-0.10, up=-0.66, ahead=0.52)
        return body.hang(side, swing=35.0 * bow, elbow=15.0 + 15.0 * bow).to(on_thigh, down)

    return body.with_hands(*both(arm))


@action(tempo=(0.80, 1.20), one_sided=True)
def eat(a: Actor) -> Tensor:
    """Quickly: one hand holds a bowl before the chest, the other goes from the bowl to the mouth; the head is bowed."""
    bite = curve(a.phase, (0.0, 0.10, 0.45, 0.60), (0.0, 0.0, 1.0, 1.0))
    body = stand(a, spine=angles(9.0 + 2.0 * bite), head=angles(20.0 + 6.0 * bite))
    mouth = body.face(-0.03, -0.07, 0.17)
    bowl = mouth + vec(0, -0.22 * a.amplitude, 0.06)
    spoon = body.hold(RIGHT, bowl).to(body.hold(RIGHT, mouth, elbow=(0.8, -0.7, 0.1)), bite)
    return body.with_hands(body.hold(LEFT, bowl + vec(0.12, -0.06, -0.02)), spoon)


@action(tempo=(0.40, 0.70))
def turn_steering_wheel(a: Actor) -> Tensor:
    """Seated, both hands on a wheel that turns left and right; shoulders and head go into the turn."""
    turned = a.amplitude * curve(a.phase, (0.0, 0.08, 0.50, 0.58), (-1.0, -1.0, 1.0, 1.0))
    feet = both(lambda side: planted(side, out=0.13, ahead=0.72 * a.leg, toes_out=8.0))
    spine, head = angles(3.0, yaw=5.0 * turned, roll=-5.0 * turned), angles(yaw=14.0 * turned, roll=-7.0 * turned)
    body = Body(a, vec(0, -0.5 * a.leg - 0.025, 0), feet, tilt=angles(-6.0), spine=spine, head=head)
    hub = body.pelvis + vec(0, 0.25, 0.40)

    def on_rim(side: float) -> Hand:
        angle = torch.deg2rad(70.0 * turned + 15.0 * side)
        rim = 0.19 * vec(side * angle.cos(), 0.9 * side * angle.sin(), 0.4 * side * angle.sin())
        return body.hold(side, hub + rim, elbow=(0.8, -0.9, -0.2))

    return body.with_hands(*both(on_rim))


@action(tempo=(0.50, 0.80), one_sided=True)
def phone(a: Actor) -> Tensor:
    """One hand stays at the ear and the head tilts to it; the body sways from leg to leg, the free hand talks along."""
    sway = a.amplitude * wave(a.phase)
    talk = a.amplitude * (0.5 + 0.5 * wave(a.phase - 0.1))
    tilt, spine = angles(yaw=4.0 * sway, roll=2.0 * sway), angles(yaw=5.0 * sway, roll=-3.0 * sway)
    body = stand(a, 0.06 * sway, tilt=tilt, spine=spine, head=angles(6.0, yaw=4.0 * sway, roll=14.0))
    ear = body.hold(RIGHT, body.face(-0.11, -0.06, 0.06), elbow=(0.5, -1.0, 0.2))
    return body.with_hands(body.hang(LEFT, swing=2.0 + 14.0 * talk, elbow=18.0 + 48.0 * talk), ear)


@action(tempo=(0.65, 0.95), one_sided=True)
def boxing(a: Actor) -> Tensor:
    """Guard with the right foot and hand leading; a jab with the right, then a cross with the left and the hips."""
    jab = curve(a.phase, (0.06, 0.26, 0.46), (0.0, 1.0, 0.0))
    cross = curve(a.phase, (0.52, 0.74, 0.97), (0.0, 1.0, 0.0))
    rear = planted(LEFT, out=0.13, ahead=-0.16, heel=12.0 + 22.0 * cross, toes_out=38.0 - 40.0 * cross)
    lead = planted(RIGHT, out=0.09, ahead=0.30, toes_out=-10.0)
    pelvis = vec(0, 0.015 * wave(2 * a.phase) - 0.07, 0.02 + 0.05 * jab + 0.06 * cross)
    twist = a.amplitude * (9.0 * jab - 23.0 * cross)
    tilt, spine, head = angles(5.0, yaw=28.0 + twist), angles(9.0, yaw=2.0 + twist), angles(8.0, yaw=-18.0)
    body = Body(a, pelvis, [rear, lead], tilt, spine, head)

    def fist(side: float, thrust: Tensor) -> Hand:
        ahead = 0.36 + (0.12 + 0.42 * a.amplitude) * thrust
        return body.reach(side, -0.12 - 0.18 * thrust, 0.02 + 0.08 * thrust, ahead, elbow=(0.4, -1.0, -0.2))

    return body.with_hands(fist(LEFT, cross), fist(RIGHT, jab))


@action(tempo=(0.40, 0.50), one_sided=True)
def throw(a: Actor) -> Tensor:
    """Overarm with the right hand: wind-up on the rear leg, stride, trunk and arm whip round, follow-through, back."""
    far = a.amplitude
    twist = far * curve(a.phase, (0.0, 0.28, 0.36, 0.60, 0.72), (0.0, -1.0, -1.0, 0.8, 0.8))
    weight = far * curve(a.phase, (0.0, 0.25, 0.55, 0.72), (0.0, -0.5, 1.0, 1.0))
    bow = curve(a.phase, (0.0, 0.30, 0.64, 0.74), (0.0, -0.5, 1.0, 1.0))
    step = far * curve(a.phase, (0.20, 0.42, 0.76, 0.96), (0.0, 1.0, 1.0, 0.0))
    lift = curve(a.phase, (0.16, 0.30, 0.42, 0.76, 0.86, 0.96), (0.0, 1.0, 0.0, 0.0, 0.4, 0.0))
    front = planted(LEFT, ahead=0.14 + 0.30 * step, up=0.12 * lift)
    rear = planted(RIGHT, ahead=-0.12, heel=curve(a.phase, (0.30, 0.62, 0.74), (0.0, 45.0, 45.0)), toes_out=25.0)
    tilt, spine = angles(8.0 * bow, yaw=-8.0 + 18.0 * twist), angles(14.0 * bow, -4.0 + 20.0 * twist, -8.0 * bow)
    body = Body(a, vec(0, -0.05, 0.02 + 0.14 * weight), [front, rear], tilt, spine)

    times = (0.0, 0.18, 0.33, 0.45, 0.56, 0.70, 0.80)
    out = curve(a.phase, times, (-0.20, 0.30, 0.45, 0.25, -0.05, -0.50, -0.35))
    up = curve(a.phase, times, (-0.35, -0.42, 0.30, 0.62, 0.45, -0.45, -0.50))
    ahead = curve(a.phase, times, (0.50, -0.38, -0.50, -0.10, 0.65, 0.60, 0.50))
    point = curve(a.phase, (0.0, 0.33, 0.60, 0.74), (0.5, 1.0, 0.0, 0.0))  # the free hand points at the target
    free = body.reach(LEFT, 0.2 - 0.1 * point, 0.7 * point - 0.6, 0.05 + 0.75 * point)
    elbow = (  # behind in the wind-up, out to the side while the arm is high
        curve(a.phase, times, (0.3, 0.8, 0.9, 0.9, 0.9, 0.4, 0.3)),
        curve(a.phase, times, (-0.6, 0.1, -0.7, -0.7, -0.7, -0.6, -0.6)),
        curve(a.phase, times, (-0.7, -0.6, 0.1, 0.1, 0.1, -0.5, -0.7)),
    )
    return body.with_hands(free, body.reach(RIGHT, out, up, ahead, elbow))


ACTIONS = tuple(entry.perform.__name__ for entry in PERFORMERS)


# ------------------------------------------------------------------------------------------------ the data set


def synthetic_clips(num_clips: int = 1200, seed: int = 0) -> MotionClips:
    """Seeded clips of the twelve actions, labels 0, 1, … 11, 0, 1, …; clip i does not depend on ``num_clips``.

    Returns:
        Clips of 45 to 120 frames that start at a random phase within a metre of the origin. ``factors``, each
        ``[N]`` and uniform unless noted:

        - ``scale`` (1 = 1.7 m); ``legs``, ``arms``, ``torso``, ``shoulders``: proportions around 1;
        - ``tempo`` cycles a second, ``phase`` at the first frame (0 to 1), ``amplitude`` around 1: length of stride,
          height of jump, depth of chair, bowl and cup, bend of trunk or elbow, turn of the wheel, reach of punch or
          throw, sway of who phones;
        - ``side``: +1 left, -1 right for the hand that drinks, eats, phones, throws and for the leading foot of a
          boxer; 0 for the two-sided actions;
        - ``heading`` radians about y, ``tiredness`` 0 (upright) to 1 (back and head bowed);
        - ``speed`` m/s and ``curvature`` (degrees to the left per metre of a person of 1.7 m) of the path, 0 for
          who stays in place; ``speed`` is stride × tempo, so a product of uniform numbers.

    Raises:
        InputError: when ``num_clips`` is not positive.
    """
    if num_clips < 1:
        raise InputError(f"num_clips must be at least 1, it is {num_clips}")
    draws = torch.rand(num_clips, 70, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(num_clips) % len(ACTIONS)
    factors, seeds = _draw_factors(draws[:, :12], labels), draws[:, 16:].unflatten(1, (6, 3, 3))
    frames = torch.where(draws[:, 12] < 0.15, 45 + 15 * draws[:, 13], 60 + (MAX_FRAMES - 59) * draws[:, 13])
    lengths, start = frames.long(), 2 * draws[:, 14:16] - 1
    joints = torch.zeros(num_clips, MAX_FRAMES, len(JOINT), 3)
    for label in labels.unique():
        rows = labels == label
        actor = _actor({name: value[rows] for name, value in factors.items()}, seeds[rows])
        joints[rows] = PERFORMERS[label].perform(actor)
    scale, is_left = factors["scale"][:, None, None, None], factors["side"][:, None, None, None] > 0
    joints = turn(scale * torch.where(is_left, mirror(joints), joints), factors["heading"])
    joints = joints + vec(start[:, 0], 0, start[:, 1])[:, None, None]
    joints = joints * length_mask(lengths, MAX_FRAMES)[..., None, None]
    return MotionClips(joints[:, : lengths.max()], lengths, labels, ACTIONS, f"synthetic:{num_clips}", factors)


def tiny_example() -> Tensor:
    """The course's small fixed example: a jump in eight frames, ``[1, 8, 22, 3]`` metres, four frames a second."""
    jumper = ACTIONS.index("jump")
    return face_forward(synthetic_clips(jumper + 1).joints[-1:, : 8 * 5 : 5])


def _draw_factors(draws: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The factors ``[N]`` of ``synthetic_clips`` from uniform numbers ``[N, 12]``."""
    actions = [PERFORMERS[label] for label in labels]
    slowest, fastest = torch.tensor([a.tempo for a in actions]).unbind(1)
    one_sided, stride = torch.tensor([a.one_sided for a in actions]), torch.tensor([a.stride for a in actions])
    factors = {
        "scale": 0.88 + 0.24 * draws[:, 0],
        "legs": 0.94 + 0.12 * draws[:, 1],
        "arms": 0.94 + 0.12 * draws[:, 2],
        "torso": 0.94 + 0.12 * draws[:, 3],
        "shoulders": 0.90 + 0.20 * draws[:, 4],
        "tempo": torch.lerp(slowest, fastest, draws[:, 5]),
        "phase": draws[:, 6],
        "amplitude": 0.75 + 0.50 * draws[:, 7],
        "side": torch.where(draws[:, 8] < 0.5, LEFT, RIGHT).where(one_sided, 0.0),
        "heading": math.pi * (2 * draws[:, 9] - 1),
        "tiredness": draws[:, 10],
        "curvature": (24 * draws[:, 11] - 12) * (stride > 0),
    }
    leg = LEG * factors["scale"] * factors["legs"]
    return factors | {"speed": stride * factors["amplitude"] * leg * factors["tempo"]}


def _actor(factors: dict[str, Tensor], seeds: Tensor) -> Actor:
    f = {name: value[:, None] for name, value in factors.items()}
    actor = Actor(
        offsets=rest_offsets(*(factors[name] for name in ("legs", "arms", "torso", "shoulders"))),
        time=(time := torch.arange(MAX_FRAMES) / FPS),
        phase=f["phase"] + f["tempo"] * time,
        stride=f["speed"] / (f["tempo"] * f["scale"]),
        gravity=GRAVITY / f["scale"],
        seeds=seeds,
        **{name: f[name] for name in ("tempo", "amplitude", "tiredness", "curvature")},
    )
    wobble = actor.drift(MOOD)[..., 1]
    actor.phase = actor.phase + 0.012 * (wobble - wobble[:, :1])  # nobody is a metronome
    return actor
