"""Does a model hold its speed at every length? Joint speed of its motions by action and length, over that of real ones.

    python benchmarks/lengths.py [--checkpoint FILE] [--data DATA] [--samples 40] [--lengths 20,40,60,90,120]

Real motion: windows of exactly that length, of all clips that are long enough (of a program's data, of fresh clips).
"""

import click
import torch
from common import describe

from mdm_lib import generate, load_checkpoint, load_clips, runtime
from mdm_lib.evaluation.judge import judged_clips
from mdm_lib.evaluation.physics import joint_speed
from mdm_lib.motion.windows import random_windows


def real_speed(clips, label: int, num_frames: int, draws: int = 3) -> float:
    """Mean joint speed of random windows without padding, of one action; NaN where no clip is long enough."""
    index = ((clips.labels == label) & (clips.lengths >= num_frames)).nonzero()[:, 0].repeat(draws)
    if not len(index):
        return float("nan")
    generator = torch.Generator().manual_seed(0)
    joints, mask, _ = random_windows(clips, index, num_frames, with_mirror=False, generator=generator)
    return float(joint_speed(joints, mask.sum(1), clips.fps).mean())


@click.command()
@click.option("--checkpoint", default="assets/synthetic.pth", show_default=True)
@click.option("--data", default="synthetic", show_default=True)
@click.option("--samples", default=40, show_default=True, help="Motions of each action and length.")
@click.option("--lengths", default="20,40,60,90,120", show_default=True)
def main(checkpoint: str, data: str, samples: int, lengths: str):
    runtime.set_threads()
    model, clips = load_checkpoint(checkpoint, runtime.pick_device()), judged_clips(load_clips(data))
    sizes = [int(each) for each in lengths.split(",")]
    print(f"{describe()}\n\n| speed / real | {' | '.join(map(str, sizes))} |\n{'|---' * (len(sizes) + 1)}|")
    ratios = torch.full((len(clips.label_names), len(sizes)), torch.nan)
    for label, name in enumerate(clips.label_names):
        for column, num_frames in enumerate(sizes):
            motions = generate(model, label, samples, num_frames=num_frames)
            ours = joint_speed(motions, torch.full((samples,), num_frames), model.fps).mean()
            ratios[label, column] = ours / real_speed(clips, label, num_frames)
        print(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios[label])} |", flush=True)
    print(f"| mean | {' | '.join(f'{ratio:.2f}' for ratio in ratios.nanmean(0))} |")


if __name__ == "__main__":
    main()
