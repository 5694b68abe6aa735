"""The checks on positional encoding: right answers pass, and typical wrong ones are told what is wrong."""

import math

import pytest
import torch

from mdm_lib.checks import positional_encoding as checks
from mdm_lib.checks.tutor import WrongAnswer


def check_says(check, answer, says):
    with pytest.raises(WrongAnswer, match=says):
        check(answer)


# ---------------------------------------------------------------- add_codes


def add_codes(tokens, table, starts):
    return tokens + table[starts[:, None] + torch.arange(tokens.shape[1])]


def in_place(tokens, table, starts):
    tokens += table[starts[:, None] + torch.arange(tokens.shape[1])]
    return tokens


def test_add_codes_right(capsys):
    checks.add_codes(add_codes)
    checks.add_codes(
        lambda x, table, starts: torch.stack([c + table[s:][: len(c)] for c, s in zip(x, starts, strict=True)])
    )
    assert capsys.readouterr().out.count("✔ add_codes: ") == 2


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda x, table, starts: x, "the codes are missing"),
        (lambda x, table, starts: add_codes(0 * x, table, starts), "only the codes"),
        (lambda x, table, starts: x + table[: x.shape[1]], "did you use starts"),
        (lambda x, table, starts: x + table[starts][:, None], "all get the code of its start"),
        (lambda x, table, starts: add_codes(x, table, starts + 1), "one frame late"),
        (lambda x, table, starts: x + table[starts[:, None] - torch.arange(x.shape[1])], "go backwards in time"),
        (lambda x, table, starts: x + table[: len(x), None], "run along the batch axis.*starts"),
        (lambda x, table, starts: x + table[starts + torch.arange(x.shape[1])[:, None]], "batch axis.*as a column"),
        (lambda x, table, starts: x + table[starts], "starts runs along the frame axis"),
        (lambda x, table, starts: x * (add_codes(x, table, starts) - x), "multiplied"),
        (lambda x, table, starts: add_codes(x, table, starts)[0], r"shape should be \[3, 3, 4\]"),
        (lambda x, table, starts: add_codes(x, 2 * table, starts), "row starts"),
        (in_place, "changes the tokens"),
    ],
)
def test_add_codes_wrong(answer, says):
    check_says(checks.add_codes, answer, says)


# ---------------------------------------------------------------- code_at


def code_at(seconds, width, speeds=lambda i, width: 10000 ** (-2 * i / width), unit=1.0):
    angle = unit * 20 * seconds[:, None] * speeds(torch.arange(width // 2), width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def rearranged(change):
    return lambda seconds, width: change(code_at(seconds, width).unflatten(1, (-1, 2))).flatten(1)


def with_speeds(speeds):
    return lambda seconds, width: code_at(seconds, width, speeds)


def test_code_at_right(capsys):
    checks.code_at(code_at)
    checks.code_at(with_speeds(lambda i, width: torch.exp(-2 * i * math.log(10000) / width)))
    assert capsys.readouterr().out.count("✔ code_at: ") == 2


@pytest.mark.parametrize(
    "answer, says",
    [
        (rearranged(lambda pairs: pairs.transpose(1, 2)), "sines come before all cosines"),
        (rearranged(lambda pairs: pairs.flip(2)), "cosines come first"),
        (rearranged(lambda pairs: pairs.flip(1)), "slow hands come first"),
        (with_speeds(lambda i, width: 10000 ** (-i / width)), "where is the 2"),
        (with_speeds(lambda i, width: 10000 ** (-4 * i / width)), "twice too large"),
        (with_speeds(lambda i, width: 10000 ** (2 * i / width)), "faster from left to right"),
        (with_speeds(lambda i, width: torch.exp(-2 * i / width)), "base is e"),
        (lambda seconds, width: code_at(seconds / 20, width), "codes of the seconds themselves"),
        (lambda seconds, width: code_at(seconds / 400, width), "divides by 20"),
        (lambda seconds, width: code_at(seconds + 0.05, width), "0 seconds is 0|angles are 0"),
        (lambda seconds, width: code_at(seconds, width, unit=math.pi / 180), "degrees"),
        (lambda seconds, width: code_at(seconds, width, unit=2 * math.pi), "2π times too fast"),
        (lambda seconds, width: code_at((20 * seconds).round() / 20, width), "rounded"),
        (lambda seconds, width: code_at((20 * seconds).floor() / 20, width), "truncated to whole"),
        (lambda seconds, width: code_at(seconds, width)[:, ::2], r"shape should be \[1, 4\]"),
        (lambda seconds, width: code_at(seconds, width, unit=0.3), "are wrong"),
    ],
)
def test_code_at_wrong(answer, says):
    check_says(checks.code_at, answer, says)


# ---------------------------------------------------------------- shift_matrix


def shift_matrix(k, width, speeds=lambda i, width: 10000 ** (-2 * i / width), signs=(1, -1)):
    angle = k * speeds(torch.arange(width // 2), width)
    matrix = torch.zeros(width, width)
    matrix[0::2, 0::2] = matrix[1::2, 1::2] = torch.diag(angle.cos())
    matrix[0::2, 1::2] = signs[0] * torch.diag(angle.sin())
    matrix[1::2, 0::2] = signs[1] * torch.diag(angle.sin())
    return matrix


def in_halves(k, width):
    pairs = torch.arange(width).view(-1, 2).T.flatten()
    return shift_matrix(k, width)[pairs][:, pairs]


def turning(speeds):
    return lambda k, width: shift_matrix(k, width, speeds)


def test_shift_matrix_right(capsys):
    checks.shift_matrix(shift_matrix)
    assert capsys.readouterr().out.startswith("✔ shift_matrix: ")


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda k, width: shift_matrix(k, width).T, "goes back by k frames"),
        (lambda k, width: shift_matrix(k, width, signs=(1, 1)), "both sines have the same sign"),
        (lambda k, width: shift_matrix(k, width, signs=(-1, -1)), "both sines are negative"),
        (turning(lambda i, width: torch.ones(len(i))), "turn by the same angle"),
        (in_halves, "sines come before all cosines"),
        (turning(lambda i, width: 10000 ** (-i / width)), "where is the 2"),
        (turning(lambda i, width: 10000 ** (-4 * i / width)), "twice too large"),
        (turning(lambda i, width: 10000 ** (2 * i / width)), "faster from left to right"),
        (turning(lambda i, width: torch.exp(-2 * i / width)), "base is e"),
        (lambda k, width: shift_matrix(math.radians(k), width), "degrees"),
        (lambda k, width: shift_matrix(k + 1, width), "by 0 frames"),
        (lambda k, width: shift_matrix(k, 2), r"shape should be \[4, 4\]"),
        (lambda k, width: shift_matrix(2 * k, width), "is wrong for k = 1"),
    ],
)
def test_shift_matrix_wrong(answer, says):
    check_says(checks.shift_matrix, answer, says)
