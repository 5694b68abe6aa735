"""The checks of chapter 04: right answers pass, and each typical mistake is told by name."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdm_lib.checks import denoiser as checks
from mdm_lib.checks.tutor import WrongAnswer
from mdm_lib.model import MDM

# attention -----------------------------------------------------------------------------------------------------------


def attention(q, k, v, mask, axis=-1, scale=None, hidden=-torch.inf, flip=False, late=False):
    """Right with its defaults; every argument is a mistake."""
    scores = q @ k.transpose(-2, -1) / (math.sqrt(q.shape[-1]) if scale is None else scale(q.shape[-1]))
    mask = mask[:, None] ^ flip
    if late:
        return (scores.softmax(axis) * mask) @ v
    return scores.masked_fill(~mask, hidden).softmax(axis) @ v


def fused(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])


@pytest.mark.parametrize("answer", [attention, fused])
def test_attention_passes(answer, capsys):
    checks.attention(answer)
    assert capsys.readouterr().out.startswith("✔ attention: softmax")


@pytest.mark.parametrize(
    "mistake, complaint",
    [
        ({"axis": -2}, "softmax runs over the queries"),
        ({"scale": lambda d: 1}, "without the scale"),
        ({"scale": lambda d: d}, "it should be the square root of d"),
        ({"hidden": 0}, "a score of 0 hides nothing"),
        ({"late": True}, "do not sum to 1"),
    ],
)
def test_attention_finds_the_mistake(mistake, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.attention(lambda *args: attention(*args, **mistake))


def flipped_where_it_can_be(q, k, v, mask):
    """True = hidden; where nothing is hidden, as without a mask."""
    return attention(q, k, v, mask, flip=not mask.all())


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (lambda q, k, v, mask: attention(q, k, v, mask, flip=True), "wrong way round"),
        (lambda q, k, v, mask: fused(q, k, v, ~mask), "wrong way round"),
        (flipped_where_it_can_be, "wrong way round"),
        (lambda q, k, v, mask: attention(q, k, v, torch.ones_like(mask)), "the mask changes nothing"),
        (lambda q, k, v, mask: attention(q, k, v, mask) / 3, "mean of all values"),
        (lambda q, k, v, mask: attention(q, k, v, mask)[0], "the shape should be"),
        (lambda q, k, v, mask: attention(q, k, v, mask) + q @ k.transpose(1, 2) @ v, "differ from the package's"),
    ],
)
def test_attention_finds_what_is_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.attention(answer)


# multi_head ----------------------------------------------------------------------------------------------------------


def split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def cut_across(x, heads):
    return x.reshape(len(x), heads, x.shape[1], -1)


def merge(x):
    return x.transpose(1, 2).flatten(2)


def merge_without_transpose(x):
    return x.reshape(len(x), x.shape[2], -1)


def multi_head(q, k, v, heads, take=split, give=merge, scale=None):
    return give(F.scaled_dot_product_attention(*(take(x, heads) for x in (q, k, v)), scale=scale))


def by_loop(q, k, v, heads):
    shares = zip(*(x.chunk(heads, dim=-1) for x in (q, k, v)), strict=True)
    return torch.cat([F.scaled_dot_product_attention(*share) for share in shares], dim=-1)


@pytest.mark.parametrize("answer", [multi_head, by_loop])
def test_multi_head_passes(answer, capsys):
    checks.multi_head(answer)
    assert capsys.readouterr().out.startswith("✔ multi_head")


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (lambda q, k, v, n: multi_head(q, k, v, n, scale=q.shape[-1] ** -0.5), "scale by the whole width"),
        (lambda q, k, v, n: multi_head(q, k, v, n, cut_across, merge_without_transpose), "cut across tokens"),
        (lambda q, k, v, n: multi_head(q, k, v, n, cut_across), "cut across tokens"),
        (lambda q, k, v, n: multi_head(q, k, v, n, give=merge_without_transpose), "heads must be side by side"),
        (lambda q, k, v, n: F.scaled_dot_product_attention(q, k, v), "it still has one head"),
        (lambda q, k, v, n: multi_head(q, k, v, min(n, 2)), "eight are not"),
        (lambda q, k, v, n: split(q, n), "the shape should be"),
        (lambda q, k, v, n: 2 * multi_head(q, k, v, n), "ordinary attention"),
    ],
)
def test_multi_head_finds_the_mistake(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.multi_head(answer)


# post_norm -----------------------------------------------------------------------------------------------------------


def attend(block, x):
    q, k, v = block.qkv(x).unflatten(-1, (3, block.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return block.out(merge(F.scaled_dot_product_attention(q, k, v)))


def post_norm(block, x, first=1, second=1, into=lambda block, x: x, last=lambda block, x: block.norm2(x)):
    """Right with its defaults; every argument is a mistake."""
    x = block.norm1(first * x + attend(block, into(block, x)))
    return last(block, second * x + block.mlp(x))


def torchs(block, x):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True)
    names = {
        "self_attn.in_proj_": block.qkv, "self_attn.out_proj.": block.out, "linear1.": block.mlp[0],
        "linear2.": block.mlp[3], "norm1.": block.norm1, "norm2.": block.norm2,
    }  # fmt: skip
    layer.load_state_dict({f"{name}{kind}": getattr(part, kind) for name, part in names.items() for kind in BOTH})
    return layer(x)


BOTH = ("weight", "bias")


@pytest.mark.parametrize("answer", [post_norm, torchs])
def test_post_norm_passes(answer, capsys):
    checks.post_norm(answer)
    assert capsys.readouterr().out.startswith("✔ post_norm")


@pytest.mark.parametrize(
    "mistake, complaint",
    [
        ({"first": 0, "second": 0}, "both residuals are missing"),
        ({"first": 0}, "the first residual is missing"),
        ({"second": 0}, "the second residual is missing"),
        ({"into": lambda block, x: block.norm1(x)}, "attention gets normalised x"),
        ({"last": lambda block, x: x}, "the second norm is missing"),
        ({"last": lambda block, x: block.norm1(x)}, "differ from the package's"),
    ],
)
def test_post_norm_finds_the_mistake(mistake, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.post_norm(lambda block, x: post_norm(block, x, **mistake))


def test_post_norm_knows_pre_norm():
    with pytest.raises(WrongAnswer, match="that is pre-norm"):
        checks.post_norm(lambda block, x: block(x))


# denoise -------------------------------------------------------------------------------------------------------------


def denoise(
    model, x_t, t, action, mask, pad=(2, 0), value=True, drop=slice(2, None), norm=True, flip=False,
    blocks=None, masked=None,
):  # fmt: skip
    """Right with its defaults; every argument after ``mask`` is a mistake."""
    x, _ = model.tokens(x_t, t, action)
    key_mask = None if mask is None else F.pad(mask ^ flip, pad, value=value)[:, None, None]
    for n, block in enumerate(model.blocks[:blocks]):
        x = block(x, key_mask if masked is None or n < masked else None)
    return model.to_features((model.norm(x) if norm else x)[:, drop])


@pytest.mark.parametrize("answer", [denoise, MDM.forward])
def test_denoise_passes(answer, capsys):
    checks.denoise(answer)
    assert capsys.readouterr().out.startswith("✔ denoise")


@pytest.mark.parametrize(
    "mistake, complaint",
    [
        ({"drop": slice(None)}, r"F \+ 2 frames in your answer"),
        ({"drop": slice(-2)}, "the last two tokens"),
        ({"norm": False}, "the final LayerNorm is missing"),
        ({"blocks": 1}, "only the first block was run"),
        ({"pad": (0, 0)}, "needs two more at the front"),
        ({"pad": (0, 2)}, "padded the mask at its end"),
        ({"value": False}, "hide the two condition tokens"),
        ({"flip": True}, "wrong way round"),
        ({"masked": 0}, "the mask changes nothing"),
        ({"masked": 1}, "only the first block was given the mask"),
    ],
)
def test_denoise_finds_the_mistake(mistake, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.denoise(lambda *args: denoise(*args, **mistake))


@pytest.mark.parametrize("check", [checks.attention, checks.multi_head, checks.post_norm, checks.denoise])
def test_unwritten_answers_are_no_error(check, capsys):
    check(lambda *args: None)
    assert "still to do" in capsys.readouterr().out
