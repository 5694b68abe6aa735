"""The embedded data set: procedurally generated motion of HumanAct12's twelve actions.

Clips are made as an animator would make them: curves over the phase of the action move pelvis, trunk, feet and
hands; two-bone inverse kinematics turns feet and hands into joint rotations; forward kinematics turns these into
joints. Bones therefore keep their length and planted feet stay in place. Body, tempo, amplitude, side and direction
are drawn at random and kept in ``MotionClips.factors``, so that one can test whether a model has learnt their
distribution.

Three actions are deliberately similar: *drink* (slow; hand from the waist to the mouth, head tilts back), *eat*
(quick; one hand holds a bowl, the other moves between bowl and mouth, head bowed) and *phone* (hand stays at the
ear, head tilts to it, the body sways). They differ in the height of the hands, the rhythm and the head.

In this module: y up, the person faces +z, left is +x; angles in degrees; lengths in metres for a person 1.7 m tall
(``synthetic_clips`` scales the finished joints). With ``N`` clips of ``F`` frames, curves are ``[N, F]``, values that
are constant in a clip ``[N, 1]``, and points ``[N, F, 3]``. A plain number applies to all clips.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mdm_lib.data.synthetic.body import LEFT, LEG, RIGHT, Actor, Body, Hand, along_path, both, gait, planted, stand
from mdm_lib.data.synthetic.curves import angles, curve, ease, vec, wave

# ------------------------------------------------------------------------------------------------ the twelve actions


PERFORMERS: list["action"] = []  # in the order of this file, which is that of HumanAct12's labels


@dataclass
class action:
    """Decorator: registers a function from an ``Actor`` to joints ``[N, F, 22, 3]`` as an action."""

    tempo: tuple[float, float]  # cycles per second, drawn uniformly from this range; two steps are one cycle
    one_sided: bool = False  # uses one side: defined below for the right one, mirrored for left-handers
    stride: float = 0.0  # in leg lengths, at amplitude 1

    def __call__(self, perform: Callable[[Actor], Tensor]) -> Callable[[Actor], Tensor]:
        self.perform = perform
        PERFORMERS.append(self)
        return perform


@action(tempo=(0.40, 0.50))
def warm_up(a: Actor) -> Tensor:
    """Side bends with the feet apart: the arm on the far side sweeps over the head, the other slides down the leg."""
    lean = wave(a.phase)
    roll = 37.0 * a.amplitude * lean  # positive: to the right
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
    """Heel strike, roll over the foot, toe-off; arms swing opposite to the legs, the pelvis turns, tilts and sways."""
    heel = {0.30: 0.0, 0.60: 42.0, 0.68: 55.0, 0.92: 0.0}
    feet = gait(a, duty=0.62, width=0.065, lift=0.05, heel=heel, toe={0.0: 22.0, 0.12: 0.0, 0.75: 0.0, 0.95: 20.0})
    bob = 0.012 * wave(2 * a.phase - 0.37)  # highest over the stance leg
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
    bob = 0.85 * a.gravity / (4 * math.pi * a.tempo) ** 2 * wave(2 * a.phase - 0.09)  # free fall at its top
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
    """Crouch with the arms back, take off, free flight, land and bend the knees; repeated on the spot."""
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
    """Slow: a cup moves from the waist to the mouth, the head tilts back for the sip, the cup moves down again."""
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
    """Sit down on a chair behind (the trunk bends to keep balance), rest with the hands on the thighs, stand up."""
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
    """Quick: one hand holds a bowl in front of the chest, the other moves between bowl and mouth; the head is bowed."""
    bite = curve(a.phase, (0.0, 0.10, 0.45, 0.60), (0.0, 0.0, 1.0, 1.0))
    body = stand(a, spine=angles(9.0 + 2.0 * bite), head=angles(20.0 + 6.0 * bite))
    mouth = body.face(-0.03, -0.07, 0.17)
    bowl = mouth + vec(0, -0.22 * a.amplitude, 0.06)
    spoon = body.hold(RIGHT, bowl).to(body.hold(RIGHT, mouth, elbow=(0.8, -0.7, 0.1)), bite)
    return body.with_hands(body.hold(LEFT, bowl + vec(0.12, -0.06, -0.02)), spoon)


@action(tempo=(0.40, 0.70))
def turn_steering_wheel(a: Actor) -> Tensor:
    """Seated, both hands on a wheel that turns left and right; shoulders and head follow the turn."""
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
    """One hand stays at the ear and the head tilts to it; the body sways from leg to leg, the free hand gestures."""
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
    """Overarm throw with the right hand: wind-up on the rear leg, stride, trunk and arm swing, follow-through."""
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
