"""The checks on full training: right answers pass, typical wrong ones are told what is wrong."""

import math

import pytest
import torch

from mdm_lib.checks import full_training as checks
from mdm_lib.checks.tutor import WrongAnswer


def timed(steps=lambda e, n, b: math.ceil(e * n / b), hours=lambda s, v: s / v / 3600):
    """Steps and hours, either of them replaceable."""
    return lambda e, n, b, v: (steps(e, n, b), hours(steps(e, n, b), v))


@pytest.mark.parametrize(
    "answer", [timed(), timed(lambda e, n, b: -(-e * n // b)), lambda *arguments: list(timed()(*arguments))]
)
def test_steps_and_hours_right(answer, capsys):
    checks.steps_and_hours(answer)
    assert capsys.readouterr().out.startswith("✔ steps_and_hours")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (timed(lambda e, n, b: e * n), "number of clips shown"),
        (timed(lambda e, n, b: e * math.ceil(n / b)), "every epoch is rounded up"),
        (timed(lambda e, n, b: e * (n // b)), "every epoch is rounded down"),
        (timed(lambda e, n, b: e * n // b), "round up"),
        (timed(lambda e, n, b: e * n / b), "is an integer"),
        (timed(lambda e, n, b: e * b), "it should be 60 steps"),
        (timed(hours=lambda s, v: s / v), "these are seconds"),
        (timed(hours=lambda s, v: s / v / 60), "these are minutes"),
        (timed(hours=lambda s, v: s * v / 3600), "divide by the steps per second"),
        (timed(hours=lambda s, v: s / 3600), "it should be 0.00833 h"),
        (lambda e, n, b, v: math.ceil(e * n / b), "two numbers"),
        (lambda e, n, b, v: ("many", 1.0), "it gives a str"),
    ],
)
def test_steps_and_hours_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.steps_and_hours(answer)


def bytes_of(learning=20, frozen=8, size=torch.Tensor.numel):
    return lambda model: sum((learning if w.requires_grad else frozen) * size(w) for w in model.parameters())


@pytest.mark.parametrize("answer", [bytes_of(), lambda model: float(bytes_of()(model))])
def test_training_bytes_right(answer, capsys):
    checks.training_bytes(answer)
    assert capsys.readouterr().out.startswith("✔ training_bytes")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (bytes_of(5, 2), "not bytes"),
        (bytes_of(40, 16), "eight bytes"),
        (bytes_of(10, 4), "two bytes per number"),
        (bytes_of(4, 4), "only the weights"),
        (bytes_of(8, 4), "two numbers per weight"),
        (bytes_of(12, 8), "three numbers per weight"),
        (bytes_of(16, 8), "one of the five is missing"),
        (bytes_of(size=lambda w: 1), "this counts tensors"),
        (bytes_of(size=lambda w: w.numel() * (w.dim() > 1)), "biases and norms"),
        (bytes_of(20, 20), "a frozen weight .* has no gradient"),
        (bytes_of(20, 0), "it is in the model and in the EMA"),
        (bytes_of(20, 4), "in the model and in the EMA: two numbers"),
        (bytes_of(20, 12), "with frozen weights"),
        (bytes_of(24), "it should be"),
        (lambda model: "much", "it gives a str"),
    ],
)
def test_training_bytes_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.training_bytes(answer)


def times(counts):
    return counts.max() / 2 / counts.clamp(min=1)


def in_place(counts):
    return (counts.max() / 2 / counts.clamp_(min=1)).round().long().clamp(min=1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda counts: times(counts).round().long().clamp(min=1),
        lambda counts: times(counts).clamp(min=1).round().int(),
        lambda counts: torch.tensor([max(1, round(int(counts.max()) / 2 / max(1, n))) for n in counts.tolist()]),
    ],
)
def test_copies_right(answer, capsys):
    checks.copies(answer)
    assert capsys.readouterr().out.startswith("✔ copies")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda c: times(c).round().long(), "shown 0 times"),
        (times, "a fractional number of times"),
        (lambda c: times(c).clamp(min=1), "a fractional number of times"),
        (lambda c: times(c).floor().long().clamp(min=1), "rounded down"),
        (lambda c: times(c).ceil().long(), "rounded up"),
        (lambda c: (2 * times(c)).round().long(), "half of it"),
        (lambda c: (c.float().mean() / c.clamp(min=1)).round().long().clamp(min=1), "not the mean"),
        (lambda c: (c.max() / 2 / c).round().clamp(min=1), "an action without clips|make them integers"),
        (lambda c: times(c).round().clamp(min=1), "make them integers"),
        (lambda c: c, "these are the counts"),
        (lambda c: c + 1, "for the counts"),
        (lambda c: times(c).sum(), "one number per action"),
        (lambda c: [1, 2], "it gives a list"),
        (in_place, "are changed"),
    ],
)
def test_copies_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.copies(answer)


@pytest.mark.parametrize("check", [checks.steps_and_hours, checks.training_bytes, checks.copies])
def test_stubs_are_still_to_do(check, capsys):
    check(lambda *arguments: ...)
    assert "still to do" in capsys.readouterr().out
