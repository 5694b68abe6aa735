"""What a model is told. A new condition is a file here and a line in ``VOCABULARIES``.

A condition has two halves. The *module* is a part of the network:

- ``module(c [B, ...])`` gives K tokens ``[B, K, E]``, and which of them may be looked at, ``[B, K]`` or ``None`` (all);
- ``module.drop(c, where [B])`` gives ``c`` with nothing in particular asked for where ``where`` is True;
- ``module.name`` and ``module.num_tokens``, the most that K can be, are for pictures and limits.

The *vocabulary* translates clips and requests into the tensor ``c``. It is fitted on the training clips, and a
checkpoint carries it as plain values.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from mdm_lib.conditions.action import ActionVocabulary
from mdm_lib.model import ActionCondition
from mdm_lib.words import known

__all__ = ["VOCABULARIES", "ActionCondition", "ActionVocabulary", "Vocabulary", "vocabulary_of"]


class Vocabulary(Protocol):
    """What a condition's vocabulary must be able to do; ``ActionVocabulary`` is one."""

    keyword: str  # what ``sample`` may be asked by, as in ``sample(checkpoint, action="jump")``

    @classmethod
    def fit(cls, clips) -> "Vocabulary":
        """What some training ``MotionClips`` can be told by."""

    def condition(self, latent_dim: int) -> nn.Module:
        """An untrained condition for this vocabulary, whose tokens have E = ``latent_dim`` numbers."""

    def of_clips(self, clips) -> tuple[Tensor, Tensor]:
        """What is told of each clip and of its mirror image, ``[2, N, ...]``; and which may be mirrored, ``[N]``."""

    def encode(self, requests: Sequence) -> Tensor:
        """What somebody asks for → ``[N, ...]``; what cannot be asked for is an ``InputError``."""

    def to_plain(self) -> Any:
        """Lists, text and numbers, for a checkpoint."""

    @classmethod
    def from_plain(cls, values: Any) -> "Vocabulary":
        """What ``to_plain`` gave."""


#: By the name that ``Config.condition`` has for them.
VOCABULARIES: dict[str, type[Vocabulary]] = {"action": ActionVocabulary}


def vocabulary_of(name: str) -> type[Vocabulary]:
    """The vocabulary of a condition; an unknown name is an ``InputError``."""
    return VOCABULARIES[known("condition", name, VOCABULARIES)]
