"""The embedded data set: seeded clips of the twelve actions, with the factors that generated them."""

import math

import torch
from torch import Tensor

from mdm_lib.data.synthetic.actions import ACTIONS, PERFORMERS
from mdm_lib.data.synthetic.body import GRAVITY, LEFT, LEG, MAX_FRAMES, MOOD, RIGHT, Actor, rest_offsets
from mdm_lib.data.synthetic.curves import vec
from mdm_lib.data.synthetic.factors import estimate_factors
from mdm_lib.errors import InputError
from mdm_lib.motion.clips import ClipMaker, MotionClips
from mdm_lib.motion.geometry import FPS, face_forward, length_mask, mirror, turn
from mdm_lib.motion.skeleton import JOINT

# ------------------------------------------------------------------------------------------------ the data set


def synthetic_clips(num_clips: int = 1200, seed: int = 0) -> MotionClips:
    """Seeded clips of the twelve actions, labels 0, 1, … 11, 0, 1, …; clip i does not depend on ``num_clips``.

    Returns:
        Clips of 45 to 120 frames that start at a random phase within a metre of the origin. ``factors``, each
        ``[N]`` and uniform unless noted:

        - ``scale`` (1 = 1.7 m); ``legs``, ``arms``, ``torso``, ``shoulders``: proportions around 1;
        - ``tempo`` cycles per second, ``phase`` at the first frame (0 to 1), ``amplitude`` around 1: length of
          stride, height of jump, depth of chair, bowl and cup, bend of trunk or elbow, turn of the wheel, reach of
          punch or throw, sway while phoning;
        - ``side``: +1 left, -1 right: the hand used to drink, eat, phone or throw, or a boxer's leading foot; 0 for
          the two-sided actions;
        - ``heading`` radians about y, ``tiredness`` 0 (upright) to 1 (back and head bowed);
        - ``speed`` m/s and ``curvature`` (degrees to the left per metre for a person 1.7 m tall) of the path, 0 for
          people who stay in place; ``speed`` is stride × tempo, a product of uniform numbers.

    Raises:
        InputError: if ``num_clips`` is not positive.
    """
    if num_clips < 1:
        raise InputError(f"num_clips must be at least 1, not {num_clips}")
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
    return MotionClips(
        joints[:, : lengths.max()], lengths, labels, ACTIONS, f"synthetic:{num_clips}", factors, maker=MAKER
    )


def tiny_example() -> Tensor:
    """The course's small fixed example: a jump in eight frames, ``[1, 8, 22, 3]`` metres, four frames per second."""
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
    actor.phase = actor.phase + 0.012 * (wobble - wobble[:, :1])  # the tempo varies slightly
    return actor


MAKER = ClipMaker(synthetic_clips, estimate_factors)
