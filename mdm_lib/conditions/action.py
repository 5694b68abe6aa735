"""The action: names and ids on one side, what ``ActionCondition`` takes on the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdm_lib.errors import printable
from mdm_lib.model import ActionCondition
from mdm_lib.words import find_action


@dataclass(frozen=True)
class ActionVocabulary:
    """The actions that a model knows, in the order of their ids."""

    names: tuple[str, ...]

    keyword = "action"

    @classmethod
    def fit(cls, clips) -> "ActionVocabulary":
        """The actions of some ``MotionClips``."""
        return cls(tuple(clips.label_names))

    def condition(self, latent_dim: int) -> ActionCondition:
        """An untrained condition for these actions."""
        return ActionCondition(len(self.names), latent_dim)

    def of_clips(self, clips) -> tuple[Tensor, Tensor]:
        """What is told of each clip and of its mirror image, ``[2, N]``; and which may be mirrored, ``[N]`` bool."""
        mirrored = clips.mirrored_labels
        return torch.stack([clips.labels, mirrored]), mirrored >= 0

    def encode(self, requests: Sequence[str | int]) -> Tensor:
        """Names or ids → ``[N]``. An unknown one is an ``InputError``."""
        return torch.tensor([find_action(self.names, request) for request in requests])

    def to_plain(self) -> list[str]:
        """For a checkpoint; ``from_plain`` reads it."""
        return list(self.names)

    @classmethod
    def from_plain(cls, names: list[str]) -> "ActionVocabulary":
        return cls(tuple(map(printable, names)))
