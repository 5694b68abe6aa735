"""Inside a model: its attention weights and the names of its tokens."""

import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.model import MDM, join_masks


@torch.no_grad()
def attention(checkpoint: Checkpoint, x_t: Tensor, t: int, condition: str | int, layer: int) -> Tensor:
    """Attention weights between the tokens of one noisy motion, in one layer of the model.

    Args:
        x_t: ``[1, F, D]`` features at step ``t``.
        condition: as for ``sample``.
        layer: index of the layer, from 0.

    Returns:
        ``[heads, K+1+F, K+1+F]`` on the CPU; rows are queries and sum to 1; ``told_names`` names the first tokens.
    """
    model, device = checkpoint.model.eval(), checkpoint.representation.mean.device
    times, told = torch.tensor([t], device=device), checkpoint.vocabulary.encode([condition]).to(device)
    x, told_mask = model.tokens(x_t.to(device), times, told)
    key_mask = join_masks(x, told_mask, None)
    for block in model.blocks[:layer]:
        x = block(x, key_mask)
    return model.blocks[layer].attention_map(x, key_mask)[0].cpu()


def told_names(model: MDM) -> tuple[str, ...]:
    """Names of the tokens before the frames: the condition's, numbered if there are several, and the time."""
    name, count = model.condition.name, model.condition.num_tokens
    return (*([name] if count == 1 else [f"{name} {k}" for k in range(1, count + 1)]), "time")
