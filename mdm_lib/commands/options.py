"""Shared by several commands: options, one-line errors, and a progress bar."""

import warnings
from collections import deque

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
