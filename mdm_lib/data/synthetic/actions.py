"""The embedded data set: procedurally generated motion of HumanAct12's twelve actions.

Clips are made as an animator would make them: curves over the phase of the action move pelvis, trunk, feet and
hands; two-bone inverse kinematics turns feet and hands into joint rotations; forward kinematics turns these into
joints. Bones therefore keep their length and planted feet stay in place. Body, tempo, amplitude, side and direction
are drawn at random and kept in ``MotionClips.factors``, so that one can test whether a model has learnt their
distribution.

In four actions a hand goes to the head: *drink* (standing; a cup from a table to the mouth, slowly, the head tilts
back), *eat* (seated; bite after bite from a plate, the head bowed), *phone* (standing; the hand stays at the ear, the
head tilts to it, the body sways) and *throw* (a cycle of a second and a pause). *sit*, *eat* and
*turn_steering_wheel* share the chair; only *sit* leaves it.

In this module: y up, the person faces +z, left is +x; angles in degrees; lengths in metres for a person 1.7 m tall
(``synthetic_clips`` scales the finished joints). With ``N`` clips of ``F`` frames, curves are ``[N, F]``, values that
are constant in a clip ``[N, 1]``, and points ``[N, F, 3]``. A plain number applies to all clips.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mdm_lib.data.synthetic.body import (
    LEFT,
    LEG,
    RIGHT,
    Actor,
    Body,
    Hand,
    along_path,
    both,
    gait,
    planted,
    seated,
    stand,
)
from mdm_lib.data.synthetic.curves import angles, curve, ease, vec, wave

# ------------------------------------------------------------------------------------------------ the twelve actions


PERFORMERS: list["action"] = []  # in the order of this file, which is that of HumanAct12's labels


@dataclass
class action:
    """Decorator: registers a function from an ``Actor`` to joints ``[N, F, 22, 3]`` as an action."""

    tempo: tuple[float, float]  # cycles per second, drawn uniformly from this range; two steps are one cycle
    side: float = 0.0  # the one that right-handers use; defined below for RIGHT, mirrored for LEFT; 0: two-sided
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


@action(tempo=(0.75, 1.00), stride=1.3)
def walk(a: Actor) -> Tensor:
    """Heel strike, roll over the foot, toe-off; arms swing opposite to the legs, the pelvis turns, tilts and sways."""
    heel = {0.34: 0.0, 0.50: 15.0, 0.62: 52.0, 0.68: 60.0, 0.92: 0.0}
    feet = gait(a, duty=0.60, width=0.065, lift=0.05, heel=heel, toe={0.0: 22.0, 0.12: 0.0, 0.75: 0.0, 0.95: 20.0})
    bob = 0.012 * wave(2 * a.phase - 0.37)  # highest over the stance leg
    pelvis = vec(0.022 * wave(a.phase - 0.05), bob - 0.015, a.stride * (a.phase - a.phase[:, :1]))
    left_ahead = wave(a.phase + 0.25)  # 1 as the left heel strikes
    turned, tip = a.amplitude * left_ahead, 3.0 * wave(a.phase - 0.06)
    tilt, spine = angles(-1.0, yaw=-6.0 * turned, roll=tip), angles(-1.0, 10.0 * turned, roll=-1.3 * tip)
    body = Body(a, **along_path(a, pelvis, feet), tilt=tilt, spine=spine)

    def arm(side: float) -> Hand:
        forward = -side * left_ahead
        return body.hang(side, swing=1.0 + 20.0 * a.amplitude * forward, elbow=17.0 + 8.0 * forward, out=9.0)

    return body.with_hands(*both(arm))


@action(tempo=(1.20, 1.40), stride=1.6)
def run(a: Actor) -> Tensor:
    """Leaning forward, elbows at a right angle, heels kicked up; both feet in the air twice a cycle."""
    heel = {0.12: 0.0, 0.36: 45.0, 0.54: 75.0, 0.82: 0.0}
    toe = {0.0: 8.0, 0.08: 0.0, 0.70: 0.0, 0.92: 12.0}
    feet = gait(a, duty=0.36, width=0.05, lift=0.21 * a.amplitude, heel=heel, toe=toe)
    bob = 0.85 * a.gravity / (4 * math.pi * a.tempo) ** 2 * wave(2 * a.phase - 0.09)  # free fall at its top
    pelvis = vec(0.012 * wave(a.phase - 0.02), -0.035 - bob, a.stride * (a.phase - a.phase[:, :1]))
    left_ahead = wave(a.phase + 0.25)
    tilt, spine = angles(8.0, yaw=-9.0 * left_ahead), angles(8.0, yaw=20.0 * left_ahead)
    body = Body(a, **along_path(a, pelvis, feet), tilt=tilt, spine=spine)

    def arm(side: float) -> Hand:
        forward = -side * left_ahead
        return body.hang(side, swing=-8.0 + 26.0 * a.amplitude * forward, elbow=88.0 + 10.0 * forward, out=8.0)

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


@action(tempo=(0.38, 0.50), side=RIGHT)
def drink(a: Actor) -> Tensor:
    """Slow: a cup moves from a table to the mouth, elbow and cup rise and the head tilts back to sip; down again."""
    lift = curve(a.phase, (0.04, 0.32, 0.70, 0.96), (0.0, 1.0, 1.0, 0.0))
    sip = a.amplitude * curve(a.phase, (0.26, 0.42, 0.60, 0.74), (0.0, 1.0, 1.0, 0.0))
    bow = 1 - lift  # over the table, the eyes on the cup
    spine, head = angles(7.0 * bow - 7.0 * sip, yaw=4.0 * bow), angles(16.0 * bow - 24.0 * sip)
    body = stand(a, sway=-0.02 * lift, tilt=angles(4.0 * bow - 2.0 * sip), spine=spine, head=head)
    mouth = body.face(-0.08, -0.09 + 0.03 * sip, 0.18)
    table = mouth.mean(1, keepdim=True) + vec(-0.05, -0.42 * a.amplitude, 0.10)
    tipped = (0.6 + 0.2 * sip, -0.9 + 0.25 * sip, 0.1)
    cup = body.hold(RIGHT, table, elbow=(0.4, -0.8, -0.5)).to(body.hold(RIGHT, mouth, elbow=tipped), lift)
    return body.with_hands(body.hang(LEFT, swing=2.0 + 6.0 * bow), cup)


@action(tempo=(0.45, 0.80))
def lift_dumbbell(a: Actor) -> Tensor:
    """Curls of both arms, elbows at the sides; the trunk leans back a little against the weight."""
    lift = curve(a.phase, (0.0, 0.42, 0.52, 0.95), (0.0, 1.0, 1.0, 0.0))
    body = stand(a, tilt=angles(-2.0), spine=angles(4.0 - 8.0 * lift), head=angles(4.0))
    elbow = 14.0 + 108.0 * a.amplitude * lift
    return body.with_hands(*both(lambda side: body.hang(side, swing=4.0 + 12.0 * lift, elbow=elbow, out=9.0)))


@action(tempo=(0.22, 0.32))
def sit(a: Actor) -> Tensor:
    """Bow and sit down on a chair behind, rest upright with the hands on the thighs, lean over the feet, stand up."""
    back = curve(a.phase, (0.03, 0.28, 0.71, 0.95), (0.0, 1.0, 1.0, 0.0))
    down = curve(a.phase, (0.05, 0.33, 0.69, 0.96), (0.0, 1.0, 1.0, 0.0))
    bow = curve(a.phase, (0.00, 0.20, 0.42, 0.57, 0.73, 0.97), (0.0, 1.0, 0.0, 0.0, 1.0, 0.0))
    drop = 0.37 * a.amplitude * a.leg / LEG
    pelvis = vec(0, -drop * down, -(0.05 + 0.85 * drop) * back)
    tilt, spine = angles(25.0 * bow - 8.0 * down), angles(16.0 * bow + 6.0 * down)
    body = Body(a, pelvis, both(lambda side: planted(side, out=0.13, toes_out=14.0)), tilt, spine, angles(6.0 * bow))
    rest = curve(a.phase, (0.05, 0.32, 0.75, 0.97), (0.0, 1.0, 1.0, 0.0))

    def arm(side: float) -> Hand:
        return body.hang(side, swing=32.0 * bow, elbow=14.0 + 12.0 * bow).to(body.on_thigh(side), rest)

    return body.with_hands(*both(arm))


@action(tempo=(0.55, 0.80), side=RIGHT)
def eat(a: Actor) -> Tensor:
    """Seated at a table: one hand holds the plate, the other takes bite after bite to the mouth, which comes nearer."""
    bite = curve(a.phase, (0.04, 0.18, 0.52, 0.64), (0.0, 0.0, 1.0, 1.0))
    chew = 1.5 * (1 - bite) * wave(3 * a.phase)
    spine, head = angles(10.0 + 6.0 * bite, yaw=-3.0 * bite, roll=2.0 * bite), angles(15.0 + 4.0 * bite + chew)
    body = seated(a, ahead=0.62, tilt=angles(4.0 + 3.0 * bite), spine=spine, head=head)
    mouth = body.face(-0.06, -0.06, 0.16)
    plate = mouth.mean(1, keepdim=True) + vec(0, -0.29 * a.amplitude, 0.14)
    food = body.hold(RIGHT, plate, elbow=(0.6, -0.8, -0.4)).to(body.hold(RIGHT, mouth, elbow=(0.8, -0.8, 0.1)), bite)
    return body.with_hands(body.hold(LEFT, plate + vec(0.20, 0, -0.06), elbow=(0.7, -0.7, -0.3)), food)


@action(tempo=(0.40, 0.70))
def turn_steering_wheel(a: Actor) -> Tensor:
    """Seated, both hands on a wheel that turns left and right; shoulders and head follow the turn."""
    turned = a.amplitude * curve(a.phase, (0.0, 0.08, 0.50, 0.58), (-1.0, -1.0, 1.0, 1.0))
    spine, head = angles(3.0, yaw=5.0 * turned, roll=-5.0 * turned), angles(yaw=14.0 * turned, roll=-7.0 * turned)
    body = seated(a, ahead=0.72, tilt=angles(-6.0), spine=spine, head=head)
    hub = body.pelvis + vec(0, 0.25, 0.40)

    def on_rim(side: float) -> Hand:
        angle = torch.deg2rad(70.0 * turned + 15.0 * side)
        rim = 0.19 * vec(side * angle.cos(), 0.9 * side * angle.sin(), 0.4 * side * angle.sin())
        return body.hold(side, hub + rim, elbow=(0.8, -0.9, -0.2))

    return body.with_hands(*both(on_rim))


@action(tempo=(0.50, 0.80), side=LEFT)  # the right hand stays free
def phone(a: Actor) -> Tensor:
    """One hand stays at the ear and the head tilts to it; the body sways from leg to leg, the free hand gestures."""
    sway = a.amplitude * wave(a.phase)
    talk = a.amplitude * (0.5 + 0.5 * wave(a.phase - 0.1))
    tilt, spine = angles(yaw=4.0 * sway, roll=2.0 * sway), angles(yaw=5.0 * sway, roll=-3.0 * sway)
    body = stand(a, 0.06 * sway, tilt=tilt, spine=spine, head=angles(6.0, yaw=4.0 * sway, roll=14.0))
    ear = body.hold(RIGHT, body.face(-0.11, -0.06, 0.06), elbow=(0.7, -1.0, 0.5))
    return body.with_hands(body.hang(LEFT, swing=2.0 + 12.0 * talk, elbow=16.0 + 46.0 * talk), ear)


@action(tempo=(0.65, 0.95), side=LEFT)  # the orthodox stance
def boxing(a: Actor) -> Tensor:
    """Guard with the right foot and hand leading; a jab with the right, then a cross with the left and the hips."""
    jab = curve(a.phase, (0.08, 0.24, 0.44), (0.0, 1.0, 0.0))
    cross = curve(a.phase, (0.50, 0.69, 0.92), (0.0, 1.0, 0.0))
    rear = planted(LEFT, out=0.13, ahead=-0.16, heel=12.0 + 22.0 * cross, toes_out=38.0 - 40.0 * cross)
    lead = planted(RIGHT, out=0.09, ahead=0.30, toes_out=-10.0)
    pelvis = vec(0, 0.015 * wave(2 * a.phase) - 0.07, 0.02 + 0.05 * jab + 0.06 * cross)
    twist = a.amplitude * (9.0 * jab - 23.0 * cross)
    tilt, spine, head = angles(4.0, yaw=14.0 + twist), angles(7.0, yaw=2.0 + twist), angles(8.0, yaw=-8.0)
    body = Body(a, pelvis, [rear, lead], tilt, spine, head)

    def fist(side: float, guard: float, thrust: Tensor) -> Hand:  # from the chin
        ahead = guard + (0.50 - guard + 0.42 * a.amplitude) * thrust
        return body.reach(side, -0.16 - 0.14 * thrust, 0.14 - 0.02 * thrust, ahead, elbow=(0.4, -1.0, -0.2))

    return body.with_hands(fist(LEFT, 0.32, cross), fist(RIGHT, 0.44, jab))


@action(tempo=(0.36, 0.50), side=RIGHT)
def throw(a: Actor) -> Tensor:
    """Overarm throw: turn away on the rear leg, stride, then hips, shoulders and arm follow one another forward."""
    far = a.amplitude
    hips = far * curve(a.phase, (0.10, 0.28, 0.33, 0.54, 0.64, 0.86), (0.0, -1.0, -1.0, 0.5, 0.5, 0.0))
    shoulders = far * curve(a.phase, (0.10, 0.30, 0.35, 0.61, 0.67, 0.86), (0.0, -1.0, -1.0, 0.8, 0.8, 0.0))
    weight = far * curve(a.phase, (0.08, 0.28, 0.54, 0.64, 0.86), (0.0, -0.6, 1.0, 1.0, 0.0))
    bow = curve(a.phase, (0.10, 0.35, 0.62, 0.67, 0.87), (0.0, -0.5, 1.0, 1.0, 0.0))
    step = far * curve(a.phase, (0.22, 0.40, 0.66, 0.82), (0.0, 1.0, 1.0, 0.0))
    lift = curve(a.phase, (0.16, 0.29, 0.42, 0.64, 0.74, 0.84), (0.0, 1.0, 0.0, 0.0, 0.6, 0.0))
    heel = curve(a.phase, (0.36, 0.58, 0.65, 0.82), (0.0, 55.0, 55.0, 0.0))
    front = planted(LEFT, ahead=0.16 + 0.32 * step, up=0.12 * lift, toes_out=5.0)
    rear = planted(RIGHT, ahead=-0.04, heel=heel, toes_out=30.0 - 0.6 * heel)
    tilt, spine = angles(3.0 + 10.0 * bow, yaw=28.0 * hips), angles(2.0 + 16.0 * bow, 26.0 * shoulders, -8.0 * bow)
    body = Body(a, vec(0, -0.02 - 0.03 * weight.abs(), 0.04 + 0.16 * weight), [front, rear], tilt, spine)

    # from the side past the ribs to behind the ear, cocked, over the head, released, across the other thigh, and back
    times = (0.10, 0.21, 0.30, 0.37, 0.46, 0.53, 0.63, 0.69, 0.87)
    out = curve(a.phase, times, (0.15, 0.35, 0.55, 0.60, 0.50, 0.20, -0.30, -0.35, 0.15))
    up = curve(a.phase, times, (-0.88, -0.40, 0.15, 0.42, 0.58, 0.35, -0.45, -0.65, -0.88))
    ahead = curve(a.phase, times, (0.25, 0.15, -0.15, -0.25, 0.15, 0.70, 0.65, 0.50, 0.25))
    elbow = (  # behind, then out to the side and below the hand
        curve(a.phase, times, (0.3, 0.6, 0.5, 0.8, 0.9, 0.9, 0.8, 0.7, 0.3)),
        curve(a.phase, times, (-0.1, -0.3, -0.9, -0.6, -0.4, -0.5, -0.5, -0.2, -0.1)),
        curve(a.phase, times, (-1.0, -0.9, -0.3, 0.0, -0.1, -0.2, -0.2, -0.5, -1.0)),
    )
    thrower = body.reach(RIGHT, out, up, ahead, elbow, body.chest)
    point = curve(a.phase, (0.12, 0.32, 0.37, 0.54), (0.0, 1.0, 1.0, 0.0))  # the free hand, at the target
    near = curve(a.phase, (0.42, 0.57, 0.66, 0.86), (0.0, 1.0, 1.0, 0.0))  # then pulled in to the ribs
    free = body.hang(LEFT, elbow=18.0).to(body.reach(LEFT, 0.2, -0.55, 0.15, frame=body.chest), near)
    return body.with_hands(free.to(body.reach(LEFT, 0.05, -0.1, 0.85), point), thrower)


ACTIONS = tuple(entry.perform.__name__ for entry in PERFORMERS)
