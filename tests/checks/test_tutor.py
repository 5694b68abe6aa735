"""How checks speak."""

import pytest
import torch

from mdm_lib.checks.tutor import WrongAnswer, check, expect, expect_close, refuse


@check
def double(answer):
    expect_close(answer(torch.tensor([1.0, 3.0])), torch.tensor([2.0, 6.0]), "each number should be twice as large")
    return "twice as large"


def test_right_answer_is_praised(capsys):
    double(lambda x: 2 * x)
    assert capsys.readouterr().out == "✔ double: twice as large\n"


def not_implemented(x):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [..., None, lambda x: None, lambda x: ..., not_implemented])
def test_unwritten_answer_is_no_error(stub, capsys):
    double(stub)
    assert capsys.readouterr().out == "○ double: still to do\n"


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (lambda x: 3 * x, r"✗ double: each number should be twice as large \(largest difference 3\)"),
        (lambda x: 2 * x[:1], r"✗ double: the shape should be \[2\], it is \[1\]"),
        (lambda x: x / 0 - x / 0, "✗ double: there are NaN or infinite"),
        (lambda x: "two", "✗ double: it should give a tensor, it gives a str"),
    ],
)
def test_wrong_answer_is_told_why(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint) as caught:
        double(answer)
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_readers_own_errors_are_theirs_to_see():
    with pytest.raises(ZeroDivisionError):
        double(lambda x: 1 / 0)


def test_expect():
    expect(torch.tensor(True), "no")
    with pytest.raises(WrongAnswer, match="no"):
        expect(torch.tensor(False), "no")


@pytest.mark.parametrize("got, wrong", [(torch.ones(2), torch.ones(2)), (torch.ones(2), 1.0), (3, 3.0),
                                        (torch.tensor([torch.nan, 1.0]), torch.tensor([torch.nan, 1.0]))])  # fmt: skip
def test_refuse_knows_a_typical_mistake(got, wrong):
    with pytest.raises(WrongAnswer, match="the root is missing"):
        refuse(got, wrong, "the root is missing")


@pytest.mark.parametrize("got", [torch.zeros(2), torch.ones(3), torch.tensor([1.0, 1.001]), "one", None])
def test_refuse_lets_all_else_pass(got):
    refuse(got, torch.ones(2), "no")
