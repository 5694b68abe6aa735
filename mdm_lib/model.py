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
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=key_mask)
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.norm2(x)))

    def attention_map(self, x: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """The weights softmax(QKᵀ/√d) that the fused attention hides: ``[B, heads, L, L]``, rows sum to 1."""
        q, k, _ = self.heads(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if key_mask is not None:
            scores = scores.masked_fill(~key_mask, -torch.inf)
        return scores.softmax(-1)


class MDM(nn.Module):
    """Human Motion Diffusion Model (Tevet et al. 2023, section 3), conditioned on an action.

    Args:
        num_actions: number of labels; one more row of the table is the dropped condition.
        num_joints: J.
        latent_dim, num_layers, num_heads, ff_size, dropout: sizes of the Transformer.
        num_features: D, the numbers of a frame; ``None`` means the positions, J × 3.
    """

    def __init__(
        self, num_actions: int, num_joints: int, latent_dim: int = 512, num_layers: int = 8,
        num_heads: int = 4, ff_size: int = 1024, dropout: float = 0.1, num_features: int | None = None,
    ):  # fmt: skip
        super().__init__()
        num_features = num_joints * 3 if num_features is None else num_features
        self.null_action = num_actions
        self.action_token = nn.Embedding(num_actions + 1, latent_dim)
        self.time_token = nn.Sequential(nn.Linear(latent_dim, latent_dim), nn.SiLU(), nn.Linear(latent_dim, latent_dim))
        self.frame_tokens = nn.Linear(num_features, latent_dim)
        self.positional_encoding = PositionalEncoding(latent_dim, dropout)
        self.blocks = nn.ModuleList(Block(latent_dim, num_heads, ff_size, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(latent_dim)
        self.to_features = nn.Linear(latent_dim, num_features)

    def tokens(self, x_t: Tensor, t: Tensor, action: Tensor) -> Tensor:
        """The sequence the Transformer reads: action, time, F frames → ``[B, F + 2, E]``."""
        time_code = self.positional_encoding.table[t]
        condition = torch.stack([self.action_token(action), self.time_token(time_code)], dim=1)
        return self.positional_encoding(torch.cat([condition, self.frame_tokens(x_t)], dim=1))

    def forward(self, x_t: Tensor, t: Tensor, action: Tensor, mask: Tensor | None = None) -> Tensor:
        """Predict the clean motion.

        Args:
            x_t: ``[B, F, D]`` noisy features.
            t: ``[B]`` timesteps.
            action: ``[B]`` labels; ``null_action`` where the condition is dropped.
            mask: ``[B, F]`` bool, True = real frame; ``None``: all are real.

        Returns:
            pred_x0 ``[B, F, D]``.
        """
        x = self.tokens(x_t, t, action)
        if mask is not None:  # the two condition tokens may always be looked at
            mask = F.pad(mask, (2, 0), value=True)[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask)
        with torch.autocast(x.device.type, enabled=False):  # velocities are small differences of its numbers
            return self.to_features(self.norm(x.float())[:, 2:])
