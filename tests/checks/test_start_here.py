"""The checks of chapter 00 know right answers, and the usual wrong ones."""

import pytest

from mdm_lib.checks import start_here
from mdm_lib.checks.tutor import WrongAnswer


def test_right_answers_pass(capsys):
    start_here.rise(lambda m: m[:, :, 0, 1].amax(1) - m[:, :, 0, 1].amin(1))
    start_here.travel(lambda m: (m[:, -1, 0, [0, 2]] - m[:, 0, 0, [0, 2]]).norm(dim=-1))
    assert capsys.readouterr().out.count("✔") == 2


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (lambda m: m[..., 1].amax(1) - m[..., 1].amin(1), "take the pelvis"),
        (lambda m: m[:, -1, 0, 1] - m[:, 0, 0, 1], "compares the last frame with the first"),
        (lambda m: m[:, :, 0, 1].amax(1) - m[:, 0, 0, 1], "begins at the first frame"),
        (lambda m: m[:, :, 0, 2].amax(1) - m[:, :, 0, 2].amin(1), "compares the last"),
        (lambda m: m[:, :, 0, 1].amax() - m[:, :, 0, 1].amin(), "two numbers should come out"),
    ],
)
def test_wrong_rises(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        start_here.rise(answer)


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (lambda m: (m[:, -1, 0] - m[:, 0, 0]).norm(dim=-1), "height does not count"),
        (lambda m: (m[:, -1, 0, [0, 2]] - m[:, 0, 0, [0, 2]]).abs().sum(-1), "it adds x and z"),
        (lambda m: m[:, :, 0, [0, 2]].diff(dim=1).norm(dim=-1).sum(1), "should be 5 m"),
    ],
)
def test_wrong_travels(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        start_here.travel(answer)
