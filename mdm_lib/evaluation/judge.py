"""How good a checkpoint is: its motions against real ones, every figure beside what real motion itself scores.

For every seed, two disjoint halves A and B of the real clips are drawn, one window a clip, with equally many clips of
each action. B against A is the floor: what a perfect model would score. The model then makes B again, the same actions
and lengths, and that against A is its figure. (Were the actions of the halves drawn freely, their different shares
would be most of the floor, and hide what a model does badly.)
"""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.data import MotionClips, synthetic_clips
from mdm_lib.data.synthetic.factors import estimate_factors
from mdm_lib.errors import InputError
from mdm_lib.evaluation import measures, physics
from mdm_lib.evaluation.memory import nearest_clip
from mdm_lib.evaluation.recogniser import VERSION, Recogniser, load_recogniser, train_recogniser
from mdm_lib.evaluation.scorecard import Scorecard, Scores, summarise
from mdm_lib.motion.clips import random_windows
from mdm_lib.sampling import Sampling, as_sampling, generate

MAX_SAMPLES = 600
NUM_SPLITS = 10
BATCH_SIZE = 128
#: Of the synthetic set, fresh clips are drawn to judge by (number, seed), and others to train the recogniser on.
FRESH_CLIPS, RECOGNISER_CLIPS = (1200, 101), (2400, 102)


class Motions(NamedTuple):
    """N motions, and what the recogniser says of them."""

    joints: Tensor  # [N, F, J, 3]
    lengths: Tensor  # [N]
    labels: Tensor  # [N]
    logits: Tensor  # [N, actions]
    features: Tensor  # [N, D]


class Judge:
    """The real motion of a data set and a recogniser trained on it: scores motions, always in the same way.

    Args:
        clips: the whole data set. Its held-out clips alone are too few to draw halves from, so the halves come from
            all clips, and what only unseen clips can tell (recognition, memorisation, a second FID) is told by the
            held-out ones. Of the synthetic set all clips to judge by are drawn afresh.
        num_frames: the window.
        num_samples: motions in a half, about; at most half of each action's clips.
        recogniser_seed: another seed is another judge.
        cache: a folder that keeps the recogniser for the next time.
        recogniser: one that is trained already, instead of the recipe's.
    """

    def __init__(
        self, clips: MotionClips, num_frames: int, num_samples: int = MAX_SAMPLES, recogniser_seed: int = 0,
        cache: str | Path | None = None, recogniser: Recogniser | None = None,
    ):  # fmt: skip
        self.label_names, self.num_frames, self.recogniser_seed = clips.label_names, num_frames, recogniser_seed
        self.skeleton, self.fps = clips.skeleton, clips.fps
        self.is_synthetic = "tempo" in clips.factors
        self.everything = synthetic_clips(*FRESH_CLIPS) if self.is_synthetic else clips
        self.per_action = samples_per_action(self.everything, num_samples)
        self.training, self.held_out = clips.split()
        learnt_from = self.training
        if self.is_synthetic:
            self.held_out, learnt_from = self.everything, synthetic_clips(*RECOGNISER_CLIPS)
        unseen = self.held_out.labels.bincount(minlength=len(self.label_names))
        self.per_action_unseen = self.per_action.minimum(unseen)
        self.recogniser = recogniser or find_recogniser(learnt_from, num_frames, recogniser_seed, cache)
        self.num_batches = math.ceil(int(self.per_action.sum()) / BATCH_SIZE)
        self.unseen = self.windows(self.held_out, torch.arange(len(self.held_out)), seed=0)
        self.whole = self.windows(self.everything, torch.arange(len(self.everything)), seed=0)
        self._remember_unseen()

    def look_at(self, joints: Tensor, lengths: Tensor, labels: Tensor) -> Motions:
        """Motions with what the recogniser says of them."""
        return Motions(joints, lengths, labels, *self.recogniser.recognise(joints, lengths))

    def windows(self, clips: MotionClips, index: Tensor, seed: int) -> Motions:
        """A random window of each clip at ``index``."""
        generator = torch.Generator().manual_seed(seed)
        joints, mask, labels = random_windows(clips, index, self.num_frames, with_mirror=False, generator=generator)
        return self.look_at(joints, mask.sum(1), labels)

    def halves(self, seed: int) -> tuple[Motions, Motions]:
        """Two disjoint sets of real motions, A and B, one window a clip, with the same actions in the same order."""
        first, second = _draw(self.everything.labels, self.per_action, seed, sets=2)
        return self.windows(self.everything, first, 2 * seed), self.windows(self.everything, second, 2 * seed + 1)

    def compare(self, motions: Motions, reference: Motions) -> Scores:
        """How motions differ from real ones; both have the same actions in the same order, as ``halves`` have."""
        ours, real = motions[:2], reference[:2]
        floor = float(physics.lowest_point(*real).quantile(0.01))
        scores = {
            ("FID", ""): measures.frechet_distance(motions.features, reference.features),
            ("diversity", ""): measures.diversity(motions.features),
            ("multimodality", ""): measures.multimodality(motions.features, motions.labels),
            ("bone drift, %", ""): float(physics.bone_drift(*ours, self.skeleton).mean()),
            ("skating ratio", ""): float(physics.skating_ratio(*ours, self.skeleton, self.fps).mean()),
            ("below the floor, cm", ""): 100 * float(physics.floor_penetration(*ours, floor).mean()),
        }
        for name, measure in (("speed / real", physics.joint_speed), ("jerk / real", physics.joint_jerk)):
            expected = self._means(measure(*self.whole[:2], self.fps), self.whole.labels)
            for action, mean in self._means(measure(*ours, self.fps), motions.labels).items():
                scores[name, action] = mean / expected[action]
        return scores | self._factor_distances(motions, reference)

    def recognised(self, motions: Motions) -> Scores:
        """Accuracy, overall and by action."""
        is_right = (motions.logits.argmax(1) == motions.labels).double()
        return {("recognised", action): mean for action, mean in self._means(is_right, motions.labels).items()}

    def held_out_distance(self, motions: Motions, seed: int) -> Scores:
        """FID against held-out clips alone, with as many motions of each action; nothing where all clips are unseen."""
        if self.held_out is self.everything:
            return {}
        (ours,), (real,) = (_draw(m.labels, self.per_action_unseen, seed) for m in (motions, self.unseen))
        distance = measures.frechet_distance(motions.features[ours], self.unseen.features[real])
        return {("FID, held-out only", ""): distance}

    def memorised(self, motions: Motions) -> Scores:
        """How near motions are to training clips: 1 is as far as held-out real motion, 0 a copy.

        Each distance is divided by the median of held-out motions of its action, as who stands still is near to
        everybody who does.
        """
        return self._memorisation(self._distance(motions) / self._typical[motions.labels])

    def _remember_unseen(self) -> None:
        """What ``memorised`` compares with: the distances of held-out motions."""
        distance, labels = self._distance(self.unseen), self.unseen.labels
        self._typical = torch.ones(len(self.label_names))
        for label in labels.unique():
            self._typical[label] = distance[labels == label].median()
        relative = distance / self._typical[labels]
        self._closest = relative.quantile(0.01)
        self._unseen_memorised = self._memorisation(relative)

    def _distance(self, motions: Motions) -> Tensor:
        return nearest_clip(*motions[:3], self.training).distance

    def _memorisation(self, relative: Tensor) -> Scores:
        return {
            ("distance to training clips / held-out", ""): float(relative.median()),
            ("nearer than 99 % of held-out, %", ""): 100 * float((relative < self._closest).double().mean()),
        }

    def score(self, motions: Motions, reference: Motions, seed: int) -> Scores:
        """All figures of a model's motions, against a real half."""
        return {
            **self.recognised(motions),
            **self.compare(motions, reference),
            **self.held_out_distance(motions, seed),
            **self.memorised(motions),
        }

    def score_real(self, motions: Motions, reference: Motions, seed: int) -> Scores:
        """The same of real motions: a half for what a half is compared with, held-out clips where these are."""
        everyone = torch.arange(len(self.held_out))
        return {
            **self.recognised(self.windows(self.held_out, everyone, seed)),
            **self.compare(motions, reference),
            **self.held_out_distance(self.windows(self.training, torch.arange(len(self.training)), seed), seed),
            **self._unseen_memorised,
        }

    def _factor_distances(self, motions: Motions, reference: Motions) -> Scores:
        """Is each factor of the synthetic motion distributed as in real ones? Nothing for other data."""
        if not self.is_synthetic:
            return {}
        ours, real = (estimate_factors(*m[:3]) for m in (motions, reference))
        # who stands has no speed, who uses both hands no side
        has = {name: values != 0 for name, values in real.items()}
        return {(f"KS {name}", ""): measures.ks_distance(ours[name][has[name]], real[name][has[name]]) for name in has}

    def _means(self, values: Tensor, labels: Tensor) -> dict[str, float]:
        """The mean of values ``[N]`` over all motions, under "", and over those of each action."""
        means = {"": float(values.nanmean())}
        for label in labels.unique():
            means[self.label_names[label]] = float(values[labels == label].nanmean())
        return means


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
            "two of an action at least must be left for each half; give more"
        )
    return per_action


def _draw(labels: Tensor, per_action: Tensor, seed: int, sets: int = 1) -> list[Tensor]:
    """Disjoint random sets of indices, with ``per_action`` of each label in each, in the order of the labels."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    own = [order[labels[order] == label] for label in range(len(per_action))]
    sizes = [int(n) for n in per_action]
    return [torch.cat([o[k * n : (k + 1) * n] for o, n in zip(own, sizes, strict=True)]) for k in range(sets)]


def find_recogniser(clips: MotionClips, num_frames: int, seed: int, cache: str | Path | None) -> Recogniser:
    """The recogniser of these clips: from the folder ``cache``, or else trained (about a minute) and kept there."""
    if cache is None:
        return train_recogniser(clips, num_frames, seed)
    path = Path(cache) / f"recogniser{VERSION}-{clips.fingerprint()}-{num_frames}-{seed}.pt"
    if not path.is_file():
        train_recogniser(clips, num_frames, seed).save(path)
    return load_recogniser(path)


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
    if num_seeds < 1:
        raise InputError(f"num_seeds is {num_seeds}; it takes 1 at least, and 2 for an interval")
    sampling = as_sampling(sampling, options).planned(checkpoint)
    sampling = replace(sampling, num_frames=judge.num_frames)
    made, real = [], []
    splits = max(NUM_SPLITS, num_seeds)
    with tqdm(total=splits + num_seeds * judge.num_batches, leave=False, disable=None) as bar:
        for seed in range(splits):
            a, b = judge.halves(seed)
            real.append(judge.score_real(b, a, seed))
            bar.update()
            if seed < num_seeds:
                made.append(judge.score(_made_like(b, judge, checkpoint, sampling, seed, bar), a, seed))
    about = _about(judge, checkpoint, num_seeds, splits, sampling)
    return Scorecard(about, summarise(made, real))


def _made_like(
    real: Motions, judge: Judge, checkpoint: Checkpoint, sampling: Sampling, seed: int, bar: tqdm
) -> Motions:
    """The model's motions of the same actions and lengths."""
    joints = []
    batches = zip(real.labels.split(BATCH_SIZE), real.lengths.split(BATCH_SIZE), strict=True)
    for batch, (labels, lengths) in enumerate(batches):
        own = replace(sampling, lengths=lengths.tolist(), seed=1000 * seed + batch)
        joints.append(generate(checkpoint, labels.tolist(), sampling=own))
        bar.update()
    return judge.look_at(torch.cat(joints), real.lengths, real.labels)


def _about(judge: Judge, checkpoint: Checkpoint, num_seeds: int, splits: int, sampling: Sampling) -> dict:
    """How the figures came about."""
    unseen, halves = len(judge.unseen.labels), int(judge.per_action.sum())
    recognised = measures.accuracy(judge.unseen.logits, judge.unseen.labels)
    told = {"sampler": sampling.sampler, "guidance_scale": sampling.guidance_scale, "num_steps": sampling.num_steps}
    unusual = {f.name: getattr(sampling, f.name) for f in fields(Sampling) if f.name in ("spacing", "eta", "precision")}
    told |= {name: value for name, value in unusual.items() if value != getattr(Sampling(), name)}
    real, samples = f"{judge.everything.source}, {len(judge.everything)} clips", f"N = {halves}"
    if judge.held_out is judge.everything:
        real += ", drawn afresh"
    else:
        real += f", {unseen} of them held out"
        samples += f" (held-out only: {int(judge.per_action_unseen.sum())})"
    return {
        "model": f"trained on {checkpoint.source}, {checkpoint.config.num_timesteps} diffusion steps",
        "sampling": ", ".join(f"{name} {value}" for name, value in told.items()),
        "real motion": real,
        "samples": f"{samples}, mean of {num_seeds} seeds; real: median of {splits} pairs of halves",
        "recogniser": f"version {VERSION}, seed {judge.recogniser_seed}, {judge.unseen.features.shape[1]} features, "
        f"{100 * recognised:.1f} % right on {unseen} unseen clips",
    }
