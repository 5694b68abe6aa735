"""The stream of training clips: every clip once an epoch, a random window of it, hidden in noise."""

from typing import NamedTuple

import numpy as np
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
#: Batches whose clips are sorted by length together, and the share of batches of whole clips.
POOL, WHOLE = 8, 0.3
#: Tells the draws of an epoch's order and of a step's length from others of the same seed.
ORDER, FRAMES = 2**32 - 1, 2**32 - 2


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
        # on the CPU: a batch and its length are decided without asking the device
        self._lengths = clips.lengths.cpu().numpy()
        self._orders: dict[int, Tensor] = {}

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """The batch of a step, counted from 0; windows and mirroring are drawn from ``generator``.

        All its windows have one length, drawn for the step; clips that are shorter are whole in it.
        """
        size = self.config.batch_size
        index = self.clips_at(step * size, size)
        num_frames = self.frames_at(step, int(self._lengths[index.numpy()].max()))
        index = index.to(self.clips.joints.device, non_blocking=True)
        joints, mask, flipped = draw_windows(self.clips, index, num_frames, self.has_mirror, generator)
        return Batch(self.representation.encode(joints), mask, self.told[flipped.long(), index])

    def clips_at(self, start: int, size: int) -> Tensor:
        """The indices of clips number ``start … start + size`` of the stream: ``[size]``, on the CPU."""
        parts = []
        while size > 0:
            epoch, offset = divmod(start, len(self.clips))
            parts.append(self._order(epoch)[offset : offset + size])
            start, size = start + len(parts[-1]), size - len(parts[-1])
        return torch.cat(parts)

    def frames_at(self, step: int, available: int) -> int:
        """The length of a step's windows, of clips of which the longest has so many frames ``available``.

        Each length from the shortest to the longest is as likely as any other, and the longest a good deal likelier:
        otherwise a model would hardly ever see the end of a long motion.
        """
        shortest, longest = self.config.window_range
        if shortest < longest:
            longest = max(shortest, min(longest, available))
        draw = np.random.default_rng(seed_of(self.config.seed, step, FRAMES)).random()
        return min(longest, shortest + int(draw / (1 - WHOLE) * (longest - shortest + 1)))

    def epoch_at(self, step: int) -> int:
        """The pass over the clips that the last of ``step`` steps was in, counted from 1."""
        return max(0, step * self.config.batch_size - 1) // len(self.clips) + 1

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(seed_of(self.config.seed, epoch, ORDER))
            order = torch.randperm(len(self.clips), generator=generator).numpy()
            shortest, longest = self.config.window_range
            self._orders = {epoch: torch.from_numpy(self._batched(order, epoch) if shortest < longest else order)}
        return self._orders[epoch]

    def _batched(self, order: np.ndarray, epoch: int) -> np.ndarray:
        """An epoch's order with clips of like length in one batch, so that little of a batch is padding."""
        size = self.config.batch_size
        started = -epoch * len(order) % size  # these complete the batch that the epoch before began
        batches = []
        for first in range(started, len(order), POOL * size):
            pool = order[first : first + POOL * size]
            pool = pool[self._lengths[pool].argsort(kind="stable")]
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        # the batches in an order of their own, but for the last, which may be incomplete
        shuffled = np.random.default_rng(seed_of(self.config.seed, epoch, ORDER)).permutation(max(0, len(batches) - 1))
        return np.concatenate([order[:started], *(batches[i] for i in shuffled), *batches[-1:]])


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
