"""This tree against another checkout of the project: are the numbers the same, and how does the time compare?

    python benchmarks/against.py ../other-checkout [--data bandai:FILE] [--repeats 5]

In each tree, by turns: 50 training steps of `tiny` and `small` on the synthetic clips (and on --data, if given), and
the motions of both shipped models for three seeds and three samplers, in float32. Numbers are compared to the last bit.
Seconds are the median of the repeats, a process of its own each time, so that a busy moment of the machine hits both.
One sample is so short that this is too coarse for it: there, a process of each tree stays, and the two are asked in
turn, sample by sample; the ratio is the median over the pairs.
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
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TRAINING_STEPS = 50
SAMPLES = {"tiny": 30, "small": 10}  # by turns, for each repeat


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
            # windows of one length, which older trees have alone
            windows = {name: 0 for name in ("min_frames", "max_frames") if hasattr(PRESETS[preset], name)}
            trainer = Trainer(clips, replace(PRESETS[preset], **windows), 1000, precision="fp32")
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
            motions = generate(trainer.checkpoint(), [0, 1], 2, guidance_scale=1.25, precision="fp32")
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


def serve_samples() -> None:
    """In the tree that is imported: for each preset named on standard input, the seconds of one sample."""
    import torch

    from mdm_lib import PRESETS, generate, load_clips
    from mdm_lib.training import Trainer

    torch.set_num_threads(1)
    clips = load_clips("synthetic:120")
    models = {name: Trainer(clips, PRESETS[name], 1000, precision="fp32").checkpoint() for name in SAMPLES}
    for line in sys.stdin:
        begun = time.perf_counter()
        generate(models[line.strip()], [0, 1], 2, guidance_scale=1.25, precision="fp32", seed=0)
        print(time.perf_counter() - begun, flush=True)


def call(tree: Path, *arguments: str) -> dict:
    """What starts this file in a process that imports ``mdm_lib`` from ``tree``."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    return {"args": [sys.executable, __file__, str(tree), *arguments], "env": environment, "cwd": tree, "text": True}


def run_in(tree: Path, data: list[str]) -> tuple[dict, dict]:
    """``measured`` in a process of its own."""
    output = subprocess.check_output(**call(tree, "--measure", *(f"--data={spec}" for spec in data)))
    return json.loads(output.splitlines()[-1])


def samples_in_turn(trees: list[Path]) -> dict[str, list[tuple[float, ...]]]:
    """For each preset, the seconds of one sample in each tree, as often as ``SAMPLES`` says."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    servers = [subprocess.Popen(**call(tree, "--serve"), **pipes) for tree in trees]

    def ask(server: subprocess.Popen, preset: str) -> float:
        server.stdin.write(f"{preset}\n")
        server.stdin.flush()
        return float(server.stdout.readline())

    seconds = {}
    for preset, count in SAMPLES.items():
        pairs = [tuple(ask(server, preset) for server in servers) for _ in range(count + 1)]
        seconds[preset] = pairs[1:]  # the first one warms up
    for server in servers:
        server.communicate()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.data)))
        return
    if options.serve:
        serve_samples()
        return
    data = ["synthetic:1200", *options.data]
    seconds = {HERE: defaultdict(list), options.other.resolve(): defaultdict(list)}
    numbers, samples = {}, defaultdict(list)
    for _ in range(options.repeats):
        for tree, times in seconds.items():
            numbers[tree], once = run_in(tree, data)
            for name, value in once.items():
                times[name].append(value)
        for preset, pairs in samples_in_turn(list(seconds)).items():
            samples[preset] += pairs
    ours, theirs = numbers[HERE], numbers[options.other.resolve()]
    print("| numbers | equal to the last bit |\n|---|---|")
    for name, value in theirs.items():
        print(f"| {name} | {'yes' if ours.get(name) == value else 'NO'} |")
    print("\n| seconds | this tree | the other | ratio |\n|---|---|---|---|")
    for name, values in seconds[options.other.resolve()].items():
        a, b = statistics.median(seconds[HERE][name]), statistics.median(values)
        print(f"| {name} | {a:.4f} | {b:.4f} | {a / b:.3f} |")
    for preset, pairs in samples.items():
        a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        print(f"| one untrained sample by turns, {preset} | {a:.4f} | {b:.4f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
