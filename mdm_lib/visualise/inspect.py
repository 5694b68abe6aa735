"""What goes on inside a model: who looks at whom."""

import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint


@torch.no_grad()
def attention(checkpoint: Checkpoint, x_t: Tensor, t: int, action: str | int, layer: int) -> Tensor:
    """How much each token of one noisy motion looks at each other one, in one layer of the model.

    Args:
        x_t: ``[1, F, D]`` features at step ``t``.
        action: name or id.
        layer: from 0.

    Returns:
        ``[heads, F+2, F+2]`` on the CPU, rows look and sum to 1; the first two tokens are action and time.
    """
    model, device = checkpoint.model.eval(), checkpoint.representation.mean.device
    times, labels = (torch.tensor([i], device=device) for i in (t, checkpoint.action_id(action)))
    x = model.tokens(x_t.to(device), times, labels)
    for block in model.blocks[:layer]:
        x = block(x)
    return model.blocks[layer].attention_map(x)[0].cpu()
