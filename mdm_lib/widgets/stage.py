"""What an explorer shows: pictures and players, updated in place."""

import sys
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import anywidget
import ipywidgets as widgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from traitlets import List, Unicode

from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.visualise.player import MotionPlayer

#: Maximum width, in pixels, of the picture that a stored notebook keeps.
STILL_WIDTH = 1000


class Motion(NamedTuple):
    """A motion for ``explore`` to show, with more than its joints."""

    joints: np.ndarray | Tensor  # [N, F, J, 3] or [F, J, 3], metres
    captions: Sequence[str] | None = None  # one per motion
    frame: int | None = None  # when it changes, the player stops and jumps there
    columns: int | None = None  # maximum number of motions side by side
    skeleton: Skeleton = SMPL22
    fps: float = FPS


class Stage(widgets.Box):
    """Pictures and players side by side, in several rows if necessary; updated in place."""

    def __init__(self):
        super().__init__(layout=widgets.Layout(flex_flow="row wrap", align_items="flex-start", width="100%"))
        self.items: dict[str, widgets.Image | MotionPlayer] = {}
        self._kinds: list[tuple] = []
        self.names = _Names()

    def show(self, result):
        """Show ``result``, as described in ``explore``. The widgets are reused if names and kinds are unchanged."""
        parts = {name: _picture_or_motion(part) for name, part in _named(result).items()}
        kinds = [(name, *_kind(part)) for name, part in parts.items()]
        if kinds != self._kinds:
            self._kinds = kinds
            self.items = {name: _make_item(part) for name, part in parts.items()}
            self.children = list(self.items.values())
            self.names.pictures = [name for name, part in parts.items() if not isinstance(part, Motion)]
            self._asked = {}
        for name, part in parts.items():
            if isinstance(part, Motion):
                self._show_motion(name, part)
            else:
                self.items[name].value = part

    def _show_motion(self, name: str, motion: Motion):
        self.items[name].update(motion.joints, captions=motion.captions)
        if motion.frame is not None and motion.frame != self._asked.get(name):
            self.items[name].playing = False
            self.items[name].frame = self._asked[name] = motion.frame

    def png(self) -> bytes:
        """All output as one PNG, for stored notebooks; players as film strips."""
        pictures = [_still(item) for item in self.items.values()]
        size = max(p.width for p in pictures), sum(p.height for p in pictures)
        whole, top = Image.new("RGB", size, "white"), 0
        for picture in pictures:
            whole.paste(picture, (0, top))
            top += picture.height
        return _png(whole.quantize(128, dither=Image.Dither.NONE))


class _Names(anywidget.AnyWidget):
    """Invisible: it labels pictures and sliders for screen readers, which ipywidgets does not."""

    pictures = List(Unicode()).tag(sync=True)
    _esm = """
    function name_all(root, pictures) {
      root.querySelectorAll("img.widget-image").forEach((image, i) => { image.alt = pictures[i] ?? ""; });
      for (const slider of root.querySelectorAll("[role=slider]:not([aria-label])")) {
        const label = slider.closest(".jupyter-widgets")?.querySelector(".widget-label");
        slider.setAttribute("aria-label", label?.textContent ?? "");
        // otherwise JupyterLab takes the arrow keys
        slider.setAttribute("data-lm-suppress-shortcuts", "true");
      }
    }
    export default { render({ model, el }) {
      el.style.display = "none";
      const observer = new MutationObserver(update);
      function update() {
        const root = el.closest(".mdm-explorer");
        if (root) name_all(root, model.get("pictures"));
      }
      const waiting = setInterval(() => {  // the widgets arrive one by one, in any order
        const root = el.closest(".mdm-explorer");
        if (!root) return;
        clearInterval(waiting);
        observer.observe(root, { childList: true, subtree: true });
        update();
      }, 50);
      model.on("change:pictures", update);
      return () => { clearInterval(waiting); observer.disconnect(); model.off("change:pictures", update); };
    } };
    """


def _named(result) -> dict:
    if isinstance(result, dict):
        return result
    if isinstance(result, (list, tuple)) and not isinstance(result, Motion):
        return {f"part {i}": part for i, part in enumerate(result, 1)}
    return {"picture": result}


def _picture_or_motion(part) -> bytes | Motion:
    """A picture as the bytes of a PNG, a motion as a ``Motion``."""
    if isinstance(part, Motion):
        return part
    if isinstance(part, (np.ndarray, Tensor)):
        return Motion(part)
    if isinstance(part, Figure):
        canvas = FigureCanvasAgg(part)
        canvas.draw()
        if pyplot := sys.modules.get("matplotlib.pyplot"):  # which would show its figures once more, and keep them all
            pyplot.close(part)
        return _png(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    if isinstance(part, Image.Image):
        return _png(part)
    raise InputError(f"explore can show pictures, figures and motions, not {type(part).__name__}")


def _kind(part: bytes | Motion) -> tuple:
    """The properties that an existing widget cannot change."""
    return (part.skeleton, part.fps) if isinstance(part, Motion) else ()


def _make_item(part: bytes | Motion) -> widgets.Image | MotionPlayer:
    if isinstance(part, Motion):
        player = MotionPlayer(part.joints, captions=part.captions, fps=part.fps, skeleton=part.skeleton)
        # the player's panels are at least 150 px wide, so one column more does not fit
        width = 900 if part.columns is None else 150 * (part.columns + 1)
        player.layout = widgets.Layout(flex="1 1 320px", min_width="0", max_width=f"{width}px")
        return player
    return widgets.Image(value=part, format="png", layout=widgets.Layout(max_width="100%", height="auto"))


def _still(item: widgets.Image | MotionPlayer) -> Image.Image:
    still = item.film_strip(num_poses=6) if isinstance(item, MotionPlayer) else Image.open(BytesIO(item.value))
    if still.width > STILL_WIDTH:
        still = still.convert("RGB").resize((STILL_WIDTH, round(still.height * STILL_WIDTH / still.width)))
    return still.convert("RGB")


def _png(picture: Image.Image) -> bytes:
    content = BytesIO()
    picture.save(content, "PNG", compress_level=4)
    return content.getvalue()
