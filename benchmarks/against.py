"""This tree against another checkout of the project: are the numbers the same, and how does the time compare?

    python benchmarks/against.py ../other-checkout [--data bandai:FILE] [--repeats 5]

In each tree, by turns: 50 training steps of `tiny` and `small` on the synthetic clips (and on --data, if given), and
the motions of both shipped models for three seeds and three samplers, in float32. Numbers are compared to the last bit.
Seconds are the median of the repeats, a process of its own each time, so that a busy moment of the machine hits both.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TRAINING_STEPS = 50


def measured(data: list[str]) -> tuple[dict, dict]:
    """In the tree that is imported: digests of the numbers, and seconds."""
    import torch

    from mdm_lib import PRESETS, asset_path, generate, load_checkpoint, load_clips
    from mdm_lib.training import Trainer

    torch.set_num_threads(1)
    numbers, seconds = {}, {}

    def digest(tensor: torch.Tensor) -> str:
        return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:12]

    for spec in data:
        clips = load_clips(spec)
        for preset in ("tiny", "small"):
            trainer = Trainer(clips, PRESETS[preset], 1000, precision="fp32")
            losses, begun = [], 0.0
            for step in range(TRAINING_STEPS):
                if step == 5:
                    begun = time.perf_counter()
                trainer.advance()
                losses.append(torch.stack(list(trainer.recent))[-1])
            name = f"{preset}, {spec.split(':')[0]}"
            seconds[f"training step, {name}"] = (time.perf_counter() - begun) / (TRAINING_STEPS - 5)
            numbers[f"{TRAINING_STEPS} losses, {name}"] = digest(torch.stack(losses))
            weights = torch.cat([weight.flatten() for weight in trainer.ema.parameters()])
            numbers[f"averaged weights, {name}"] = digest(weights)
            begun = time.perf_counter()
            motions = generate(trainer.checkpoint(), [0, 1], 2, guidance_scale=1.25, precision="fp32")
            seconds[f"sample, {name}"] = time.perf_counter() - begun
            numbers[f"motions, {name}"] = digest(motions)
    for model in ("synthetic.pth", "real_motion.pth"):
        checkpoint = load_checkpoint(asset_path(model))
        for sampler in ("dpm_solver", "ddim", "ddpm"):
            for seed in range(3):
                begun = time.perf_counter()
                motions = generate(checkpoint, [0, 1], 2, sampler=sampler, seed=seed, precision="fp32")
                seconds[f"sample, {model}, {sampler}"] = time.perf_counter() - begun
                numbers[f"motions, {model}, {sampler}, seed {seed}"] = digest(motions)
    return numbers, seconds


def run_in(tree: Path, data: list[str]) -> tuple[dict, dict]:
    """``measured`` in a process that imports ``mdm_lib`` from ``tree``."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tree), "--measure", *(f"--data={spec}" for spec in data)]
    return json.loads(subprocess.check_output(command, env=environment, text=True, cwd=tree).splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.data)))
        return
    data = ["synthetic:1200", *options.data]
    seconds = {HERE: defaultdict(list), options.other.resolve(): defaultdict(list)}
    numbers = {}
    for _ in range(options.repeats):
        for tree, times in seconds.items():
            numbers[tree], once = run_in(tree, data)
            for name, value in once.items():
                times[name].append(value)
    ours, theirs = numbers[HERE], numbers[options.other.resolve()]
    print("| numbers | equal to the last bit |\n|---|---|")
    for name, value in theirs.items():
        print(f"| {name} | {'yes' if ours.get(name) == value else 'NO'} |")
    print("\n| seconds | this tree | the other | ratio |\n|---|---|---|---|")
    for name, values in seconds[options.other.resolve()].items():
        a, b = statistics.median(seconds[HERE][name]), statistics.median(values)
        print(f"| {name} | {a:.4f} | {b:.4f} | {a / b:.3f} |")


if __name__ == "__main__":
    main()
