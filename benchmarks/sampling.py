"""Four motions at paper size: the default sampler against a plain float32 loop over all 1,000 steps.

    python benchmarks/sampling.py

The plain loop is timed over 50 of its 1,000 equal steps and multiplied by 20. The network is untrained: quality is
another matter.
"""

import torch
from common import describe, side_by_side
from training_step import ACTIONS, FEATURES, FRAMES, PlainDenoiser

from mdm_lib import PRESETS, Checkpoint, generate, runtime
from mdm_lib.checkpoint import build
from mdm_lib.conditions import ActionVocabulary
from mdm_lib.samplers import DEFAULT_SAMPLER, plan
from mdm_lib.scheduler import NoiseScheduler

SAMPLES, PLAIN_STEPS = 4, 50


def untrained() -> Checkpoint:
    """A checkpoint of the paper's sizes."""
    config = PRESETS["paper"]
    vocabulary = ActionVocabulary(tuple(f"action {i}" for i in range(ACTIONS)))
    representation, model = build(config, vocabulary)
    return Checkpoint(config, vocabulary, representation, model, "untrained")


def plain_sampling():
    """A function that takes some steps of the plain loop."""
    model, scheduler = PlainDenoiser().eval(), NoiseScheduler(1000, "cosine")
    action = torch.full((SAMPLES,), 3)

    @torch.no_grad()
    def run():
        x = torch.randn(SAMPLES, FRAMES, FEATURES)
        for t in range(999, 999 - PLAIN_STEPS, -1):
            times = torch.full((SAMPLES,), t)
            x = scheduler.step(model(x, times, action), x, times)

    return run


def main() -> None:
    """Time, as rows of a table."""
    checkpoint, plain = untrained(), plain_sampling()
    steps = len(plan(checkpoint.scheduler)[1])
    print(f"{describe()}\n")
    print(f"| 4 motions, 512 × 8 | {DEFAULT_SAMPLER}, {steps} steps | plain, 1,000 steps fp32 | times faster | goal |")
    print("|---|---|---|---|---|")
    for name, options, goal in (("as it comes", {}, "≥ 60"), ("with guidance", {"guidance_scale": 2.0}, "")):
        ours, theirs = side_by_side(lambda options=options: generate(checkpoint, 3, SAMPLES, **options), plain)
        theirs *= 1000 / PLAIN_STEPS
        print(f"| {name}: seconds, median of 5 | {ours:.2f} | {theirs:.1f} | {theirs / ours:.0f} | {goal} |")


if __name__ == "__main__":
    runtime.set_threads()
    main()
