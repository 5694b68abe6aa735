"""How a check speaks: what is still to do, what is right, and what is wrong in words that help.

A check is a function with ``@check`` that is given the reader's answer, tries it with ``expect`` and ``expect_close``
from basic to subtle, and returns a sentence on what is now known to be right.
"""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor


class WrongAnswer(AssertionError):
    """An answer is wrong; the message says what about it. Notebooks show the message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check(function: Callable[..., str]) -> Callable[..., None]:
    """Make a check of ``function``: it prints ✔ and what it returns, or ○ while an answer is still to be written.

    An answer is still to be written while it is ``...`` or ``None``, returns one of these, or raises
    ``NotImplementedError``. What else an answer raises is the reader's to see.

    Raises:
        WrongAnswer: from the check, when the answer is wrong.
    """
    name = function.__name__

    @wraps(function)
    def run(*answers) -> None:
        try:
            praise = function(*map(_written, answers))
        except NotImplementedError:
            print(f"○ {name}: still to do")
        except WrongAnswer as wrong:
            raise WrongAnswer(f"✗ {name}: {wrong}") from None
        else:
            print(f"✔ {name}: {praise}")

    return run


def expect(condition: bool | Tensor, complaint: str) -> None:
    """Raise ``WrongAnswer(complaint)`` unless ``condition`` holds."""
    if not condition:
        raise WrongAnswer(complaint)


def expect_close(got, wanted: Tensor | float, complaint: str, tolerance: float = 1e-4) -> None:
    """Raise ``WrongAnswer`` unless ``got`` has ``wanted``'s shape, is finite, and equals it within ``tolerance``.

    Wrong shapes and NaN have messages of their own; ``complaint`` is for wrong numbers, of which the largest
    difference is told as well.
    """
    wanted = torch.as_tensor(wanted)
    expect(isinstance(got, Tensor | float | int), f"it should give a tensor, it gives a {type(got).__name__}")
    got = torch.as_tensor(got)
    shape = list(got.shape)
    expect(got.shape == wanted.shape, f"the shape should be {list(wanted.shape)}, it is {shape}")
    expect(got.isfinite().all(), "there are NaN or infinite numbers in it; is something divided by zero?")
    gap = float((got.double() - wanted.double()).abs().max()) if got.numel() else 0.0
    expect(gap <= tolerance, f"{complaint} (largest difference {gap:.2g})")


def refuse(got, wrong: Tensor | float, complaint: str) -> None:
    """Raise ``WrongAnswer(complaint)`` if ``got`` is ``wrong``, the numbers that a typical mistake gives.

    A ``wrong`` of one number stands for any shape full of it. What is no tensor or number is left to ``expect_close``.
    """
    if not isinstance(got, Tensor | float | int):
        return
    got, wrong = torch.as_tensor(got).float(), torch.as_tensor(wrong).float()
    wrong = wrong.expand(got.shape) if wrong.dim() == 0 else wrong
    alike = got.shape == wrong.shape and torch.allclose(got, wrong, rtol=0, atol=1e-4, equal_nan=True)
    expect(not alike, complaint)


def _written(answer):
    """``answer``, if it is there; a function that raises ``NotImplementedError`` once it gives nothing."""
    if answer is None or answer is ...:
        raise NotImplementedError
    if not callable(answer) or isinstance(answer, type):
        return answer

    @wraps(answer)
    def watched(*arguments, **keywords):
        result = answer(*arguments, **keywords)
        if result is None or result is ...:
            raise NotImplementedError
        return result

    return watched
