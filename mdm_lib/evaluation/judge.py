"""How good a checkpoint is: its motions against real ones, every figure beside what real motion itself scores.

For every seed, two disjoint halves A and B of the real clips are drawn, one window a clip, with equally many clips of
each action. B against A is the floor: what a perfect model would score. The model then makes B again, the same actions
and lengths, and that against A is its figure. (If the actions of the halves were drawn freely, their different shares
would make up most of the floor and hide what a model does badly.)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.errors import InputError
from mdm_lib.evaluation import measures, physics
from mdm_lib.evaluation.memory import nearest_clip
from mdm_lib.evaluation.recogniser import VERSION, Recogniser, Recognition, load_recogniser, train_recogniser
from mdm_lib.evaluation.scorecard import Scorecard, Scores, summarise
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.windows import random_windows
from mdm_lib.sampling import Sampling, as_sampling, generate
from mdm_lib.words import plain_seed, plain_whole

MAX_SAMPLES = 600
NUM_SPLITS = 10
BATCH_SIZE = 128
#: Of a data set that a program makes, fresh clips are made to judge by (number, seed), others to train a recogniser on.
FRESH_CLIPS, RECOGNISER_CLIPS = (1200, 101), (2400, 102)


class Recognises(Protocol):
    """What a judge asks: joints ``[N, F, J, 3]`` and lengths ``[N]`` → logits ``[N, actions]``, features ``[N, D]``."""

    def recognise(self, joints: Tensor, lengths: Tensor) -> Recognition: ...


class Motions(NamedTuple):
    """N motions, and what the recogniser says of them."""

    joints: Tensor  # [N, F, J, 3]
    lengths: Tensor  # [N]
    labels: Tensor  # [N]
    logits: Tensor | None  # [N, actions]
    features: Tensor | None  # [N, D]


class Case(NamedTuple):
    """What a measure looks at: motions of a model, or real ones in their place, beside a real half."""

    judge: "Judge"
    motions: Motions
    reference: Motions
    seed: int


@dataclass(frozen=True)
class Measure:
    """One line of the scorecard, or several that are computed together.

    Args:
        score: ``(case) -> {(measure, action): figure}``; the action "" stands for all together.
        needs: what the judge must have for it: a ``"recogniser"``, ``"feet"``, ``"unseen"`` clips that are not among
            those of the halves, ``"factors"`` that can be read from the data's motions.
        real: which real motions stand in for the model's in the column *real*: the other ``"half"``, the ``"unseen"``
            or the ``"training"`` clips, each with other windows for every seed; or the unseen clips ``"once"``.
    """

    score: Callable[[Case], Scores]
    needs: frozenset[str] = frozenset()
    real: str = "half"


class Judge:
    """The real motion of a data set, and a list of measures: scores motions, always in the same way.

    Args:
        clips: the whole data set. Its held-out clips alone are too few to draw halves from, so the halves come from
            all clips, and what only unseen clips can tell (recognition, memorisation, a second FID) is told by the
            held-out ones. If a program makes the data, all clips to judge by are made afresh.
        recogniser: whatever has ``recognise``, trained on other clips than those it judges, see ``judge_for``;
            ``None``: nothing is measured that needs one.
        num_frames: the window.
        num_samples: motions in a half, about; at most half of each action's clips.
        measures: what is measured, by default ``MEASURES``; those for which something is lacking are left out.
    """

    def __init__(
        self, clips: MotionClips, recogniser: Recognises | None, num_frames: int, num_samples: int = MAX_SAMPLES,
        measures: Sequence[Measure] | None = None,
    ):  # fmt: skip
        self.label_names, self.skeleton, self.fps = clips.label_names, clips.skeleton, clips.fps
        self.recogniser, self.maker = recogniser, clips.maker
        self.num_frames, num_samples = plain_whole("num_frames", num_frames, 2), plain_whole("num_samples", num_samples)
        self.everything = judged_clips(clips)
        self.per_action = samples_per_action(self.everything, num_samples)
        self.training, held_out = clips.split()
        self.held_out = self.everything if clips.maker else held_out
        unseen = self.held_out.labels.bincount(minlength=len(self.label_names))
        self.per_action_unseen = self.per_action.minimum(unseen)
        self.num_batches = math.ceil(int(self.per_action.sum()) / BATCH_SIZE)
        self.unseen = self.windows(self.held_out, seed=0)
        self.whole = self.windows(self.everything, seed=0)
        has = {
            "recogniser": recogniser is not None,
            "feet": self.skeleton.feet,
            "unseen": not clips.maker,
            "factors": clips.maker,
        }
        has = {name for name, there in has.items() if there}
        self.measures = [measure for measure in measures or MEASURES if measure.needs <= has]
        once = Case(self, self.unseen, self.unseen, seed=0)
        self._once = {m: m.score(once) for m in self.measures if m.real == "once"}

    def look_at(self, joints: Tensor, lengths: Tensor, labels: Tensor) -> Motions:
        """Motions with what the recogniser says of them."""
        seen = self.recogniser.recognise(joints, lengths) if self.recogniser else (None, None)
        return Motions(joints, lengths, labels, *seen)

    def windows(self, clips: MotionClips, index: Tensor | None = None, seed: int = 0) -> Motions:
        """A random window of each clip at ``index``, of all by default."""
        index = torch.arange(len(clips)) if index is None else index
        generator = torch.Generator().manual_seed(seed)
        joints, mask, labels = random_windows(clips, index, self.num_frames, with_mirror=False, generator=generator)
        return self.look_at(joints, mask.sum(1), labels)

    def halves(self, seed: int) -> tuple[Motions, Motions]:
        """Two disjoint sets of real motions, A and B, one window a clip, with the same actions in the same order."""
        first, second = draw(self.everything.labels, self.per_action, seed, sets=2)
        return self.windows(self.everything, first, 2 * seed), self.windows(self.everything, second, 2 * seed + 1)

    def score(self, motions: Motions, reference: Motions, seed: int) -> Scores:
        """All figures of a model's motions, against a real half with the same actions in the same order."""
        case, scores = Case(self, motions, reference, seed), {}
        for measure in self.measures:
            scores |= measure.score(case)
        return scores

    def score_real(self, motions: Motions, reference: Motions, seed: int) -> Scores:
        """The same of real motions: a half for what compares halves, unseen or training clips elsewhere."""
        stand_ins, scores = {"half": motions}, {}
        for measure in self.measures:
            if measure.real == "once":
                scores |= self._once[measure]
                continue
            if measure.real not in stand_ins:
                clips = self.training if measure.real == "training" else self.held_out
                stand_ins[measure.real] = self.windows(clips, seed=seed)
            scores |= measure.score(Case(self, stand_ins[measure.real], reference, seed))
        return scores

    def means(self, values: Tensor, labels: Tensor) -> dict[str, float]:
        """The mean of values ``[N]`` over all motions, under "", and over those of each action."""
        means = {"": float(values.nanmean())}
        for label in labels.unique():
            means[self.label_names[label]] = float(values[labels == label].nanmean())
        return means

    def distance(self, motions: Motions) -> Tensor:
        """How far each motion is from the nearest training clip, ``[N]`` metres."""
        return nearest_clip(*motions[:3], self.training).distance

    @cached_property
    def unseen_distance(self) -> tuple[Tensor, Tensor]:
        """Of unseen real motions: the median distance of each action, and how near only one in a hundred comes to it.

        Each distance is divided by the median of its action, as people who stand still are near to all others who do.
        """
        distance, labels = self.distance(self.unseen), self.unseen.labels
        typical = torch.ones(len(self.label_names))
        for label in labels.unique():
            typical[label] = distance[labels == label].median()
        return typical, (distance / typical[labels]).quantile(0.01)


# The measures -------------------------------------------------------------------------------------------------------


def _of_all(name: str, score: Callable[[Case], float], *needs: str) -> Measure:
    """A measure that is one number."""
    return Measure(lambda case: {(name, ""): float(score(case))}, frozenset(needs))


def _over_real(name: str, measure: Callable[..., Tensor]) -> Measure:
    """A measure ``[N]`` of joints, by action, as a ratio to that of real motion."""

    def score(case: Case) -> Scores:
        judge, motions, whole = case.judge, case.motions, case.judge.whole
        expected = judge.means(measure(*whole[:2], judge.fps), whole.labels)
        means = judge.means(measure(*motions[:2], judge.fps), motions.labels)
        return {(name, action): mean / expected[action] for action, mean in means.items()}

    return Measure(score)


def _recognised(case: Case) -> Scores:
    """Accuracy, overall and by action."""
    is_right = (case.motions.logits.argmax(1) == case.motions.labels).double()
    return {("recognised", action): mean for action, mean in case.judge.means(is_right, case.motions.labels).items()}


def _below_the_floor(case: Case) -> float:
    """Mean depth in centimetres below where only one in a hundred real motions reaches."""
    floor = float(physics.lowest_point(*case.reference[:2]).quantile(0.01))
    return 100 * physics.floor_penetration(*case.motions[:2], floor).mean()


def _factor_distances(case: Case) -> Scores:
    """Is each factor of the data's program distributed as in its own motions?"""
    ours, real = (case.judge.maker.read_factors(*each[:3]) for each in (case.motions, case.reference))
    # those who stand have no speed, those who use both hands no side
    has = {name: values != 0 for name, values in real.items()}
    return {(f"KS {name}", ""): measures.ks_distance(ours[name][has[name]], real[name][has[name]]) for name in has}


def _held_out_distance(case: Case) -> Scores:
    """FID against held-out clips alone, with as many motions of each action."""
    judge, unseen = case.judge, case.judge.unseen
    (ours,), (real,) = (draw(m.labels, judge.per_action_unseen, case.seed) for m in (case.motions, unseen))
    return {("FID, held-out only", ""): measures.frechet_distance(case.motions.features[ours], unseen.features[real])}


def _memorised(case: Case) -> Scores:
    """How near motions are to training clips: 1 is as far as held-out real motion, 0 a copy."""
    typical, closest = case.judge.unseen_distance
    relative = case.judge.distance(case.motions) / typical[case.motions.labels]
    return {
        ("distance to training clips / held-out", ""): float(relative.median()),
        ("nearer than 99 % of held-out, %", ""): 100 * float((relative < closest).double().mean()),
    }


#: What the papers measure.
OF_THE_RECOGNISER = (
    Measure(_recognised, frozenset({"recogniser"}), real="unseen"),
    _of_all("FID", lambda c: measures.frechet_distance(c.motions.features, c.reference.features), "recogniser"),
    _of_all("diversity", lambda c: measures.diversity(c.motions.features), "recogniser"),
    _of_all("multimodality", lambda c: measures.multimodality(c.motions.features, c.motions.labels), "recogniser"),
)
MEASURES = (
    *OF_THE_RECOGNISER,
    _of_all("bone drift, %", lambda c: physics.bone_drift(*c.motions[:2], c.judge.skeleton).mean()),
    _of_all(
        "skating ratio", lambda c: physics.skating_ratio(*c.motions[:2], c.judge.skeleton, c.judge.fps).mean(), "feet"
    ),
    _of_all("below the floor, cm", _below_the_floor),
    _over_real("speed / real", physics.joint_speed),
    _over_real("jerk / real", physics.joint_jerk),
    Measure(_factor_distances, frozenset({"factors"})),
    Measure(_held_out_distance, frozenset({"recogniser", "unseen"}), real="training"),
    Measure(_memorised, real="once"),
)


# An evaluation ------------------------------------------------------------------------------------------------------


def judge_for(
    clips: MotionClips, num_frames: int, num_samples: int = MAX_SAMPLES, recogniser_seed: int = 0,
    cache: str | Path | None = None,
) -> Judge:  # fmt: skip
    """A judge with a recogniser of its own, trained by the recipe on the training clips (about a minute).

    If a program makes the data, the recogniser learns from clips that are made for it.

    Args:
        clips, num_frames, num_samples: as for ``Judge``.
        recogniser_seed: another seed is another judge.
        cache: a folder that keeps the recogniser for the next time.
    """
    # what cannot be is refused before a minute is spent
    recogniser_seed = plain_seed("seed of the recogniser", recogniser_seed)
    num_frames, num_samples = plain_whole("num_frames", num_frames, 2), plain_whole("num_samples", num_samples)
    samples_per_action(judged_clips(clips), num_samples)
    learnt_from = clips.maker.make(*RECOGNISER_CLIPS) if clips.maker else clips.split()[0]
    return Judge(clips, find_recogniser(learnt_from, num_frames, recogniser_seed, cache), num_frames, num_samples)


def find_recogniser(clips: MotionClips, num_frames: int, seed: int, cache: str | Path | None) -> Recogniser:
    """The recogniser of these clips: from the folder ``cache``, or else trained (about a minute) and kept there."""
    if cache is None:
        return train_recogniser(clips, num_frames, seed)
    path = Path(cache) / f"recogniser{VERSION}-{clips.fingerprint()}-{num_frames}-{seed}.pt"
    if not path.is_file():
        train_recogniser(clips, num_frames, seed).save(path)
    return load_recogniser(path)


def judged_clips(clips: MotionClips) -> MotionClips:
    """The clips that a data set is judged by: its own, or if a program makes them, fresh ones."""
    return clips.maker.make(*FRESH_CLIPS) if clips.maker else clips


def samples_per_action(clips: MotionClips, num_samples: int) -> Tensor:
    """About ``num_samples`` in the proportions of the clips, at most half of each action's: ``[actions]``.

    Raises:
        InputError: when no action has two.
    """
    count = clips.labels.bincount(minlength=len(clips.label_names))
    per_action = (count * num_samples / len(clips)).round().long().minimum(count // 2)
    if per_action.max() < 2:
        raise InputError(
            f"{num_samples} samples and {len(clips)} clips ({clips.source}) are too few to compare: "
            "at least two of an action must be left for each half; give more"
        )
    return per_action


def draw(labels: Tensor, per_action: Tensor, seed: int, sets: int = 1) -> list[Tensor]:
    """Disjoint random sets of indices, with ``per_action`` of each label in each, in the order of the labels."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    own = [order[labels[order] == label] for label in range(len(per_action))]
    sizes = [int(n) for n in per_action]
    return [torch.cat([o[k * n : (k + 1) * n] for o, n in zip(own, sizes, strict=True)]) for k in range(sets)]


def evaluate(
    checkpoint: Checkpoint, judge: Judge, *, num_seeds: int = 5, sampling: Sampling | None = None, **options
) -> Scorecard:
    """Measure a checkpoint against real motion, each seed with other halves and other noise.

    Args:
        judge: of the whole data set that the checkpoint was trained on a part of (``MotionClips.split``). One judge
            can look at many checkpoints.
        sampling: how its motions are made, without frames, lengths and seed; or its fields by name.

    Raises:
        InputError: when the judge's actions are not the checkpoint's.
    """
    if judge.label_names != checkpoint.label_names:
        raise InputError(
            f"the checkpoint knows {', '.join(checkpoint.label_names)}; the data has "
            f"{', '.join(judge.label_names)}; give the data it was trained on"
        )
    num_seeds = plain_whole("num_seeds", num_seeds, 1)
    sampling = replace(as_sampling(sampling, options).planned(checkpoint), num_frames=judge.num_frames)
    made, real = [], []
    splits = max(NUM_SPLITS, num_seeds)
    with tqdm(total=splits + num_seeds * judge.num_batches, leave=False, disable=None) as bar:
        for seed in range(splits):
            a, b = judge.halves(seed)
            real.append(judge.score_real(b, a, seed))
            bar.update()
            if seed < num_seeds:
                made.append(judge.score(made_like(b, judge, checkpoint, sampling, seed, bar), a, seed))
    return Scorecard(_about(judge, checkpoint, num_seeds, splits, sampling), summarise(made, real))


def made_like(real: Motions, judge: Judge, checkpoint: Checkpoint, sampling: Sampling, seed: int, bar: tqdm) -> Motions:
    """The model's motions of the same actions and lengths."""
    joints = []
    batches = zip(real.labels.split(BATCH_SIZE), real.lengths.split(BATCH_SIZE), strict=True)
    for batch, (labels, lengths) in enumerate(batches):
        own = replace(sampling, lengths=lengths.tolist(), seed=1000 * seed + batch)
        joints.append(generate(checkpoint, labels.tolist(), sampling=own))
        bar.update()
    return judge.look_at(torch.cat(joints), real.lengths, real.labels)


def about_model(checkpoint: Checkpoint, sampling: Sampling) -> dict:
    """What was measured."""
    told = {"sampler": sampling.sampler, "guidance_scale": sampling.guidance_scale, "num_steps": sampling.num_steps}
    told |= {f.name: getattr(sampling, f.name) for f in fields(Sampling)
             if f.name in ("spacing", "eta", "precision") and getattr(sampling, f.name) != f.default}  # fmt: skip
    return {
        "model": f"trained on {checkpoint.source}, {checkpoint.config.num_timesteps} diffusion steps",
        "sampling": ", ".join(f"{name} {value}" for name, value in told.items()),
    }


def _about(judge: Judge, checkpoint: Checkpoint, num_seeds: int, splits: int, sampling: Sampling) -> dict:
    """How the figures came about."""
    unseen, halves = len(judge.unseen.labels), int(judge.per_action.sum())
    real, samples = f"{judge.everything.source}, {len(judge.everything)} clips", f"N = {halves}"
    if judge.maker:
        real += ", made afresh"
    else:
        real += f", {unseen} of them held out"
        samples += f" (held-out only: {int(judge.per_action_unseen.sum())})"
    return about_model(checkpoint, sampling) | {
        "real motion": real,
        "samples": f"{samples}, mean of {num_seeds} seeds; real: median of {splits} pairs of halves",
        "recogniser": _about_recogniser(judge) if judge.recogniser else "none",
    }


def _about_recogniser(judge: Judge) -> str:
    recognised = measures.accuracy(judge.unseen.logits, judge.unseen.labels)
    return (
        f"{getattr(judge.recogniser, 'about', type(judge.recogniser).__name__)}, {judge.unseen.features.shape[1]} "
        f"features, {100 * recognised:.1f} % right on {len(judge.unseen.labels)} unseen clips"
    )
