"""The denoiser: a Transformer encoder that sees a noisy motion and answers with the clean one."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PositionalEncoding(nn.Module):
    """Adds a sinusoidal code of its place to every token (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, latent_dim: int, dropout: float = 0.1, max_len: int = 5000):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        frequency = torch.exp(torch.arange(0, latent_dim, 2) * (-math.log(10000.0) / latent_dim))
        table = torch.zeros(max_len, latent_dim)
        table[:, 0::2] = torch.sin(position * frequency)
        table[:, 1::2] = torch.cos(position * frequency)
        self.register_buffer("table", table, persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, L, E]`` → ``[B, L, E]``."""
        return self.dropout(x + self.table[: x.shape[1]])


class Block(nn.Module):
    """One pre-norm Transformer encoder block: x + attention(norm(x)), then x + mlp(norm(x)).

    The numbers are those of ``nn.TransformerEncoderLayer(norm_first=True)``, except that
    attention weights are not dropped out: that would forbid the fused kernel.
    """

    def __init__(self, latent_dim: int, num_heads: int, ff_size: int, dropout: float):
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(latent_dim)
        self.qkv = nn.Linear(latent_dim, 3 * latent_dim)
        self.out = nn.Linear(latent_dim, latent_dim)
        self.norm2 = nn.LayerNorm(latent_dim)
        self.mlp = nn.Sequential(
            nn.Linear(latent_dim, ff_size), nn.GELU(), nn.Dropout(dropout), nn.Linear(ff_size, latent_dim)
        )
        self.dropout = nn.Dropout(dropout)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of normalised ``x [B, L, E]``, each ``[B, heads, L, E / heads]``."""
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1))
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """``x [B, L, E]``, ``key_mask [B, 1, 1, L]`` True where a token may be looked at."""
        q, k, v = self.heads(x)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=None if key_mask is None else key_mask.bool())
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.norm2(x)))

    def attention_map(self, x: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """The weights softmax(QKᵀ/√d) that the fused attention hides: ``[B, heads, L, L]``, rows sum to 1."""
        q, k, _ = self.heads(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if key_mask is not None:
            scores = scores.masked_fill(~key_mask.bool(), -torch.inf)
        return scores.softmax(-1)


class ActionCondition(nn.Module):
    """An action as one token: a row of a table. Any module with its methods is a condition (``mdm_lib.conditions``)."""

    name, num_tokens = "action", 1

    def __init__(self, num_actions: int, latent_dim: int):
        super().__init__()
        self.null_action = num_actions
        self.table = nn.Embedding(num_actions + 1, latent_dim)

    def forward(self, action: Tensor) -> tuple[Tensor, Tensor | None]:
        """``action [B]`` → tokens ``[B, 1, E]``, and which of them may be looked at: ``None``, all."""
        return self.table(action)[:, None], None

    def drop(self, action: Tensor, where: Tensor) -> Tensor:
        """``action [B]``; where ``where [B]`` is True, the null action: the table's last row."""
        return torch.where(where, self.null_action, action)


class MDM(nn.Module):
    """Human Motion Diffusion Model (Tevet et al. 2023, section 3), whatever it is conditioned on.

    Args:
        num_actions, num_joints: number of labels, for the condition that is made where none is given; J.
        latent_dim, num_layers, num_heads, ff_size, dropout: sizes of the Transformer; the defaults are the paper's.
        num_features: D, the numbers of a frame; ``None`` means the positions, J × 3.
        condition: a module ``c -> (tokens [B, K, E], which may be looked at [B, K])``; ``None``: ``ActionCondition``.
    """

    def __init__(
        self, num_actions: int, num_joints: int, latent_dim: int = 512, num_layers: int = 8, num_heads: int = 4,
        ff_size: int = 1024, dropout: float = 0.1, num_features: int | None = None, condition: nn.Module | None = None,
    ):  # fmt: skip
        super().__init__()
        num_features = num_joints * 3 if num_features is None else num_features
        self.condition = ActionCondition(num_actions, latent_dim) if condition is None else condition
        self.time_token = nn.Sequential(nn.Linear(latent_dim, latent_dim), nn.SiLU(), nn.Linear(latent_dim, latent_dim))
        self.frame_tokens = nn.Linear(num_features, latent_dim)
        self.positional_encoding = PositionalEncoding(latent_dim, dropout)
        self.blocks = nn.ModuleList(Block(latent_dim, num_heads, ff_size, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(latent_dim)
        self.to_features = nn.Linear(latent_dim, num_features)

    def tokens(self, x_t: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        """The sequence: K condition tokens, time, F frames, ``[B, K + 1 + F, E]``; and the condition's mask ``[B, K]``.
        (The paper adds condition and time into one token, so that its sequence has F + 1.)"""
        told, told_mask = self.condition(condition)
        time = self.time_token(self.positional_encoding.table[t])[:, None]
        x = torch.cat([told, time, self.frame_tokens(x_t.to(told.dtype))], dim=1)
        return self.positional_encoding(x), told_mask

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """Predict the clean motion: pred_x0 ``[B, F, D]``.

        Args:
            x_t, t: ``[B, F, D]`` noisy features, ``[B]`` timesteps.
            condition: ``[B, ...]`` what ``self.condition`` takes: labels ``[B]`` of actions.
            mask: ``[B, F]`` bool, True = real frame; ``None``: all are real.
        """
        x, told_mask = self.tokens(x_t, t, condition)
        key_mask = join_masks(x, told_mask, mask)
        for block in self.blocks:
            x = block(x, key_mask)
        with torch.autocast(x.device.type, enabled=False):  # velocities are small differences of its numbers
            return self.to_features(self.norm(x.to(self.norm.weight.dtype))[:, -x_t.shape[1] :])


def join_masks(x: Tensor, told_mask: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Which of all tokens ``x`` may be looked at, ``[B, 1, 1, K + 1 + F]``, from the condition's ``[B, K]`` and the
    frames' ``[B, F]``; ``None`` is all. The time may always be looked at."""
    if told_mask is None and mask is None:
        return None
    keys = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if told_mask is not None:
        keys[:, : told_mask.shape[1]] = told_mask
    if mask is not None:
        keys[:, -mask.shape[1] :] = mask
    return keys[:, None, None]
