"""What a model is told. A new condition is a file here and a line in ``VOCABULARIES``.

A condition has two halves. The *module* is a part of the network: ``module(c [B, ...])`` gives K tokens ``[B, K, E]``
and which of them may be looked at (``[B, K]``, or ``None`` for all); ``module.drop(c, where [B])`` gives ``c`` with
nothing in particular asked for where ``where`` is True; ``module.name`` and ``module.num_tokens``, the most that K can
be, are for pictures and limits. The *vocabulary* translates clips (``of_clips``) and what somebody asks for
(``encode``) into the tensor ``c``, whose first axis is the batch. It is fitted on the training clips, and a checkpoint
carries it as plain values.
"""

from mdm_lib.conditions.action import ActionVocabulary
from mdm_lib.model import ActionCondition

VOCABULARIES = {"action": ActionVocabulary}

__all__ = ["VOCABULARIES", "ActionCondition", "ActionVocabulary"]
