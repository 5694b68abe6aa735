"""The embedded data set: plausible bodies, planted feet, and factors that can be read from the joints again."""

import pytest
import torch

from mdm_lib.data.humanact12 import HUMANACT12_ACTIONS
from mdm_lib.data.synthetic.actions import ACTIONS
from mdm_lib.data.synthetic.body import GRAVITY
from mdm_lib.data.synthetic.clips import synthetic_clips
from mdm_lib.data.synthetic.curves import curve, two_bone
from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import FPS, heading, turn
from mdm_lib.motion.skeleton import JOINT, bone_lengths

SEEDS = (0, 1, 2)
LEFT_WRIST, RIGHT_WRIST, LEFT_FOOT, RIGHT_FOOT = (
    JOINT[name] for name in ("left_wrist", "right_wrist", "left_foot", "right_foot")
)


@pytest.fixture(scope="module")
def data():
    return {seed: synthetic_clips(480, seed) for seed in SEEDS}


@pytest.fixture(params=SEEDS)
def clips(request, data):
    return data[request.param]


def test_labels_are_those_of_humanact12_balanced_and_interleaved(clips):
    assert ACTIONS == (
        "warm_up", "walk", "run", "jump", "drink", "lift_dumbbell",
        "sit", "eat", "turn_steering_wheel", "phone", "boxing", "throw",
    )  # fmt: skip
    assert clips.label_names == ACTIONS
    assert clips.labels[:14].tolist() == [*range(12), 0, 1]
    assert clips.labels.bincount().tolist() == [40] * 12


def test_the_same_seed_gives_the_same_clips():
    first, again, other = synthetic_clips(24, seed=3), synthetic_clips(24, seed=3), synthetic_clips(24, seed=4)
    assert torch.equal(first.joints, again.joints)
    assert not torch.equal(first.lengths, other.lengths)


def test_a_clip_does_not_depend_on_how_many_there_are():
    few, many = synthetic_clips(12, seed=3), synthetic_clips(40, seed=3)
    assert torch.equal(few.lengths, many.lengths[:12])
    frames = few.joints.shape[1]
    torch.testing.assert_close(few.joints, many.joints[:12, :frames], atol=1e-5, rtol=0)


def test_no_clips_is_an_error():
    with pytest.raises(InputError):
        synthetic_clips(0)


def test_lengths_vary_and_some_clips_are_short(clips):
    assert clips.lengths.min() >= 45 and clips.lengths.max() <= 120
    assert 0.05 < (clips.lengths < 60).float().mean() < 0.25
    assert (clips.joints[~clips.mask] == 0).all()


def test_bones_keep_their_length_and_persons_differ(clips):
    bones = bone_lengths(clips.joints)
    assert ((bones - bones[:, :1]).abs()[clips.mask] < 1e-4).all()
    assert bones[:, 0].sum(-1).std() > 0.1


def test_nobody_is_below_the_floor_and_feet_rest_on_it(clips):
    assert clips.joints[..., 1][clips.mask].min() >= 0
    foot = clips.joints[:, :, [LEFT_FOOT, RIGHT_FOOT], 1].flatten(2).masked_fill(~clips.mask[..., None], torch.inf)
    lowest = foot.flatten(1).min(1).values
    assert lowest.min() > 0.01 and lowest.max() < 0.03


@pytest.mark.parametrize("action", ACTIONS)
def test_movement_is_smooth_and_feet_do_not_slide(clips, action):
    some = clips.select(clips.labels == ACTIONS.index(action))
    joints, valid = some.joints, some.mask[:, 2:]
    velocity = joints.diff(dim=1)
    assert velocity.norm(dim=-1)[some.mask[:, 1:]].max() < 0.25
    assert velocity.diff(dim=1).norm(dim=-1)[valid].max() < 0.20  # metres a frame²; a jumper's knees at take-off

    feet = joints[:, :, [LEFT_FOOT, RIGHT_FOOT]]
    resting = feet[..., 1] < 0.02 * some.factors["scale"][:, None, None] + 0.01
    stance = resting[:, 1:] & resting[:, :-1] & some.mask[:, 1:, None]
    slide = 100 * feet.diff(dim=1)[..., ::2].norm(dim=-1)[stance]
    assert slide.median() <= 0.2 and slide.quantile(0.95) <= 1.0


def fold(joints, upper, middle, lower):
    """The leftward axis about which the lower bone turns against the upper one, seen by the person."""
    start, bend, end = (relative(joints)[..., JOINT[name], :] for name in (upper, middle, lower))
    return torch.linalg.cross(bend - start, end - bend)[..., 0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_knees_fold_backward_and_elbows_forward(clips, side):
    assert fold(clips.joints[clips.mask], f"{side}_hip", f"{side}_knee", f"{side}_ankle").min() > 0
    for action in ("walk", "run", "lift_dumbbell", "sit"):
        some = clips.select(clips.labels == ACTIONS.index(action))
        assert fold(some.joints[some.mask], f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist").max() < 0


def test_a_jump_is_a_free_fall(clips):
    jumps = clips.select(clips.labels == ACTIONS.index("jump"))
    height, foot = jumps.joints[:, :, 0, 1], jumps.joints[:, :, LEFT_FOOT, 1]
    flying = (foot > 0.08) & jumps.mask
    flying = flying[:, 2:] & flying[:, 1:-1] & flying[:, :-2]
    fall = height.diff(dim=1).diff(dim=1)[flying] * FPS**2
    assert abs(fall.mean() + GRAVITY) < 0.5


def test_runners_fly_and_walkers_do_not(clips):
    def airborne(action):
        some = clips.select(clips.labels == ACTIONS.index(action))
        ankles = some.joints[:, :, [JOINT["left_ankle"], JOINT["right_ankle"]], 1]
        return (ankles.min(-1).values > 0.11 * some.factors["scale"][:, None])[some.mask].float().mean()

    assert airborne("run") > 0.1
    assert airborne("walk") < 0.02


# ---------------------------------------------------------------------------- factors are visible in the joints


def relative(joints):
    """``[F, 22, 3]`` as seen from the pelvis of a person who faces +z."""
    return turn((joints - joints[:, :1])[:, None], -heading(joints))[:, 0]


def estimate_tempo(joints, low, high):
    """The frequency whose first three harmonics explain most of the motion."""
    signal = torch.cat([relative(joints).flatten(1), joints[:, 0, 1:2]], 1)
    seconds = torch.arange(len(joints)) / FPS
    tempi = torch.linspace(0.9 * low, 1.1 * high, 40)
    angle = 2 * torch.pi * tempi[:, None, None] * seconds[:, None] * torch.tensor([1, 2, 3])
    basis, _ = torch.linalg.qr(torch.cat([torch.ones_like(angle[..., :1]), angle.sin(), angle.cos()], -1))
    return tempi[(basis.mT @ (signal - signal.mean(0))).square().sum((1, 2)).argmax()]


def span(x):
    return x.max() - x.min()


#: What a reader would measure to see the amplitude; joints ``[F, 22, 3]`` of a person of standard size.
AMPLITUDE = {
    "warm_up": lambda j: span(torch.atan2(relative(j)[:, JOINT["neck"], 0], relative(j)[:, JOINT["neck"], 1])),
    "walk": lambda j: span(relative(j)[:, LEFT_FOOT, 2]) / leg(j),
    "run": lambda j: span(relative(j)[:, LEFT_FOOT, 2]) / leg(j),
    "jump": lambda j: span(j[:, LEFT_FOOT, 1]),
    "drink": lambda j: max(span(j[:, LEFT_WRIST, 1]), span(j[:, RIGHT_WRIST, 1])),
    "lift_dumbbell": lambda j: -(j[:, JOINT["left_shoulder"]] - j[:, LEFT_WRIST]).norm(dim=-1).min() / arm(j),
    "sit": lambda j: span(j[:, 0, 1]) / leg(j),
    "eat": lambda j: max(span(j[:, LEFT_WRIST, 1]), span(j[:, RIGHT_WRIST, 1])),
    "turn_steering_wheel": lambda j: span(torch.atan2(*hand_to_hand(j)[:, [1, 0]].unbind(-1))),
    "phone": lambda j: max(span(relative(j)[:, LEFT_WRIST, 2]), span(relative(j)[:, RIGHT_WRIST, 2])) / arm(j),
    "boxing": lambda j: (j[:, JOINT["left_shoulder"]] - j[:, LEFT_WRIST]).norm(dim=-1).max() / arm(j),
    "throw": lambda j: span((j[:, LEFT_FOOT] - j[:, RIGHT_FOOT])[:, ::2].norm(dim=-1)),
}


def hand_to_hand(joints):
    return relative(joints)[:, LEFT_WRIST] - relative(joints)[:, RIGHT_WRIST]


def leg(joints):
    return (joints[0, JOINT["left_knee"]] - joints[0, JOINT["left_ankle"]]).norm()


def arm(joints):
    return (joints[0, JOINT["left_elbow"]] - joints[0, LEFT_WRIST]).norm()


def correlation(estimates, truth):
    return torch.corrcoef(torch.stack([torch.stack(estimates), truth]))[0, 1]


@pytest.mark.parametrize("action", ACTIONS)
def test_tempo_and_amplitude_can_be_read_from_the_joints(clips, action):
    some = clips.select(clips.labels == ACTIONS.index(action))
    tempo, motions = some.factors["tempo"], [j[:n] for j, n in zip(some.joints, some.lengths, strict=True)]
    assert correlation([estimate_tempo(m, tempo.min(), tempo.max()) for m in motions], tempo) > 0.9
    sized = [m / scale for m, scale in zip(motions, some.factors["scale"], strict=True)]
    assert correlation([AMPLITUDE[action](m) for m in sized], some.factors["amplitude"]) > 0.9


def test_walking_speed_can_be_read_from_the_pelvis(clips):
    moving = clips.select(clips.factors["speed"] > 0)
    assert {ACTIONS[label] for label in moving.labels.unique()} == {"walk", "run"}
    step = moving.joints[:, :, 0, ::2].diff(dim=1).norm(dim=-1) * moving.mask[:, 1:]
    speed = list(step.sum(1) / (moving.lengths - 1) * FPS)
    assert correlation(speed, moving.factors["speed"]) > 0.99


@pytest.mark.parametrize("action", ["drink", "eat", "phone", "boxing", "throw"])
def test_side_can_be_read_from_the_joints(clips, action):
    some = clips.select(clips.labels == ACTIONS.index(action))
    correct = 0
    for joints, length, side in zip(some.joints, some.lengths, some.factors["side"], strict=True):
        seen = relative(joints[:length])
        ahead = (seen[:, LEFT_FOOT, 2] - seen[:, RIGHT_FOOT, 2]).mean()
        higher = seen[:, LEFT_WRIST, 1].max() - seen[:, RIGHT_WRIST, 1].max()
        correct += bool((ahead if action == "boxing" else higher).sign() == side)
    assert correct >= 39  # of 40


def test_every_factor_is_spread_over_its_range(clips):
    assert set(clips.factors["side"].tolist()) == {-1.0, 0.0, 1.0}
    for name, value in clips.factors.items():
        assert value.shape == (len(clips),) and value.isfinite().all(), name
    for name, low, high in (("amplitude", 0.75, 1.25), ("scale", 0.88, 1.12), ("tiredness", 0.0, 1.0)):
        share = (clips.factors[name] - low) / (high - low)
        assert share.histc(4, 0, 1).min() > 0.17 * len(clips), name


# ---------------------------------------------------------------------------- the tools


def test_a_curve_meets_its_keys_and_does_not_overshoot():
    times, values = (0.1, 0.4, 0.5, 0.9), (0.0, 1.0, 1.0, -2.0)
    phase = torch.linspace(-1, 2, 3001)[None]
    line = curve(phase, times, values)
    torch.testing.assert_close(curve(torch.tensor([times]), times, values), torch.tensor([values]))
    assert line.min() >= -2 and line.max() <= 1
    assert line.diff().abs().max() < 0.02  # no jump, not even where a cycle ends


def test_two_bones_end_at_their_target():
    reach = 0.3 * torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0)).clamp(-0.8, 0.8)
    upper, lower = torch.full((5, 1), 0.5), torch.full((5, 1), 0.45)
    first, second = two_bone(reach, (upper, lower), torch.tensor([0.3, 0.2, 1.0]), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))
    down = torch.tensor([0.0, -1.0, 0.0])
    torch.testing.assert_close(0.5 * first @ down + 0.45 * second @ down, reach, atol=1e-5, rtol=0)
    torch.testing.assert_close(first @ first.mT, torch.eye(3).expand(5, 7, 3, 3), atol=1e-5, rtol=0)


def test_the_actions_are_humanact12s_in_its_order():
    assert ACTIONS == HUMANACT12_ACTIONS
