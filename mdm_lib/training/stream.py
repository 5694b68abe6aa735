"""The stream of training clips: every clip once an epoch, a random window of it, hidden in noise."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mdm_lib.conditions import Vocabulary
from mdm_lib.config import Config
from mdm_lib.features.joints import Representation
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.geometry import mirror
from mdm_lib.motion.windows import cut_windows, draw_windows
from mdm_lib.runtime import seed_of
from mdm_lib.scheduler import NoiseScheduler

#: The normaliser looks at so many clips at most, and so many at a time (memory: a tenth of a gigabyte for 60 frames).
ENOUGH_CLIPS, CLIPS_AT_ONCE = 20_000, 300


class Batch(NamedTuple):
    """What a training step learns from."""

    x0: Tensor  # [B, F, D] normalised features
    mask: Tensor  # [B, F] bool, True = real frame
    told: Tensor  # [B, ...] the condition of each motion


class ClipStream:
    """An endless stream of clips, each once an epoch, in an order that the seed and the epoch decide.

    Args:
        clips: on the device where batches are needed.
        config: window, mirroring, batch size and seed.
        vocabulary: says what a model is told of each clip, and of its mirror image.
        representation: fitted on these clips, see ``fit_normaliser``.
    """

    def __init__(self, clips: MotionClips, config: Config, vocabulary: Vocabulary, representation: Representation):
        self.clips, self.config, self.representation = clips, config, representation
        self.told, has_mirror = vocabulary.of_clips(clips)
        self.has_mirror = has_mirror if config.mirror else None
        self._orders: dict[int, Tensor] = {}

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """The batch of a step, counted from 0; windows and mirroring are drawn from ``generator``."""
        size = self.config.batch_size
        index = self.clips_at(step * size, size)
        joints, mask, flipped = draw_windows(self.clips, index, self.config.num_frames, self.has_mirror, generator)
        return Batch(self.representation.encode(joints), mask, self.told[flipped.long(), index])

    def clips_at(self, start: int, size: int) -> Tensor:
        """The indices of clips number ``start … start + size`` of the stream: ``[size]``."""
        parts = []
        while size > 0:
            epoch, offset = divmod(start, len(self.clips))
            parts.append(self._order(epoch)[offset : offset + size])
            start, size = start + len(parts[-1]), size - len(parts[-1])
        return torch.cat(parts)

    def epoch_at(self, step: int) -> int:
        """The pass over the clips that the last of ``step`` steps was in, counted from 1."""
        return max(0, step * self.config.batch_size - 1) // len(self.clips) + 1

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:  # drawn and sent to the device once an epoch
            generator = torch.Generator().manual_seed(seed_of(self.config.seed, epoch, 2**32 - 1))
            order = torch.randperm(len(self.clips), generator=generator)
            self._orders = {epoch: order.to(self.clips.joints.device)}
        return self._orders[epoch]


def corrupt(
    x0: Tensor, told: Tensor, scheduler: NoiseScheduler, condition: nn.Module, cond_mask_prob: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Hide clean motions ``x0 [B, F, D]`` in noise, and the condition ``told [B, ...]`` of a few (Ho & Salimans 2022).

    Returns:
        x_t ``[B, F, D]``, t ``[B]``, and ``told``, dropped with probability ``cond_mask_prob``.
    """
    noise = torch.randn(x0.shape, generator=generator, device=x0.device)
    t = torch.randint(scheduler.num_timesteps, (len(x0),), generator=generator, device=x0.device)
    dropped = torch.rand(len(x0), generator=generator, device=x0.device) < cond_mask_prob
    return scheduler.add_noise(x0, noise, t), t, condition.drop(told, dropped)


def fit_normaliser(representation: Representation, clips: MotionClips, num_frames: int, with_mirror: bool) -> None:
    """Fit it on three windows of every clip (start, middle, end) as training sees them, real frames only.

    Of very many clips, some tell mean and deviation as well as all.
    """

    def windows_of(index: Tensor) -> tuple[Tensor, Tensor]:
        slack = (clips.lengths[index] - num_frames).clamp(min=0)
        windows = [cut_windows(clips, index, start, num_frames) for start in (slack * 0, slack // 2, slack)]
        joints, mask = (torch.cat(parts) for parts in zip(*windows, strict=True))
        if with_mirror:
            joints, mask = torch.cat([joints, mirror(joints, clips.skeleton)]), torch.cat([mask, mask])
        return joints, mask

    # drawn, not every tenth one: clips may lie in an order that repeats
    drawn = torch.randperm(len(clips), generator=torch.Generator().manual_seed(0))[:ENOUGH_CLIPS].sort().values
    chosen = drawn.to(clips.joints.device)
    representation.to(clips.joints.device).fit_parts(map(windows_of, chosen.split(CLIPS_AT_ONCE)))
