"""What several commands share: options, one-line errors, and a progress bar."""

from collections import deque

import click
import numpy as np
from tqdm import tqdm

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.errors import InputError
from mdm_lib.samplers import plan
from mdm_lib.sampling import finish, sample

device_option = click.option("--device", help="cpu, cuda or mps; default: the fastest there is.")
precision_option = click.option(
    "--precision", type=click.Choice(["auto", "bf16", "fp32"]), default="auto", show_default=True,
    help="auto: bfloat16 where the hardware is fast at it.",
)  # fmt: skip


class OneLineErrors(click.Group):
    """A group whose commands print what the user can mend as one line, and exit with code 2."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)


def sample_with_bar(model: Checkpoint, action, num_samples: int, route: dict, **options) -> np.ndarray:
    """``generate`` with a progress bar; ``route`` is what ``plan`` is asked for."""
    total = len(plan(model.scheduler, **route)[1])
    steps = tqdm(sample(model, action, num_samples, **route, **options), total=total, unit="step", disable=None)
    last = deque(steps, maxlen=1).pop()
    return finish(model, last.pred_x0).numpy()
