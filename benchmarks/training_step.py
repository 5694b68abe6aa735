"""One training step at paper size against a plain one: time, and peak memory.

    python benchmarks/training_step.py

Ours: the step that `train` takes. Plain: eager float32 `nn.TransformerEncoder` of the same sizes with dropout 0.1,
MSE, AdamW. Both: 512 wide, 8 layers, ff 1024, 4 heads, batch 64 × 60 frames × 66 features, forward, backward, update.
"""

import resource
import subprocess
import sys
from dataclasses import replace

import torch
from common import describe, side_by_side
from torch import nn

from mdm_lib import PRESETS, load_clips, runtime
from mdm_lib.training.trainer import Trainer

BATCH, FRAMES, FEATURES, ACTIONS = 64, 60, 66, 12


class PlainDenoiser(nn.Module):
    """The same network as anyone would write it with PyTorch's own layers."""

    def __init__(self, width=512, layers=8, heads=4, ff=1024):
        super().__init__()
        self.action, self.time = nn.Embedding(ACTIONS + 1, width), nn.Embedding(1000, width)
        self.to_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.read, self.write = nn.Linear(FEATURES, width), nn.Linear(width, FEATURES)
        self.place = nn.Parameter(torch.randn(1, FRAMES + 2, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, ff, dropout=0.1, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x_t, t, action):
        condition = torch.stack([self.action(action), self.to_time(self.time(t))], dim=1)
        tokens = torch.cat([condition, self.read(x_t)], dim=1)
        return self.write(self.encoder(tokens + self.place[:, : tokens.shape[1]])[:, 2:])


def plain_step():
    """A function that takes one plain training step."""
    model = PlainDenoiser().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x0, action = torch.randn(BATCH, FRAMES, FEATURES), torch.randint(ACTIONS, (BATCH,))

    def step():
        t, noise = torch.randint(1000, (BATCH,)), torch.randn_like(x0)
        pred = model(0.7 * x0 + 0.7 * noise, t, action)
        loss = (pred - x0).square().mean() + 10 * (pred.diff(dim=1) - x0.diff(dim=1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def our_step():
    """A function that takes one step of `mdm_lib.train`, at the paper preset."""
    config = replace(PRESETS["paper"], batch_size=BATCH, num_frames=FRAMES, min_frames=0, max_frames=0)
    return Trainer(load_clips("synthetic:240"), config, 1000).advance


def peak_megabytes(which: str) -> float:
    """Peak memory of a process that takes three steps, less that of one that takes none."""
    peaks = [int(subprocess.check_output([sys.executable, __file__, which, steps])) for steps in ("0", "3")]
    return (peaks[1] - peaks[0]) / 1024


def print_peak(which: str, steps: int) -> None:
    """Take some steps and print this process's peak memory in kilobytes; for `peak_megabytes`."""
    step = {"ours": our_step, "plain": plain_step}[which]()
    for _ in range(steps):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> None:
    """Time and memory, as rows of a table."""
    # memory first: a process starts with the peak of the one that started it
    memory = [peak_megabytes("ours"), peak_megabytes("plain")]
    seconds = side_by_side(our_step(), plain_step())
    print(f"{describe()}\n")
    print("| one training step, 512 × 8, batch 64 | ours | plain fp32 | ratio | goal |\n|---|---|---|---|---|")
    print(f"| seconds, median of 5 | {seconds[0]:.2f} | {seconds[1]:.2f} | {seconds[0] / seconds[1]:.2f} | ≤ 0.40 |")
    print(f"| peak memory, MB above start | {memory[0]:.0f} | {memory[1]:.0f} | {memory[0] / memory[1]:.2f} | ≤ 1 |")


if __name__ == "__main__":
    runtime.set_threads()
    print_peak(sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else main()
