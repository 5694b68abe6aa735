"""A motion player for notebooks and web pages: rotate, play, scrub.

``MotionPlayer`` is a Jupyter widget; the same JavaScript (``player.js``) also makes a page that plays without a
kernel. Nothing is loaded from the network. Where no widget can run, a notebook shows a film strip instead.
"""

import hashlib
import json
import zlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import anywidget
import numpy as np
from PIL import Image
from traitlets import Bool, Bytes, Dict, Float, Int, validate

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.visualise.figure import (
    EDGE,
    FOLLOW_FROM,
    HEAD_RADIUS,
    HEAD_RISE,
    RADIUS,
    SIDE_COLOURS,
    body_of,
    check_motions,
)
from mdm_lib.visualise.strips import film_strip

MILLIMETRE, LARGEST = 0.001, np.iinfo(np.int16).max


def _pack(source: str) -> str:
    """JavaScript that unpacks a module and binds it to ``player``: half as long as the readable module.

    Every widget and every exported page contains it.
    """
    packed = b64encode(zlib.compress(source.encode(), 9)).decode()
    return (
        f'const packed = Uint8Array.from(atob("{packed}"), (c) => c.charCodeAt(0));\n'
        'const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));\n'
        'const source = new Blob([await new Response(stream).text()], { type: "text/javascript" });\n'
        "const player = await import(URL.createObjectURL(source));\n"
    )


MODULE = _pack(Path(__file__).with_name("player.js").read_text(encoding="utf-8"))


def _describe_body(skeleton: Skeleton) -> dict:
    """The body's description for the browser; skeletons, thickness and colours are defined only in Python."""
    body = body_of(skeleton)
    return {
        "joints": skeleton.num_joints,
        "bones": [[*bone, side] for bone, side in zip(body.bones, body.sides, strict=True)],
        "torso": body.torso,
        "head": body.head,
        "left": SIDE_COLOURS["left"],
        "right": SIDE_COLOURS["right"],
        "radius": RADIUS,
        "edge": EDGE,
        "headRadius": HEAD_RADIUS,
        "headRise": HEAD_RISE,
    }


class MotionPlayer(anywidget.AnyWidget):
    """One or more motions that the reader can rotate, play and scrub.

    Drag to rotate, pinch (or click, then scroll) to zoom, double-click to reset the view; space plays and pauses, the
    arrow keys step, home and end jump. A motion that has ended keeps its last real pose, paler.

    Args:
        motion: ``[F, J, 3]`` or ``[N, F, J, 3]``, metres, y up, tensor or array.
        lengths: ``[N]`` number of real frames, all by default. Frames past a motion's length are never shown.
        captions: N short texts, one above each motion.
        title: a text above everything.
        layout: ``"side"``: side by side, or ``"overlay"``: all in one picture.
        fps: frames per second.
        skeleton: the skeleton of the J joints.
        playing: whether it starts at once; it never does for readers whose system asks for reduced motion.
        speed, loop, trail, ghosts: initial state of the controls.
        follow: whether the camera follows; by default if a person travels a metre or more.

    Attributes:
        frame: the current frame. Set it to jump there. While playing it is updated about five times per second.
        playing, speed, loop, follow, trail, ghosts: the state of the controls, readable and settable.

    Raises:
        InputError: on a wrong shape, NaN in a real frame, lengths or captions that do not match, or an invalid
            ``layout``, ``fps`` or ``speed``.
    """

    _esm = f"{MODULE}export default player.default;"
    _data = Bytes().tag(sync=True)  # joints [N, F, J, 3] as little-endian int16, in units of _scene["unit"] metres
    _scene = Dict().tag(sync=True)
    frame = Int(0).tag(sync=True, echo_update=False)  # an echo from a slow kernel would set the player back
    _ticks = Int(0).tag(sync=True, echo_update=False)  # number of reports sent by the browser's clock
    playing = Bool(True).tag(sync=True)
    speed = Float(1.0).tag(sync=True)
    loop = Bool(True).tag(sync=True)
    follow = Bool(False).tag(sync=True)
    trail = Bool(False).tag(sync=True)
    ghosts = Bool(False).tag(sync=True)

    def __init__(
        self, motion, lengths=None, captions: Sequence[str] | None = None, title: str = "", layout: str = "side",
        fps: float = FPS, playing=True, speed=1.0, loop=True, follow: bool | None = None, trail=False, ghosts=False,
        skeleton: Skeleton = SMPL22,
    ):  # fmt: skip
        if layout not in ("side", "overlay"):
            raise InputError(f'layout must be "side" or "overlay", not {layout!r}')
        if not (0 < fps < np.inf and 0 < speed < np.inf):
            raise InputError(f"fps and speed must be above 0, not {fps} and {speed}")
        joints, *_ = checked = check_motions(motion, lengths, captions, skeleton)
        if follow is None:
            root = joints[:, :, 0, [0, 2]]
            follow = bool(np.linalg.norm(np.ptp(root, axis=1), axis=-1).max() >= FOLLOW_FROM)
        self._fixed = {"title": str(title), "layout": layout, "fps": fps, "body": _describe_body(skeleton)}
        self.skeleton = skeleton
        super().__init__(playing=playing, speed=speed, loop=loop, follow=follow, trail=trail, ghosts=ghosts)
        self._show(*checked)

    @property
    def motion(self) -> np.ndarray:
        """``[N, F, J, 3]`` metres, padding replaced by the last real pose. Set it to show another motion in place.

        View, speed and play state are kept; so are the captions if the number of motions is the same.
        """
        return self._joints

    @motion.setter
    def motion(self, motion):
        self.update(motion)

    def update(self, motion, lengths=None, captions: Sequence[str] | None = None):
        """Show another motion in place, with its lengths and captions. Arguments and errors as for the class."""
        joints, lengths, new_captions = check_motions(motion, lengths, captions, self.skeleton)
        if captions is None and len(self._scene["captions"]) == len(joints):
            new_captions = self._scene["captions"]
        self._show(joints, lengths, new_captions)

    def _show(self, joints: np.ndarray, lengths: list[int], captions: list[str]):
        unit = max(MILLIMETRE, float(np.abs(joints).max()) / LARGEST)
        shape = {"frames": joints.shape[1], "lengths": lengths, "captions": captions, "unit": unit}
        self._joints = joints
        with self.hold_sync():  # one message, so that the browser never sees new numbers with an old shape
            self._scene = self._fixed | shape
            self._data = np.round(joints / unit).astype("<i2").tobytes()
            self.frame = min(self.frame, joints.shape[1] - 1)

    def set_state(self, sync_data):
        """Take the browser's report; a frame that its clock sent before our pause arrived is outdated."""
        if "_ticks" in sync_data and not self.playing:
            sync_data = {name: value for name, value in sync_data.items() if name != "frame"}
        super().set_state(sync_data)

    @validate("frame")
    def _stay_inside(self, proposal):
        """Clamp the frame: the browser may still send one of the previous, longer motion."""
        return max(0, min(proposal["value"], self._scene.get("frames", 1) - 1))

    def to_html(self) -> str:
        """HTML fragment that plays without kernel or network; the same motion gives the same bytes."""
        names = ("_scene", "frame", "playing", "speed", "loop", "follow", "trail", "ghosts")
        state = {name: getattr(self, name) for name in names} | {"_data": b64encode(self._data).decode()}
        # ASCII, and without "<", so that nothing in it can end the script or begin a tag
        state = json.dumps(state, separators=(",", ":")).replace("<", "\\u003c")
        name = f"mdm-player-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
        script = f'{MODULE}player.mount("{name}", {state});'
        return f'<div id="{name}"></div>\n<script type="module">\n{script}\n</script>\n'

    def save_html(self, path: str | Path) -> Path:
        """Write a complete page around ``to_html()``, atomically; returns the path.

        Raises:
            InputError: if it cannot be written.
        """
        page = (
            f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(self._describe())}</title>\n'
            '<meta name="viewport" content="width=device-width">\n'
            "<style>:root { color-scheme: light dark; background: Canvas } body { margin: 16px }</style>\n"
            f"{self.to_html()}</html>\n"
        )
        return write_atomically(path, page.encode())

    def film_strip(self, title: str = "", num_poses: int = 8) -> Image.Image:
        """The motions as a still picture."""
        lengths, captions, fps = (self._scene[name] for name in ("lengths", "captions", "fps"))
        return film_strip(self._joints, lengths, title, captions, num_poses, fps, self.skeleton)

    def _describe(self) -> str:
        """Description in words, for screen readers and where no picture can be shown."""
        count, seconds = len(self._joints), self._scene["frames"] / self._scene["fps"]
        names = [text for text in (self._scene["title"], ", ".join(filter(None, self._scene["captions"]))) if text]
        return ": ".join([f"{count} motion{'s' * (count > 1)} of {seconds:.1f} s", *names])

    def __repr__(self) -> str:
        return f"<MotionPlayer, {self._describe()}>"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and a film strip for where it cannot run: GitHub, nbviewer, an untrusted notebook."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        png = BytesIO()
        self.film_strip(title=self._scene["title"]).save(png, "PNG", optimize=True)
        data["image/png"] = b64encode(png.getbuffer()).decode()
        return data, {**metadata, "image/png": {"alt": f"Film strip. {self._describe()}"}}
