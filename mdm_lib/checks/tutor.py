"""The messages of checks: what is still to do, what is right, and what is wrong, with a hint.

A check is a function with ``@check`` that takes the reader's answer, tests it with ``expect`` and ``expect_close``,
basic mistakes first, and returns a sentence that says what is right.
"""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor


class WrongAnswer(AssertionError):
    """An answer is wrong; the message says why. Notebooks show only the message, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check(function: Callable[..., str]) -> Callable[..., None]:
    """Turn ``function`` into a check: it prints ✔ and the returned sentence, or ○ while an answer is unwritten.

    An answer is unwritten while it is ``...`` or ``None``, returns one of these, or raises
    ``NotImplementedError``. Any other exception of an answer is passed on to the reader.

    Raises:
        WrongAnswer: by the check, if the answer is wrong.
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

    Wrong shapes and NaN have their own messages; ``complaint`` is for wrong numbers, and the largest difference
    is added to it.
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
    """Raise ``WrongAnswer(complaint)`` if ``got`` equals ``wrong``, the result of a typical mistake.

    A scalar ``wrong`` is expanded to the shape of ``got``. Other types than tensors and numbers pass.
    """
    if not isinstance(got, Tensor | float | int):
        return
    got, wrong = torch.as_tensor(got).float(), torch.as_tensor(wrong).float()
    wrong = wrong.expand(got.shape) if wrong.dim() == 0 else wrong
    alike = got.shape == wrong.shape and torch.allclose(got, wrong, rtol=0, atol=1e-4, equal_nan=True)
    expect(not alike, complaint)


def _written(answer):
    """``answer``, if it is written; a function is wrapped to raise ``NotImplementedError`` if it returns nothing."""
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
