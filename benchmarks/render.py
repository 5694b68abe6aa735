"""How long ``save_gif`` takes against the plain way, a matplotlib 3-D axis drawn anew for every frame.

    python benchmarks/render.py        # prints a row of a Markdown table; the goal is a ratio of at most 0.3

Both write a GIF of the same 60 frames, one person; five runs of each, in turns, so that whatever else the machine
does weighs on both.
"""

import platform
import statistics
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np
import PIL
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mdm_lib.data.synthetic import synthetic_clips
from mdm_lib.skeleton import BONES, side
from mdm_lib.visualise import save_gif

GOAL, RUNS, FRAMES = 0.3, 5, 60
COLOURS = {"left": "tab:blue", "right": "tab:orange", "centre": "black"}


def plain_gif(path: Path, motion: np.ndarray):
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


def main():
    clips = synthetic_clips(24)
    motion = clips.joints[int((clips.lengths >= FRAMES).nonzero()[0]), :FRAMES].numpy()
    seconds = {plain_gif: [], save_gif: []}
    with tempfile.TemporaryDirectory() as folder:
        for write in list(seconds) * (RUNS + 1):
            start = time.perf_counter()
            write(Path(folder) / f"{write.__name__}.gif", motion)
            seconds[write].append(time.perf_counter() - start)
    plain, ours = (statistics.median(times[1:]) for times in seconds.values())  # the first run warms up
    ratio = statistics.median(b / a for a, b in zip(seconds[plain_gif][1:], seconds[save_gif][1:], strict=True))
    verdict = "met" if ratio <= GOAL else "MISSED"
    versions = f"Python {platform.python_version()}, Pillow {PIL.__version__}, matplotlib {matplotlib.__version__}"
    print("| what | plain matplotlib | save_gif | ratio | goal | machine |\n|---|---|---|---|---|---|")
    print(
        f"| GIF, {FRAMES} frames | {plain:.2f} s | {ours:.2f} s | {ratio:.3f} | ≤ {GOAL}: {verdict} "
        f"| {platform.machine()}, {versions} |"
    )


if __name__ == "__main__":
    main()
