"""Shared by several commands: options, one-line errors, and a progress bar."""

import os
import sys
import warnings
from collections import deque
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import click
import numpy as np
from tqdm import tqdm

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.errors import InputError
from mdm_lib.runtime import PRECISIONS
from mdm_lib.sampling import Request, Sampling, finish, sample

device_option = click.option("--device", help="cpu, cuda or mps; default: the fastest available.")
precision_option = click.option(
    "--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True,
    help="auto: bfloat16 where the hardware supports it well.",
)  # fmt: skip


@contextmanager
def outliving_its_terminal():
    """What is printed inside may have no reader (``| head``, a closed terminal, a full disk behind ``> log``)."""
    with redirect_stdout(_Lasting(sys.stdout)), redirect_stderr(_Lasting(sys.stderr)):
        yield


class _Lasting:
    """An output stream; once nobody can read it any more, what is written goes nowhere."""

    def __init__(self, stream):
        # Python's stream is None where it was closed from the start
        self._stream = stream or open(os.devnull, "w")  # noqa: SIM115

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._silenced_when_gone():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._silenced_when_gone():
            self._stream.flush()

    @contextmanager
    def _silenced_when_gone(self):
        try:
            yield
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # what is still in its buffer, too, else Python's end complains
            os.close(nowhere)


class OneLineErrors(click.Group):
    """A group whose commands print an ``InputError`` as one line and exit with code 2."""

    def invoke(self, ctx: click.Context):
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: click.echo(f"warning: {message}", err=True)
                return super().invoke(ctx)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)


def sample_with_bar(model: Checkpoint, condition: Request, num_samples: int, sampling: Sampling) -> np.ndarray:
    """``generate`` with a progress bar: ``[N, F, J, 3]``, metres."""
    sampling = sampling.planned(model)
    steps = sample(model, condition, num_samples, sampling)
    last = deque(tqdm(steps, total=len(sampling.timesteps), unit="step", disable=None), maxlen=1).pop()
    return finish(model, last.pred_x0, sampling.lengths).numpy()
