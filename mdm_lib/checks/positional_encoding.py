"""Checks of the exercises on positional encoding."""

import math

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse
from mdm_lib.model import PositionalEncoding
from mdm_lib.motion.geometry import FPS

HALVES = "all sines come before all cosines; hand i has the neighbouring columns 2i and 2i + 1"
COSINES_FIRST = "cosines come first; the even columns 0, 2, 4, … are the sines"
NO_TWO = "the exponent is i/width; hand i has speed 10000^(-2i/width): where is the 2?"
TWO_TWICE = "the exponent is twice too large: torch.arange(0, width, 2) already includes the 2"
QUICKER = "the hands get faster from left to right, not slower: is a minus missing in the exponent?"
NO_BASE = "the base is e, not 10000: exp(-2i/width) lacks a ln(10000)"
DEGREES = "the angles are in degrees; the formula has radians"


@check
def add_codes(answer):
    """``answer(tokens [B, F, E], table, starts [B])`` adds the codes of frames ``starts[b] … starts[b] + F - 1``."""
    table = PositionalEncoding(4).table[:40]
    starts = torch.tensor([0, 7, 30])
    for num_frames in (3, 5):  # first as many frames as clips, where a wrong axis raises no error
        tokens = torch.randn(3, num_frames, 4, generator=torch.Generator().manual_seed(0))
        before = tokens.clone()
        got = answer(tokens, table, starts)
        expect(torch.equal(tokens, before), "it changes the tokens it was given; += does that, + creates new ones")
        frames = torch.arange(num_frames)
        codes = table[starts[:, None] + frames]
        mistakes = {
            "the codes are missing; return tokens + codes": tokens,
            "these are only the codes; add them to the tokens": codes,
            "every window gets the codes of frames 0, 1, 2, …: did you use starts?": tokens + table[:num_frames],
            "a window's frames all get the code of its start; frame f of it is frame starts[b] + f of the clip": (
                tokens + table[starts][:, None]
            ),
            "the codes are one frame late: the first frame of window b is frame starts[b]": (
                tokens + table[starts[:, None] + frames + 1]
            ),
            "the codes go backwards in time: frame f of window b is frame starts[b] + f": (
                tokens + table[starts[:, None] - frames]
            ),
            "codes and tokens are multiplied; add them": tokens * codes,
        }
        if num_frames == len(starts):
            along_batch = "the codes run along the batch axis; the frame axis is the second"
            mistakes |= {
                f"{along_batch}, and every clip has its own starts[b]": tokens + table[frames][:, None],
                f"{along_batch}: rows [B, F] = starts as a column + frames as a row": tokens + codes.transpose(0, 1),
                "starts runs along the frame axis; it has one number per clip": tokens + table[starts],
            }
        _judge(got, tokens + codes, mistakes, "frame f of window b should get row starts[b] + f of the table")
    return "each frame has the code of its position in the whole clip, wherever its window begins"


@check
def code_at(answer):
    """``answer(seconds [N], width)`` is the sinusoidal code at 20 positions per second, ``[N, width]``."""
    by_hand = {HALVES: torch.tensor([[0.0, 0, 1, 1]]), COSINES_FIRST: torch.tensor([[1.0, 0, 1, 0]])}
    at_start = "at 0 seconds all angles are 0, so the code is 0, 1, 0, 1"
    _judge(answer(torch.zeros(1), 4), torch.tensor([[0.0, 1, 0, 1]]), by_hand, at_start)
    for seconds, width in [([0.0, 1 / FPS], 2), ([0.0, 0.05, 0.11, 1.0, 3.23], 8)]:
        seconds = torch.tensor(seconds)
        position = FPS * seconds
        wanted = _codes(position, width)
        pairs = wanted.unflatten(1, (-1, 2))
        mistakes = {
            "these are codes of the seconds themselves; a second has 20 positions": _codes(seconds, width),
            "this divides by 20; a position is seconds × 20": _codes(seconds / FPS, width),
            "the codes are one position late: 0 seconds is position 0": _codes(position + 1, width),
            DEGREES: _codes(position * math.pi / 180, width),
            "the hands are 2π times too fast: there is no 2π in the formula": _codes(position * 2 * math.pi, width),
            "the times are rounded to whole frames; the formula takes any number": _codes(position.round(), width),
            "the times are truncated to whole frames; the formula takes any number": _codes(position.floor(), width),
            HALVES: pairs.transpose(1, 2).flatten(1),
            COSINES_FIRST: pairs.flip(2).flatten(1),
            "the slow hands come first; hand 0 is the fastest": pairs.flip(1).flatten(1),
            NO_TWO: _codes(position, width, power=-0.5),
            TWO_TWICE: _codes(position, width, power=-2.0),
            QUICKER: _codes(position, width, power=1.0),
            NO_BASE: _codes(position, width, base=math.e),
        }
        _judge(answer(seconds, width), wanted, mistakes, f"the codes of {seconds.tolist()} s, width {width}, are wrong")
    wanted = PositionalEncoding(66).table[:60]
    expect_close(answer(torch.arange(60) / FPS, 66), wanted, "at whole frames it should be the package's table")
    return "at whole frames it is the package's table, and between them it is continuous"


@check
def shift_matrix(answer):
    """``answer(k, width) [width, width]`` maps the code of any p to the code of p + k."""
    unchanged = "a shift by 0 frames should leave every code unchanged, as torch.eye(4) does"
    expect_close(answer(0, 4), torch.eye(4), unchanged)
    for k, width in [(1, 2), (5, 8), (-3, 6)]:
        wanted = _rotations(k, width)
        halves = torch.cat([torch.arange(0, width, 2), torch.arange(1, width, 2)])
        mistakes = {
            "it goes back by k frames, not forward: which of the two sines has the minus?": wanted.T,
            "both sines have the same sign; in a rotation one is negative": _rotations(k, width, lower=1.0),
            "both sines are negative; in a rotation one is positive": _rotations(-k, width, lower=1.0),
            "all hands turn by the same angle; hand i turns by k · 10000^(-2i/width)": _rotations(k, width, power=0.0),
            HALVES: wanted[halves][:, halves],
            NO_TWO: _rotations(k, width, power=-0.5),
            TWO_TWICE: _rotations(k, width, power=-2.0),
            QUICKER: _rotations(k, width, power=1.0),
            NO_BASE: _rotations(k, width, base=math.e),
            DEGREES: _rotations(k * math.pi / 180, width),
        }
        _judge(answer(k, width), wanted, mistakes, f"the matrix is wrong for k = {k}, width {width}")
    table = PositionalEncoding(64).table  # its angles reach 1000 radians: float32 keeps four digits after the point
    wanted = table[40:1040]
    expect_close(table[:1000] @ answer(40, 64).T, wanted, "it should map each row of the table 40 rows on", 1e-3)
    return "one matrix shifts every code by k frames, anywhere in the clip"


def _codes(position: Tensor, width: int, power: float = -1.0, base: float = 10000.0) -> Tensor:
    """The code by the formula, or by a wrong one: hand i has speed base^(power · 2i/width)."""
    angle = position[:, None] * _speeds(width, power, base)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def _rotations(k: float, width: int, power: float = -1.0, base: float = 10000.0, lower: float = -1.0) -> Tensor:
    """The blocks (cos, sin; lower · sin, cos) along the diagonal, with the speeds of ``_codes``."""
    blocks = []
    for angle in k * _speeds(width, power, base):
        sin, cos = angle.sin(), angle.cos()
        blocks.append(torch.stack([torch.stack([cos, sin]), torch.stack([lower * sin, cos])]))
    return torch.block_diag(*blocks)


def _speeds(width: int, power: float, base: float) -> Tensor:
    return base ** (power * torch.arange(0, width, 2) / width)


def _judge(got: Tensor, wanted: Tensor, mistakes: dict[str, Tensor], complaint: str) -> None:
    """``expect_close``, with a message for each known mistake, given by its numbers."""
    expect_close(got, wanted, complaint, tolerance=math.inf)  # the shape, and NaN
    for words, numbers in mistakes.items():
        if not torch.allclose(numbers, wanted, atol=1e-3):
            refuse(got, numbers, words)
    expect_close(got, wanted, complaint)
