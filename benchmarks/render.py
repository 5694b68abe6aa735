"""How long `save_gif` takes against the usual way, a matplotlib 3-D axis cleared and drawn anew for every frame.

    python benchmarks/render.py

Both write a GIF of the same 60 frames of one person.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from common import describe, side_by_side
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mdm_lib import load_clips
from mdm_lib.motion.skeleton import BONES, side
from mdm_lib.visualise.strips import save_gif

FRAMES = 60
COLOURS = {"left": "tab:blue", "right": "tab:orange", "centre": "black"}


def plain_gif(path: Path, motion: np.ndarray) -> None:
    """``[F, 22, 3]`` metres, y up."""
    figure = Figure(figsize=(4, 4), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection="3d")
    low, high = motion.min((0, 1)), motion.max((0, 1))
    writer = PillowWriter(fps=20)
    with writer.saving(figure, str(path), dpi=100):
        for pose in motion:
            axes.clear()
            axes.set(xlim=(low[0], high[0]), ylim=(low[2], high[2]), zlim=(low[1], high[1]))
            for parent, child in BONES:
                x, y, z = pose[[parent, child]].T
                axes.plot(x, z, y, color=COLOURS[side(child)], linewidth=2)
            writer.grab_frame()


if __name__ == "__main__":
    clips = load_clips("synthetic:24")
    motion = clips.joints[int((clips.lengths >= FRAMES).nonzero()[0]), :FRAMES].numpy()
    with tempfile.TemporaryDirectory() as folder:
        writers = [partial(write, Path(folder) / "motion.gif", motion) for write in (save_gif, plain_gif)]
        ours, plain = side_by_side(*writers)
    print(f"{describe()}\n")
    print("| GIF of 60 frames | ours | plain matplotlib | ratio | goal |\n|---|---|---|---|---|")
    print(f"| seconds, median of 5 | {ours:.2f} | {plain:.2f} | {ours / plain:.3f} | ≤ 0.3 |")
