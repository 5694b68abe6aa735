"""How much memory a training takes beside its data: peak resident memory above that before, in sizes of the data.

python benchmarks/memory.py [--clips 200000]
"""

import argparse
import resource
import sys

import torch

from mdm_lib import PRESETS, MotionClips, load_clips
from mdm_lib.training import Trainer

FRAMES, STEPS = 60, 20


def peak() -> int:
    """Bytes of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200_000)
    number = parser.parse_args().clips
    few = load_clips("synthetic:120")
    Trainer(few, PRESETS["tiny"], STEPS).advance()  # torch's own memory is not what is asked for
    joints = torch.empty(number, FRAMES, 22, 3)
    for rows in range(0, number, len(few)):
        joints[rows : rows + len(few)] = few.joints[: number - rows, :FRAMES]
    size, before = joints.numel() * joints.element_size(), peak()
    labels = few.labels.repeat(-(-number // len(few)))[:number]
    clips = MotionClips(joints, torch.full((number,), FRAMES), labels, few.label_names)
    trainer = Trainer(clips, PRESETS["tiny"], STEPS)
    for _ in range(STEPS):
        trainer.advance()
    above = peak() - before
    print(f"{number} clips of {FRAMES} frames: {size / 1e9:.2f} GB")
    print(f"data and {STEPS} training steps: {1 + above / size:.3f} times the data ({above / 1e6:.0f} MB above it)")


if __name__ == "__main__":
    main()
