"""Four motions at paper size: our 20 DDIM steps against a plain float32 loop over all 1,000 steps.

    python benchmarks/sampling.py

The plain loop is timed over 50 of its 1,000 equal steps and multiplied by 20. Quality is not measured here.
"""

import torch
from common import describe, side_by_side
from training_step import ACTIONS, FEATURES, FRAMES, PlainDenoiser

from mdm_lib import PRESETS, Checkpoint, generate, runtime
from mdm_lib.checkpoint import build
from mdm_lib.scheduler import NoiseScheduler

SAMPLES, PLAIN_STEPS = 4, 50


def our_sampling():
    config = PRESETS["paper"]
    representation, model = build(config, ACTIONS)
    checkpoint = Checkpoint(config, tuple(f"action {i}" for i in range(ACTIONS)), representation, model, "untrained")
    return lambda: generate(checkpoint, 3, SAMPLES, num_steps=20)


def plain_sampling():
    model, scheduler = PlainDenoiser().eval(), NoiseScheduler(1000, "cosine")
    action = torch.full((SAMPLES,), 3)

    @torch.no_grad()
    def run():
        x = torch.randn(SAMPLES, FRAMES, FEATURES)
        for t in range(999, 999 - PLAIN_STEPS, -1):
            times = torch.full((SAMPLES,), t)
            x = scheduler.step(model(x, times, action), x, times)

    return run


if __name__ == "__main__":
    runtime.set_threads()
    ours, plain = side_by_side(our_sampling(), plain_sampling())
    plain *= 1000 / PLAIN_STEPS
    print(f"{describe()}\n")
    print("| 4 motions, 512 × 8 | ours, 20 DDIM steps | plain, 1,000 steps fp32 | times faster | goal |")
    print("|---|---|---|---|---|")
    print(f"| seconds, median of 5 | {ours:.2f} | {plain:.1f} | {plain / ours:.0f} | ≥ 100 |")
