"""The judge of the metrics: a small network that names the action of a motion, and whose features FID compares.

It is trained on the spot, on the data a model is compared with, always by the same recipe. The figures it gives can
therefore be compared with each other, and not with those of papers, whose recognisers saw other data.
"""

import io
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import FPS, OVER_GROUND, heading, length_mask, turn
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.motion.windows import random_windows
from mdm_lib.reading import read_weights, reading
from mdm_lib.runtime import constant, learning, seeded
from mdm_lib.words import plain_seed

WIDTH, NUM_FEATURES = 96, 64
#: The recipe, the same for every comparison.
STEPS, BATCH_SIZE, PEAK_LR, WARMUP_STEPS = 800, 48, 2e-3, 30
WEIGHT_DECAY, LABEL_SMOOTHING, DROPOUT = 0.3, 0.1, 0.2
#: Weight of the second task, see ``train_recogniser``.
STATISTICS_WEIGHT = 0.5
#: To be raised with every change above or in training: figures of two versions cannot be compared.
VERSION = 2


class Recognition(NamedTuple):
    """What the recogniser says of B motions."""

    logits: Tensor  # [B, num_actions]
    features: Tensor  # [B, NUM_FEATURES]


class Recogniser(nn.Module):
    """Names actions: joints ``[B, F, J, 3]`` in metres and lengths ``[B]`` → ``Recognition``.

    Convolutions over time, and a mean over the real frames. Where a motion is and where it heads does not matter;
    how large the body is and how fast it moves does.
    """

    def __init__(self, label_names: tuple[str, ...], skeleton: Skeleton = SMPL22, fps: float = FPS):
        super().__init__()
        self.label_names, self.skeleton, self.fps = tuple(label_names), skeleton, fps
        self.seed: int | None = None  # of its training
        self.num_inputs = 2 * 3 * skeleton.num_joints  # joints against the pelvis, and their velocities
        self.register_buffer("mean", torch.zeros(self.num_inputs))
        self.register_buffer("std", torch.ones(self.num_inputs))
        self.stem = nn.Conv1d(self.num_inputs, WIDTH, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, padding=2 * d, dilation=d) for d in (1, 2, 4))
        self.to_features = nn.Linear(WIDTH, NUM_FEATURES)
        self.dropout = nn.Dropout(DROPOUT)
        self.to_logits = nn.Linear(NUM_FEATURES, len(label_names))

    @property
    def about(self) -> str:
        """Which recogniser it is, for the card."""
        return f"version {VERSION}, seed {self.seed}"

    def forward(self, joints: Tensor, lengths: Tensor) -> Recognition:
        mask = length_mask(lengths, joints.shape[1])[:, None]
        x = self.inputs(joints).mT
        x, mask = torch.where(mask, x, 0.0), mask[:, :, ::2]  # the stem keeps every second frame
        x = nn.functional.gelu(self.stem(x)) * mask
        for block in self.blocks:
            x = x + nn.functional.gelu(block(x)) * mask
        features = self.to_features(self.dropout(x.sum(2) / mask.sum(2)))
        return Recognition(self.to_logits(self.dropout(nn.functional.gelu(features))), features)

    def inputs(self, joints: Tensor) -> Tensor:
        """``body_view``, normalised: ``[B, F, 6 J]``."""
        return (body_view(joints, self.skeleton, self.fps) - self.mean) / self.std

    @torch.no_grad()
    def recognise(self, joints: Tensor, lengths: Tensor) -> Recognition:
        """``forward`` for any number of motions, on the CPU, without gradients."""
        self.eval()
        parts = [self(j.cpu(), n.cpu()) for j, n in zip(joints.split(256), lengths.split(256), strict=True)]
        return Recognition(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def save(self, path: str | Path) -> Path:
        """Write it to one file, atomically."""
        values = {
            "recogniser": VERSION,
            "label_names": list(self.label_names),
            "skeleton": self.skeleton.to_plain(),
            "fps": self.fps,
            "seed": self.seed,
            "weights": self.state_dict(),
        }
        content = io.BytesIO()
        torch.save(values, content)
        return write_atomically(path, content.getbuffer())


def body_view(joints: Tensor, skeleton: Skeleton = SMPL22, fps: float = FPS) -> Tensor:
    """A motion as its body sees it: ``[B, F, J, 3]`` → ``[B, F, 6 J]``.

    Joints against the pelvis' place on the ground (metres) and joint velocities (metres a second; of the first frame:
    zero), both turned so that the frame's body faces +z.
    """
    velocity = fps * torch.diff(joints, dim=1, prepend=joints[:, :1])
    seen = torch.cat([joints - joints[:, :, :1] * constant(OVER_GROUND, joints.device), velocity], 2)
    return turn(seen.flatten(0, 1)[:, None], -heading(joints, skeleton).flatten()).view(*joints.shape[:2], -1)


@learning()
def train_recogniser(clips: MotionClips, num_frames: int = 60, seed: int = 0, steps: int | None = None) -> Recogniser:
    """Train a recogniser on random windows of ``clips``, mirrored where the labels allow it; on the CPU.

    It learns two tasks from its features: to name the action, and to tell the mean and the deviation over time of all
    its inputs. With the first task alone, the features of one action fall together; FID would then measure how typical
    a motion is of its action, and hardly whether there is as much variety as in real motion (docs/decisions.md).

    Args:
        clips: those to learn from; judge it on others.
        num_frames: the window, as long as the motions that it will judge.
        seed: the same seed and clips give the same recogniser on one machine.
        steps: fewer than the recipe's ``STEPS`` for a quick look; such figures cannot be compared with others.
    """
    steps, seed = STEPS if steps is None else steps, plain_seed("seed of the recogniser", seed)
    with seeded(seed, torch.device("cpu")):
        recogniser = Recogniser(clips.label_names, clips.skeleton, clips.fps)
        to_statistics = nn.Linear(NUM_FEATURES, 2 * recogniser.num_inputs)
        _fit_normaliser(recogniser, clips, num_frames)
        # rare actions are drawn more often than they occur, yet not as often as the others
        weight = clips.labels.bincount().clamp(min=1)[clips.labels] ** -0.5
        parameters = [*recogniser.parameters(), *to_statistics.parameters()]
        optimizer = torch.optim.AdamW(parameters, weight_decay=WEIGHT_DECAY)
        for step in tqdm(range(steps), "training the recogniser", leave=False, disable=None):
            optimizer.param_groups[0]["lr"] = PEAK_LR * min((step + 1) / WARMUP_STEPS, 1) * (1 - step / steps)
            index = torch.multinomial(weight, BATCH_SIZE, replacement=True)
            joints, mask, labels = random_windows(clips, index, num_frames, with_mirror=True)
            logits, features = recogniser(joints, mask.sum(1))
            loss = nn.functional.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)
            seen = statistics(recogniser.inputs(joints), mask)
            loss = loss + STATISTICS_WEIGHT * nn.functional.mse_loss(to_statistics(features), seen)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
    recogniser.seed = seed
    return recogniser.eval()


def statistics(inputs: Tensor, mask: Tensor) -> Tensor:
    """Mean and deviation over the real frames: ``[B, F, D]``, ``[B, F]`` → ``[B, 2 D]``."""
    weight = (mask / mask.sum(1, keepdim=True))[..., None]
    mean = (inputs * weight).sum(1)
    return torch.cat([mean, ((inputs - mean[:, None]).square() * weight).sum(1).sqrt()], 1)


def _fit_normaliser(recogniser: Recogniser, clips: MotionClips, num_frames: int) -> None:
    joints, mask, _ = random_windows(clips, torch.arange(len(clips)), num_frames, with_mirror=True)
    inputs = body_view(joints, clips.skeleton, clips.fps)[mask]
    recogniser.mean.copy_(inputs.mean(0))
    recogniser.std.copy_(inputs.std(0).clamp(min=0.02))  # what never moves must not be blown up


def load_recogniser(path: str | Path) -> Recogniser:
    """Read what ``Recogniser.save`` wrote; code inside the file is never run.

    Raises:
        InputError: when there is no such file, or it is damaged or something else.
    """
    if not Path(path).exists():
        raise InputError(f"no recogniser at {path}; train one with mdm_lib.evaluation.train_recogniser")
    remedy = "delete it, it is trained again when needed"
    with reading(path, "a recogniser", remedy):
        content = read_weights(path)
        if content["recogniser"] != VERSION:
            raise InputError(f"{path} is a recogniser of another version; {remedy}")
        # files without a skeleton were written when there was only one
        skeleton = Skeleton.from_plain(content["skeleton"]) if "skeleton" in content else SMPL22
        with seeded(0, torch.device("cpu")):  # weights are drawn, and overwritten at once
            recogniser = Recogniser(tuple(content["label_names"]), skeleton, content.get("fps", FPS))
        recogniser.load_state_dict(content["weights"])
        recogniser.seed = content.get("seed")
    return recogniser.eval()
