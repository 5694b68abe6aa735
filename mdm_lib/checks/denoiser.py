"""Checks of the exercises on the denoiser."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse
from mdm_lib.model import MDM, Block


@check
def attention(answer):
    """``answer(q, k, v, mask)``: q, k, v ``[B, L, d]``, mask ``[B, L]`` True = may be attended to."""
    q, k, v = (draws(2, 5, 9, seed=seed) for seed in range(3))
    everyone = torch.ones(2, 5, dtype=torch.bool)
    silent = answer(torch.zeros_like(q), k, v, everyone)
    nothing = isinstance(silent, Tensor) and bool(((silent == 0) | silent.isnan()).all())
    expect(not nothing, "with a mask that is True everywhere, nothing is attended to: the mask is the wrong way "
           "round, True marks keys that may be attended to")  # fmt: skip
    expect_close(silent, v.mean(1, keepdim=True).expand_as(v), "queries of zeros weight all keys equally, so each "
                 "token should get the mean of all values")  # fmt: skip

    scores = q @ k.transpose(1, 2)
    recognise(answer(q, k, v, everyone), (scores / 3).softmax(-1) @ v, {
        "your softmax runs over the queries: each row of weights belongs to one query and must sum to 1, so take "
        "softmax over the last axis": (scores / 3).softmax(-2) @ v,
        "these are the values without the scale: divide the scores by √d before the softmax": scores.softmax(-1) @ v,
        "you divide by d; it should be the square root of d, here 3 for d = 9": (scores / 9).softmax(-1) @ v,
    })  # fmt: skip

    mask = torch.arange(5) < torch.tensor([[5], [3]])
    hidden = (scores / 3).masked_fill(~mask[:, None], -torch.inf)
    wrong_way = (scores / 3).masked_fill(mask[:, None], -torch.inf)[1]
    zeros = (scores / 3).masked_fill(~mask[:, None], 0)
    cut = (scores / 3).softmax(-1) * mask[:, None]
    got = answer(q, k, v, mask)
    recognise(got[1], hidden.softmax(-1)[1] @ v[1], {
        "the mask is the wrong way round: True marks keys that may be attended to, so hide where it is False":
            wrong_way.softmax(-1) @ v[1],
        "the mask changes nothing: hidden keys still get weight": (scores / 3).softmax(-1)[1] @ v[1],
        "a score of 0 hides nothing, since e⁰ = 1 is an ordinary weight: hidden scores must become -inf":
            zeros.softmax(-1)[1] @ v[1],
        "you set weights to 0 after the softmax, so the rest do not sum to 1: set scores to -inf before it":
            cut[1] @ v[1],
    })  # fmt: skip
    recognise(got, hidden.softmax(-1) @ v, {})
    return "softmax(QKᵀ/√d)V: each row sums to 1, and hidden keys get no weight"


@check
def multi_head(answer):
    """``answer(q, k, v, num_heads)``: all ``[B, L, E]``, and the result too."""
    q, k, v = (draws(2, 6, 8, seed=seed) for seed in range(3))
    expect_close(answer(q, k, v, 1), F.scaled_dot_product_attention(q, k, v), "with one head it should be ordinary "
                 "attention")  # fmt: skip

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (2, -1)).transpose(1, 2)  # [B, heads, L, d]

    def cut_across(x: Tensor) -> Tensor:
        return x.reshape(2, 2, 6, 4)  # the mistake: heads made of neighbouring tokens

    attended = F.scaled_dot_product_attention(split(q), split(k), split(v))
    across = F.scaled_dot_product_attention(*map(cut_across, (q, k, v)))
    whole_width = F.scaled_dot_product_attention(split(q), split(k), split(v), scale=1 / math.sqrt(8))
    recognise(answer(q, k, v, 2), attended.transpose(1, 2).flatten(2), {
        "you scale by the whole width: a head's query has d = E / heads elements, so divide by √d":
            whole_width.transpose(1, 2).flatten(2),
        "your heads are cut across tokens: a reshape straight to [B, heads, L, d] mixes frames; first unflatten the "
        "last axis to [B, L, heads, d], then transpose":
            torch.stack([across.reshape(2, 6, 8), across.transpose(1, 2).flatten(2)]),
        "afterwards, a token's heads must be side by side again: transpose to [B, L, heads, d] before you flatten":
            attended.reshape(2, 6, 8),
        "it still has one head: num_heads changes nothing": F.scaled_dot_product_attention(q, k, v),
    })  # fmt: skip
    expect_close(
        answer(q, k, v, 8),
        F.scaled_dot_product_attention(*(x.transpose(1, 2)[..., None] for x in (q, k, v)))[..., 0].transpose(1, 2),
        "two heads are right, eight are not: is a number of heads or of tokens written into your code?",
    )
    return "each head attends with its own part of the width, and the parts are side by side again"


@check
def post_norm(answer):
    """``answer(block, x)`` ``[B, L, E]`` → ``[B, L, E]``, norms after the residual sums."""
    block = moved(Block(8, num_heads=2, ff_size=16, dropout=0.0))
    x = draws(2, 5, 8, seed=1)

    def attend(x: Tensor) -> Tensor:
        q, k, v = block.qkv(x).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return block.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def wholly(x: Tensor) -> Tensor:
        x = block.norm1(x + attend(x))
        return block.norm2(x + block.mlp(x))

    with torch.no_grad():
        first = block.norm1(x + attend(x))
        no_first, normed_twice = block.norm1(attend(x)), block.norm1(x + attend(block.norm1(x)))
        recognise(answer(block, x), wholly(x), {
            "that is pre-norm, the block of the chapter: here the norm comes after the sum, norm(x + …)": block(x),
            "both residuals are missing: add the inputs of attention and of mlp to their outputs":
                block.norm2(block.mlp(no_first)),
            "the first residual is missing: norm1(x + attention(x))": block.norm2(no_first + block.mlp(no_first)),
            "the second residual is missing: norm2(x + mlp(x))": block.norm2(block.mlp(first)),
            "attention gets normalised x: block.heads(x) includes norm1, so use block.qkv(x) directly":
                block.norm2(normed_twice + block.mlp(normed_twice)),
            "the second norm is missing": first + block.mlp(first),
        })  # fmt: skip
    return "norm after each sum: the block of Vaswani et al., and of the MDM authors' code"


@check
def denoise(answer):
    """``answer(model, x_t, t, action, mask)`` → pred_x0 ``[B, F, D]``, as ``MDM.forward``."""
    model = moved(MDM(3, 22, latent_dim=16, num_layers=2, num_heads=2, ff_size=32, dropout=0.0, num_features=5))
    x_t, t, action = draws(2, 6, 5, seed=1), torch.tensor([4, 9]), torch.tensor([0, 2])
    mask = torch.arange(6) < torch.tensor([[6], [4]])

    def finish(x: Tensor) -> Tensor:
        return model.to_features(model.norm(x))

    def blocks(key_mask: Tensor | None) -> Tensor:
        x, _ = model.tokens(x_t, t, action)
        for block in model.blocks:
            x = block(x, key_mask)
        return x

    with torch.no_grad():
        unmasked = blocks(None)
        got = answer(model, x_t, t, action, None)
        expect(
            not isinstance(got, Tensor) or got.shape[1] != 8,
            "there are F + 2 frames in your answer: at the end, drop the first two tokens, action and time",
        )
        recognise(got, model(x_t, t, action), {
            "you dropped the last two tokens: action and time are the first two": finish(unmasked)[:, :-2],
            "the final LayerNorm is missing: model.norm comes after the last block":
                model.to_features(unmasked)[:, 2:],
            "only the first block was run: go through all of model.blocks":
                finish(model.blocks[0](model.tokens(x_t, t, action)[0]))[:, 2:],
        })  # fmt: skip
        try:
            got = answer(model, x_t, t, action, mask)
        except RuntimeError as error:
            expect(False, "with a mask it fails: the blocks get F + 2 tokens, so the mask [B, F] needs two more at "
                   f"the front, and the shape [B, 1, 1, F + 2] (torch says: {error})")  # fmt: skip
        _recognise_masks(got, model, (x_t, t, action, mask), finish, blocks)
    return "tokens, blocks, norm, two tokens dropped, D features, and no attention to padding"


def _recognise_masks(got, model: MDM, batch: tuple[Tensor, ...], finish, blocks) -> None:
    """``got`` must be the masked answer to ``batch`` (x_t, t, action, mask), or a known mistake is named."""
    *asked, mask = batch
    padded = F.pad(mask, (2, 0), value=True)[:, None, None]
    recognise(got, model(*batch), {
        "the mask changes nothing: pass it to every block": finish(blocks(None))[:, 2:],
        "the mask is the wrong way round: True = real frame, and in the blocks too True = may be attended to":
            finish(blocks(F.pad(~mask, (2, 0), value=True)[:, None, None]))[:, 2:],
        "you hide the two condition tokens: pad the mask with True for them":
            finish(blocks(F.pad(mask, (2, 0))[:, None, None]))[:, 2:],
        "the two condition tokens are at the front, but you padded the mask at its end":
            finish(blocks(F.pad(mask, (0, 2), value=True)[:, None, None]))[:, 2:],
        "only the first block was given the mask":
            finish(model.blocks[1](model.blocks[0](model.tokens(*asked)[0], padded)))[:, 2:],
    })  # fmt: skip


def draws(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers, the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def moved(model: torch.nn.Module) -> torch.nn.Module:
    """``model`` with all parameters random: norms start at 1 and 0, which would hide a mix-up."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def recognise(got, right: Tensor, mistakes: dict[str, Tensor]) -> None:
    """``got`` must be ``right``; if it is the result of a known mistake (one tensor, or several stacked), say which."""
    if isinstance(got, Tensor) and got.shape == right.shape:
        for complaint, numbers in mistakes.items():
            for wrong in numbers.reshape(-1, *right.shape):
                refuse(got, wrong, complaint)
    expect_close(got, right, "the values differ from the package's")
