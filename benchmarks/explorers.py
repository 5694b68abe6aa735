"""How long an explorer takes from a moved control to its new pictures, in the kernel.

    python benchmarks/explorers.py

Plain: what `interact` would do, the same content drawn from scratch through pyplot and saved as a PNG. A skeleton is
there one pose on a 3-D axis, while ours hands the browser the whole motion, to be played and turned.
"""

from collections import deque
from dataclasses import replace
from io import BytesIO
from itertools import cycle

import torch
from common import describe, side_by_side
from matplotlib import pyplot as plt

from mdm_lib import PRESETS, load_clips, runtime, train
from mdm_lib.motion.skeleton import BONES
from mdm_lib.scheduler import NoiseScheduler
from mdm_lib.widgets.explorers import attention_explorer, gallery, noise_explorer, sampler_explorer


def mover(explorer, name: str, values):
    """A function that gives a control the next of some values, and by that has everything redrawn."""
    coming = cycle(values)

    def move():
        explorer.controls[name].value = next(coming)
        assert explorer.error is None

    return move


def plot_pose(joints: torch.Tensor, place: int, of: int):
    """One pose ``[22, 3]`` on a 3-D axis, the ``place``-th ``of`` so many in the lower half."""
    axes = plt.subplot(2, of, of + place, projection="3d")
    for parent, child in BONES:
        x, y, z = joints[[parent, child]].T
        axes.plot(x, z, y)


def save():
    plt.savefig(BytesIO(), format="png")
    plt.close()


def plain_noise(motion, alphas):
    plt.figure(figsize=(9, 5))
    plt.subplot(2, 3, 1).plot(motion[:, 0])
    plt.subplot(2, 3, 2).plot(alphas)
    plt.subplot(2, 3, 3).semilogy(alphas / (1 - alphas))
    plot_pose(motion[0], 1, 2)
    plot_pose(motion[1], 2, 2)
    save()


def plain_attention(motion, weights):
    plt.figure(figsize=(9, 5))
    plt.subplot(2, 2, 1).imshow(weights)
    plt.subplot(2, 2, 2).bar(range(42), weights[0])
    plot_pose(motion[0], 1, 1)
    save()


def plain_poses(motion, count: int):
    plt.figure(figsize=(9, 5))
    for i in range(count):
        plot_pose(motion[i], i + 1, count)
    save()


def rows():
    """Name, ours, plain: functions that redraw once (the gallery twice)."""
    clips = load_clips("synthetic:60")
    config = replace(PRESETS["tiny"], latent_dim=32, num_layers=2, ff_size=64, num_timesteps=20, num_frames=40)
    checkpoint = deque(train(clips, config, steps=60), maxlen=1).pop().checkpoint()
    motion, weights, alphas = clips.joints[1], torch.rand(42, 42), NoiseScheduler(1000).alphas_cumprod
    yield "noise: t", mover(noise_explorer(clips), "t", range(999)), lambda: plain_noise(motion, alphas)
    frame = mover(attention_explorer(checkpoint, clips), "frame", range(39))
    yield "attention: frame", frame, lambda: plain_attention(motion, weights)
    yield "sampler: step", mover(sampler_explorer(checkpoint), "step", range(1, 20)), lambda: plain_poses(motion, 2)
    view = mover(gallery(checkpoint), "view", ["film strips", "player"])
    yield "gallery of 9: to film strips and back", lambda: (view(), view()), lambda: plain_poses(motion, 9)


if __name__ == "__main__":
    runtime.set_threads()
    plt.switch_backend("agg")
    print(f"{describe()}\n")
    print("| redraw, ms, median of 5 | ours | plain pyplot | ratio |\n|---|---|---|---|")
    for name, ours, plain in rows():
        ours, plain = (1000 * seconds for seconds in side_by_side(ours, plain))
        print(f"| {name} | {ours:.1f} | {plain:.0f} | {ours / plain:.3f} |")
