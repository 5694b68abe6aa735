"""Factors of the synthetic motion, estimated from joints: has a model learnt the distribution of tempo and the like?

The factors of a synthetic clip are known; a generated motion has only joints, so its factors are estimated by analysis
by synthesis. For each action ``READINGS`` names one curve that depends on them, such as the distance between a
walker's feet. The generator gives this curve over a cycle for every tempo and amplitude, and the estimate is the tempo
and amplitude whose curve is closest to that of the motion, by least squares. A little more than one cycle is enough.

All motions are scaled to the standard person: lengths are divided by the body's size, times by its square root, which
leaves gravity unchanged (Froude scaling: a small person's jump is shorter in time).

``N`` motions of one action, ``F`` frames, ``C`` candidates: curves are ``[N, F]``, candidate values ``[N, C]``.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mdm_lib.data.synthetic.actions import ACTIONS, PERFORMERS
from mdm_lib.data.synthetic.body import GRAVITY, LEFT, LEG, REST_OFFSETS, RIGHT, SIDES, Actor, rest_offsets
from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import FPS, face_forward, length_mask, mirror
from mdm_lib.motion.skeleton import JOINT, NUM_JOINTS, bone_lengths

MIN_FRAMES = 20  # one second; about half a cycle of the slowest actions
#: Tempi are searched from the data's slowest / MARGIN to its fastest × MARGIN, since a model may be outside its range.
MARGIN = 1.25
NUM_TEMPI, NUM_PHASES, NUM_ZOOMS = 20, 20, 5  # the search grid, and how often its cell is halved
UP, AHEAD = 1, 2


# ------------------------------------------------------------------------------------------------ the curves


def vector(joints: Tensor, start: str, end: str) -> Tensor:
    """Vector from one joint to another: ``[..., 22, 3]`` → ``[..., 3]``."""
    return joints[..., JOINT[end], :] - joints[..., JOINT[start], :]


def limb_length(joints: Tensor, root: str, middle: str, end: str) -> Tensor:
    """Length of both bones of an arm or leg, mean of left and right: ``[..., 22, 3]`` → ``[...]``."""
    bones = [(f"{side}_{a}", f"{side}_{b}") for side in SIDES for a, b in ((root, middle), (middle, end))]
    return sum(vector(joints, *bone).norm(dim=-1) for bone in bones) / 2


def stride(joints: Tensor) -> Tensor:
    """How far the left foot is ahead of the right one, in leg lengths."""
    return vector(joints, "right_foot", "left_foot")[..., AHEAD] / limb_length(joints, "hip", "knee", "ankle")


def elbow_bend(joints: Tensor, side: str) -> Tensor:
    """Angle by which an elbow is bent, radians."""
    upper, lower = vector(joints, f"{side}_shoulder", f"{side}_elbow"), vector(joints, f"{side}_elbow", f"{side}_wrist")
    return torch.atan2(torch.linalg.cross(upper, lower).norm(dim=-1), (upper * lower).sum(-1))


def slope(joints: Tensor, start: str, end: str) -> Tensor:
    """Angle between the ground and the line through two joints, seen from the front, radians; 0 points to the left."""
    line = vector(joints, start, end)
    return torch.atan2(line[..., 1], line[..., 0])


def free_hand(joints: Tensor) -> Tensor:
    """Height of the left wrist, of the hand without the phone, above its shoulder, in arm lengths."""
    return vector(joints, "left_shoulder", "left_wrist")[..., UP] / limb_length(joints, "shoulder", "elbow", "wrist")


def punch(joints: Tensor) -> Tensor:
    """How much farther the leading (right) fist is from its shoulder than the other, in arm lengths."""
    left, right = (vector(joints, f"{side}_shoulder", f"{side}_wrist").norm(dim=-1) for side in SIDES)
    return (right - left) / limb_length(joints, "shoulder", "elbow", "wrist")


class Reading(NamedTuple):
    """How the factors of an action are read."""

    #: Joints ``[N, F, 22, 3]`` (from ``at_standard_size``, performed with the right side) → ``[N, F]``.
    curve: Callable[[Tensor], Tensor]
    #: The side is that of the joint that reaches farther along the axis: (joint, axis).
    leads: tuple[str, int] | None = None


READINGS = {
    "warm_up": Reading(lambda joints: slope(joints, "pelvis", "neck")),
    "walk": Reading(stride),
    "run": Reading(stride),
    "jump": Reading(lambda joints: joints[..., JOINT["pelvis"], UP]),
    "drink": Reading(lambda joints: vector(joints, "neck", "right_wrist")[..., UP], leads=("wrist", UP)),
    "lift_dumbbell": Reading(lambda joints: elbow_bend(joints, "left") + elbow_bend(joints, "right")),
    "sit": Reading(lambda joints: joints[..., JOINT["pelvis"], UP] / limb_length(joints, "hip", "knee", "ankle")),
    "eat": Reading(lambda joints: vector(joints, "left_wrist", "right_wrist")[..., UP], leads=("wrist", UP)),
    "turn_steering_wheel": Reading(lambda joints: slope(joints, "right_wrist", "left_wrist")),
    "phone": Reading(free_hand, leads=("wrist", UP)),
    "boxing": Reading(punch, leads=("foot", AHEAD)),
    "throw": Reading(lambda joints: vector(joints, "right_foot", "left_foot")[..., AHEAD], leads=("wrist", UP)),
}


# ------------------------------------------------------------------------------------------------ the estimate


def estimate_factors(joints: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Estimate tempo, amplitude, side and speed of motions of the twelve synthetic actions, from joints and labels.

    Compare estimates on generated motion with estimates on data, not with the true factors, so that common errors
    cancel. The factors of a motion that does not show the action of its label are meaningless.

    Args:
        joints: ``[N, F, 22, 3]`` metres, y up, 20 frames per second, as from ``MotionClips`` or ``generate``.
        lengths: ``[N]`` number of real frames, at least ``MIN_FRAMES``. Half a cycle is too short for an estimate.
        labels: ``[N]`` indices into ``synthetic.ACTIONS``.

    Returns:
        ``[N]`` each, with names and meanings as in ``synthetic_clips``:

        - ``tempo`` cycles per second, searched up to a factor ``MARGIN`` beyond the data's slowest and fastest;
        - ``amplitude``, 0 or more; 1 is the mean of the data;
        - ``side`` +1 left, -1 right; 0 for the two-sided actions;
        - ``speed`` m/s of the pelvis over the ground for *walk* and *run*; 0 for the others, which stay in place.

    Raises:
        InputError: if a shape, length or label does not fit, or a coordinate is not finite.
    """
    _check(joints, lengths, labels)
    mask = length_mask(lengths, joints.shape[1])
    factors = {name: torch.zeros(len(joints), device=joints.device) for name in ("tempo", "amplitude", "side", "speed")}
    for label in labels.unique().tolist():
        for rows in (labels == label).nonzero()[:, 0].split(32):  # few at a time, since each has many candidates
            for name, value in _estimate(label, joints[rows].float(), mask[rows]).items():
                factors[name][rows] = value
    return factors


def _check(joints: Tensor, lengths: Tensor, labels: Tensor) -> None:
    if joints.dim() != 4 or joints.shape[2:] != (NUM_JOINTS, 3):
        raise InputError(f"joints must be [motions, frames, {NUM_JOINTS}, 3], not {list(joints.shape)}")
    for name, value in {"lengths": lengths, "labels": labels}.items():
        if value.shape != joints.shape[:1]:
            raise InputError(f"{name} must be [{len(joints)}], one per motion, not {list(value.shape)}")
    checks = {
        f"has a length outside {MIN_FRAMES} to {joints.shape[1]} frames": (lengths < MIN_FRAMES)
        | (lengths > joints.shape[1]),
        f"has a label outside 0 to {len(ACTIONS) - 1}": (labels < 0) | (labels >= len(ACTIONS)),
        "has NaN or infinite coordinates": ~joints.isfinite().flatten(1).all(1),
    }
    for complaint, bad in checks.items():
        if bad.any():
            raise InputError(f"motion {int(bad.nonzero()[0])} {complaint}; leave it out")


def _estimate(label: int, joints: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The factors ``[N]`` of motions of one action."""
    reading, travels = READINGS[ACTIONS[label]], PERFORMERS[label].stride > 0
    seen, size = at_standard_size(joints, mask)
    side = leading_side(seen, mask, *reading.leads) if reading.leads else torch.zeros_like(size)
    seen = torch.where((side == LEFT)[:, None, None, None], mirror(seen), seen)  # as the generator defines it
    curve = torch.where(mask, reading.curve(seen), 0.0)
    tempo, amplitude = fit_cycle(label, curve, mask, size.sqrt())
    speed = pelvis_speed(joints, mask) if travels else torch.zeros_like(size)
    return {"tempo": tempo, "amplitude": amplitude, "side": side, "speed": speed}


def at_standard_size(joints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Motions relative to the ground under the pelvis, each frame facing +z, scaled to a person 1.7 m tall.

    Returns:
        joints ``[N, F, 22, 3]``, and the size that they were divided by, ``[N]`` (1 = 1.7 m). It is measured at hips,
        feet and neck, whose proportion to body height is the same for everyone.
    """
    bones = ("left_hip", "right_hip", "left_foot", "right_foot", "head")
    standard = sum(math.hypot(*REST_OFFSETS[bone.replace("right", "left")]) for bone in bones)
    size = bone_lengths(joints)[..., [JOINT[bone] - 1 for bone in bones]].sum(-1) / standard  # the pelvis has no bone
    size = (size * mask).sum(1) / mask.sum(1)
    seen = face_forward(joints.flatten(0, 1)[:, None]).view_as(joints)  # each frame as a separate motion
    return seen / size[:, None, None, None], size


def leading_side(seen: Tensor, mask: Tensor, joint: str, axis: int) -> Tensor:
    """+1 where the left joint's maximum along an axis is larger than the right joint's, else -1, ``[N]``."""
    left, right = (seen[:, :, JOINT[f"{side}_{joint}"], axis].where(mask, -torch.inf).amax(1) for side in SIDES)
    return torch.where(left > right, LEFT, RIGHT)


def pelvis_speed(joints: Tensor, mask: Tensor) -> Tensor:
    """Mean ground speed, ``[N]`` m/s, from displacements over half a second, so that jitter and sway add little."""
    chord = FPS // 2
    way = (joints[:, chord:, 0] - joints[:, :-chord, 0])[..., ::2].norm(dim=-1) * mask[:, chord:]
    return way.sum(1) / mask[:, chord:].sum(1) * FPS / chord


# ------------------------------------------------------------------------------------------------ the fit


def fit_cycle(label: int, curve: Tensor, mask: Tensor, time_unit: Tensor) -> tuple[Tensor, Tensor]:
    """The tempo and amplitude, ``[N]`` each, whose curve from the generator is closest to the given one.

    Tempo and phase are searched on a grid, then on successively smaller grids around the best point.

    Args:
        curve, mask: ``[N, F]``.
        time_unit: ``[N]`` seconds per second of the standard person.
    """
    middle = (mask.sum(1, keepdim=True) - 1) / 2  # the phase is defined there, so that it does not depend on the tempo
    time = (torch.arange(mask.shape[1], device=mask.device) - middle) / FPS / time_unit[:, None]
    tempi, phases = torch.linspace(*_tempo_range(label), NUM_TEMPI), torch.arange(NUM_PHASES) / NUM_PHASES
    candidates = torch.cartesian_prod(tempi, phases).to(curve).expand(len(curve), -1, -1)  # [N, C, 2]
    cell = torch.stack([tempi[1] - tempi[0], phases[1]]).to(curve)
    around = torch.cartesian_prod(*[torch.linspace(-1, 1, 5)] * 2).to(curve)
    for zoom in range(NUM_ZOOMS + 1):
        misfit, amplitude = _compare(label, curve, mask, time, candidates)
        best = misfit.argmin(1)[:, None]
        found = candidates.take_along_dim(best[..., None], 1)
        candidates = found + around * cell / 2**zoom
    return found[:, 0, 0] / time_unit, amplitude.gather(1, best)[:, 0]


def _compare(label: int, curve: Tensor, mask: Tensor, time: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Misfit of the generator's curve to the given one at the best amplitude, and that amplitude, ``[N, C]`` each.

    Amplitude and a constant offset enter linearly, so they need no search (Golub & Pereyra 1973).
    """
    tempo, phase = candidates[..., None].unbind(2)
    cycles = (phase + tempo * time[:, None]) % 1
    low, high = _tempo_range(label)
    row = (2 * (tempo - low) / (high - low) - 1).expand_as(cycles)  # grid_sample counts both axes from -1 to 1
    places = torch.stack([2 * cycles - 1, row], -1).flatten(0, 1)[None]
    cycle = _cycle(label).to(curve)[None]
    sampled = torch.nn.functional.grid_sample(cycle, places, padding_mode="border", align_corners=True)
    mean, change = sampled[0].unflatten(1, candidates.shape[:2])  # [N, C, F]

    weight = (mask / mask.sum(1, keepdim=True))[:, None]
    rest, change = (x - (weight * x).sum(-1, keepdim=True) for x in (curve[:, None] - mean, change))
    squares, product = (weight * change**2).sum(-1), (weight * change * rest).sum(-1)
    more = (product / squares).clamp(min=-1)  # a negative amplitude would be the opposite phase
    return (weight * rest**2).sum(-1) - 2 * more * product + more**2 * squares, 1 + more


def _tempo_range(label: int) -> tuple[float, float]:
    slowest, fastest = PERFORMERS[label].tempo
    return slowest / MARGIN, fastest * MARGIN


@lru_cache
def _cycle(label: int, num_tempi: int = 8, num_phases: int = 96) -> Tensor:
    """One cycle of an action's curve for the standard person, ``[2, tempi, phases]``.

    The first is the mean over amplitudes, the second the change per unit of amplitude (linear regression).
    Phases run from 0 to 1, both included.
    """
    tempi, amplitudes = torch.linspace(*_tempo_range(label), num_tempi), torch.linspace(0.75, 1.25, 5)
    tempo, amplitude = torch.cartesian_prod(tempi, amplitudes)[..., None].unbind(1)
    ones = torch.ones_like(tempo)
    person = Actor(
        offsets=rest_offsets(*ones.expand(-1, 4).unbind(1)),
        time=torch.zeros(num_phases + 1),
        phase=torch.linspace(0, 1, num_phases + 1).expand(len(tempo), -1),
        tempo=tempo,
        amplitude=amplitude,
        tiredness=0.5 * ones,
        stride=PERFORMERS[label].stride * LEG * amplitude,
        curvature=torch.zeros_like(tempo),
        gravity=GRAVITY * ones,
        seeds=torch.full((len(tempo), 6, 3, 3), 0.5),  # no drift at time 0
    )
    joints = PERFORMERS[label].perform(person)
    seen, _ = at_standard_size(joints, torch.ones(joints.shape[:2]))
    curves = READINGS[ACTIONS[label]].curve(seen).unflatten(0, (num_tempi, -1))
    more = (amplitudes - 1)[:, None]
    return torch.stack([curves.mean(1), (more * curves).sum(1) / more.square().sum()])
