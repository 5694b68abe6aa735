"""How long the player takes to draw four people in headless Chromium, and how many bytes a motion costs.

    python benchmarks/player.py

The page is the exported one. A draw is timed twice: the calls alone, as a page with a GPU would notice, and with the
pixels read back after each, so that the CPU must really paint them.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from common import describe
from playwright.sync_api import sync_playwright

from mdm_lib import load_clips
from mdm_lib.visualise.player import MotionPlayer

FRAMES, DRAWS = 60, 600
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
#: Median milliseconds of DRAWS draws, each of another moment and from another side. ``mount`` returned the player.
TIME_DRAWS = """([draws, read]) => {
  const player = window.player, times = [];
  for (let i = 0; i < draws; i++) {
    player.time = (i * 0.37) % player.motion.frames;
    player.view = { ...player.view, azimuth: i / 50 };
    const begun = performance.now();
    player.draw();
    if (read) for (const { ctx } of player.panels) ctx.getImageData(0, 0, 1, 1);
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[draws / 2];
}"""


def draw_times(player: MotionPlayer) -> tuple[float, float]:
    """Milliseconds a draw: the calls, and with the pixels."""
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        page = driver.chromium.launch(executable_path=path, args=FLAGS).new_page(
            viewport={"width": 1200, "height": 600}
        )
        file = Path(folder) / "page.html"
        file.write_text(player.to_html().replace("player.mount(", "window.player = player.mount("))
        page.goto(f"file://{file}")
        page.wait_for_function("window.player?.theme")
        return tuple(page.evaluate(TIME_DRAWS, [DRAWS, read]) for read in (False, True))


if __name__ == "__main__":
    clips = load_clips("synthetic:24")
    long_enough = (clips.lengths >= FRAMES).nonzero()[:4, 0]
    motions = clips.joints[long_enough, :FRAMES]
    calls, pixels = draw_times(MotionPlayer(motions, captions=["a", "b", "c", "d"], playing=False))
    noise = MotionPlayer(torch.randn_like(motions[0]))  # which nothing could compress
    fragment = len(noise.to_html().encode())
    widget = len(noise._data) + len(noise._esm) + len(json.dumps(noise._scene))
    print(f"{describe()}\n")
    print("| the player | figure | goal |\n|---|---|---|")
    print(f"| one draw of 4 people side by side, ms, median of {DRAWS} | {calls:.2f} | ≤ 1 |")
    print(f"| the same with all pixels read back, without a GPU, ms | {pixels:.2f} | – |")
    print(f"| page fragment of {FRAMES} frames, module included, bytes | {fragment:,} | < 25,000 |")
    print(f"| widget of {FRAMES} frames, module included, bytes | {widget:,} | < 25,000 |")
    print(f"| each further motion of {FRAMES} frames in that widget, bytes | {len(noise._data):,} | – |")
