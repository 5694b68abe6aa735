"""A checkpoint measured as the papers on HumanAct12 measure: their recogniser, their draws, their table beside it.

The protocol is that of MDM's evaluation code (Tevet et al. 2023), which has it from ACTOR (Petrovich et al. 2021) and
Action2Motion (Guo et al. 2020). What differs here, so that the figures are still not quite theirs, stands on the card.
"""

import math
from dataclasses import replace

import torch
from tqdm import tqdm

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.data.humanact12 import HUMANACT12_ACTIONS
from mdm_lib.errors import InputError
from mdm_lib.evaluation.action2motion import HAND, NUM_FRAMES, Action2Motion
from mdm_lib.evaluation.judge import BATCH_SIZE, OF_THE_RECOGNISER, Judge, Motions, about_model, made_like
from mdm_lib.evaluation.scorecard import Scorecard, summarise
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.sampling import Sampling, as_sampling
from mdm_lib.words import plain_whole

#: Repetitions and motions in each, of the papers.
SEEDS, SAMPLES = 20, 1000
#: Table 3 of MDM (Tevet et al. 2023), as printed there.
_TABLE_3 = {
    "paper: real": ("0.990", "0.050", "6.88", "2.59"),
    "MDM": ("0.990", "0.100", "6.86", "2.52"),
    "MDM, no foot loss": ("0.990", "0.080", "6.81", "2.58"),
    "ACTOR": ("0.955", "0.120", "6.84", "2.53"),
    "INR": ("0.973", "0.088", "6.88", "2.57"),
}
TABLE_3 = {
    column: dict(zip(("recognised", "FID", "diversity", "multimodality"), figures, strict=True))
    for column, figures in _TABLE_3.items()
}
#: What differs here, and how it is in MDM's code.
DIFFERENCES = {
    "hands": f"forearms lengthened by {HAND:g}, as this skeleton has no hand joints (papers: SMPL's hand joints)",
    "bodies": "as in the data (papers: SMPL's mean body)",
    "heading": "all face the camera in their first frame (papers: as in the data)",
    "length": f"a motion as long as the real clip, then its last pose up to {NUM_FRAMES} frames (papers: all "
    f"{NUM_FRAMES} made)",
    "first state of the GRU": "zero (papers: random)",
}


def evaluate_as_papers(
    checkpoint: Checkpoint, clips: MotionClips, recogniser: Action2Motion, *, num_seeds: int = SEEDS,
    num_samples: int = SAMPLES, sampling: Sampling | None = None, **options,
) -> Scorecard:  # fmt: skip
    """FID, accuracy, diversity and multimodality, by the protocol of the papers on HumanAct12.

    Each repetition draws ``num_samples`` of the clips without replacement, so that the actions have the shares that
    they have in the data, and a random window of 60 frames of each. The model makes motions of the same actions, and
    their FID is against these windows. The column *real* has another such draw in the model's place: from the same
    clips, and so mostly of the same motions. So do the papers; against unseen motion FID would be higher.

    Args:
        clips: HumanAct12Poses, or other motion of its twelve actions; a program that makes some makes fresh ones.
        recogniser: from ``load_action2motion``.
        num_seeds: repetitions; the papers have 20.
        num_samples: motions in each; the papers have 1,000. At most as many as there are clips.
        sampling: how the motions are made, without frames, lengths and seed; or its fields by name.

    Raises:
        InputError: for a checkpoint or clips of other actions, joints or rate, or for too few clips, motions or seeds.
    """
    for what, each in (("checkpoint", checkpoint), ("data", clips)):
        _check(what, each.label_names, each.skeleton, each.fps)
    num_seeds = plain_whole("num_seeds", num_seeds, 1)
    judge = Judge(clips, recogniser, NUM_FRAMES, num_samples, measures=OF_THE_RECOGNISER)
    num_samples = min(num_samples, len(judge.everything))
    sampling = replace(as_sampling(sampling, options).planned(checkpoint), num_frames=NUM_FRAMES)
    made, real = [], []
    with tqdm(total=num_seeds * math.ceil(num_samples / BATCH_SIZE), leave=False, disable=None) as bar:
        for seed in range(num_seeds):
            reference, other = (_draw(judge, num_samples, 2 * seed + n) for n in (0, 1))
            real.append(judge.score(other, reference, seed))
            made.append(judge.score(made_like(reference, judge, checkpoint, sampling, seed, bar), reference, seed))
    about = about_model(checkpoint, sampling) | _about(judge, recogniser, num_seeds, num_samples)
    return Scorecard(about, summarise(made, real, real_as_mean=True), TABLE_3, _note(clips))


def _check(what: str, label_names: tuple[str, ...], skeleton: Skeleton, fps: float) -> None:
    own = "measure it with the recogniser that evaluate trains by itself"
    if tuple(label_names) != HUMANACT12_ACTIONS:
        raise InputError(
            f"Action2Motion's recogniser is for HumanAct12's actions, in this order: {', '.join(HUMANACT12_ACTIONS)}; "
            f"the {what} has {', '.join(label_names)[:300]}; {own}"
        )
    if skeleton.joint_names != SMPL22.joint_names or fps != FPS:
        raise InputError(
            f"Action2Motion's recogniser is for SMPL's joints at {FPS} frames a second; the {what} has "
            f"{skeleton.num_joints} joints at {fps:g}; {own}"
        )


def _draw(judge: Judge, num_samples: int, seed: int) -> Motions:
    """A random window of each of ``num_samples`` different clips."""
    order = torch.randperm(len(judge.everything), generator=torch.Generator().manual_seed(seed))
    return judge.windows(judge.everything, order[:num_samples], seed)


def _about(judge: Judge, recogniser: Action2Motion, num_seeds: int, num_samples: int) -> dict[str, str]:
    source = f"{judge.everything.source}, {len(judge.everything)} clips"
    return {
        "real motion": source + (", made afresh" if judge.maker else ""),
        "recogniser": recogniser.about,
        "samples": f"N = {num_samples} (papers: {SAMPLES:,}), mean of {num_seeds} repetitions (papers: {SEEDS}) and "
        "its 95 % interval; actions as in the data; real: another draw from the same clips",
        "windows": f"{NUM_FRAMES} frames of a clip, drawn at random; shorter clips hold their last pose",
        **DIFFERENCES,
    }


def _note(clips: MotionClips) -> str:
    if clips.source.startswith("HumanAct12Poses"):
        return (
            "The columns after real are table 3 of MDM (Tevet et al. 2023). As far as this real column is that of the "
            "paper, the figures can be compared."
        )
    return (
        "The columns after real are table 3 of MDM (Tevet et al. 2023), on HumanAct12Poses. This is other motion "
        f"({clips.source}), for which the recogniser was not made: compare with this real column."
    )
