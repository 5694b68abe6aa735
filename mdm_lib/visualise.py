"""Pictures of motion that need no browser: animated GIFs, film strips and the loss plot.

Everything is drawn by Pillow with a camera of our own, so that the axes are equal by construction, a
picture takes milliseconds, and the same motion gives the same bytes. The camera stands in front of the
person, a little to the person's right and above: the person's left limbs are on the picture's right, and
who walks forward (+z) walks to the right and towards the viewer.

Left is blue and solid, right is orange and hollow, so the two are told apart without colour as well.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mdm_lib.data.clips import FPS
from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.skeleton import BONES, JOINT, NUM_JOINTS, side

# Okabe and Ito's palette, which colour-blind readers can tell apart.
SIDE_COLOURS = {"left": (0, 114, 178), "right": (213, 94, 0), "centre": (70, 70, 76)}
PAPER, FLOOR, GRID, METRE = (255, 255, 255), (243, 245, 247), (225, 229, 234), (197, 204, 212)
SHADOW, TRAIL, TEXT, FAINT_TEXT = (212, 217, 223), (150, 158, 168), (38, 40, 46), (112, 118, 128)

AZIMUTH, ELEVATION = math.radians(-35), math.radians(17)
#: Rows: the picture's right, the picture's up, and the way to the viewer, in world coordinates.
CAMERA = np.array([
    [math.cos(AZIMUTH), 0.0, -math.sin(AZIMUTH)],
    [-math.sin(AZIMUTH) * math.sin(ELEVATION), math.cos(ELEVATION), -math.cos(AZIMUTH) * math.sin(ELEVATION)],
    [math.sin(AZIMUTH) * math.cos(ELEVATION), math.sin(ELEVATION), math.cos(AZIMUTH) * math.cos(ELEVATION)],
])  # fmt: skip

SUPERSAMPLE = 3  # panels are drawn this much larger and shrunk: Pillow's shapes have hard edges
LIMB_RADIUS, HEAD_RADIUS, EDGE = 0.032, 0.105, 0.014  # metres
SHADES = 5  # far limbs are lighter, in this many steps
FOLLOW_FROM = 1.0  # metres of travel from which the camera goes along
PAD = 16  # pixels around everything

PARENT, CHILD = (np.array(joints) for joints in zip(*BONES, strict=True))
BONE_SIDES = [side(child) for child in CHILD]


# --- What a reader calls --------------------------------------------------------------------------------------


def draw_frames(
    motions, lengths=None, captions: Sequence[str] | None = None, title: str = "", fps: float = FPS, height=None
) -> list[Image.Image]:
    """One RGB picture a frame, the motions side by side at one scale, at most four in a row.

    The camera stands still while everybody stays within a metre, and else goes along with each person,
    smoothly; no limb leaves the picture. A motion that has ended keeps its last real pose, paler.

    Args:
        motions: ``[N, F, 22, 3]`` or ``[F, 22, 3]``, metres, y up, tensor or array.
        lengths: ``[N]`` real frames of each motion, all by default. What lies past them is never shown.
        captions: N short texts, one over each motion.
        title: a text over everything; it is shrunk, then wrapped, to fit.
        fps: frames a second, for the clock in the corner.
        height: of a panel, pixels.

    Returns:
        As many pictures as the longest motion has frames.

    Raises:
        InputError: on a wrong shape, NaN in a real frame, or lengths or captions that do not match.
    """
    joints, lengths, captions = _check(motions, lengths, captions)
    num_motions, num_frames = joints.shape[:2]
    focus = _camera_path(joints)
    view = _fit_view(joints - focus[:, :, None], height or (400 if num_motions == 1 else 300))
    page = _Page(view, num_motions, min(num_motions, 4), title, captions)
    frames = []
    for f in range(num_frames):
        picture = page.blank.copy()
        for n, corner in enumerate(page.corners):
            panel = _draw_pose(view, joints[n, f], focus[n, f], joints[n, : f + 1, 0], ended=f >= lengths[n])
            picture.paste(panel, corner)
            page.draw_progress(picture, corner, min(f + 1, lengths[n]) / num_frames, lengths[n] / num_frames)
        page.draw_clock(picture, f"{f / fps:.2f} s")
        frames.append(picture)
    return frames


def save_gif(path, motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, fps: float = FPS):
    """Write the pictures of ``draw_frames`` as an endless GIF.

    A GIF's clock counts hundredths of a second; rates that do not fit it are kept on average.

    Raises:
        InputError: as ``draw_frames``, and when ``fps`` is not between 1 and 50.
    """
    if not 1 <= fps <= 50:
        raise InputError(f"fps must be from 1 to 50 (browsers slow faster GIFs down), not {fps}; motion here has {FPS}")
    frames = draw_frames(motions, lengths, captions, title, fps)
    # One palette for all, from two of the frames: a search in each would take longer than the drawing.
    sample = Image.fromarray(np.concatenate([frames[0], frames[len(frames) // 2]]))
    palette = sample.quantize(128, method=Image.Quantize.MEDIANCUT)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    ticks = [round(100 * f / fps) for f in range(len(frames) + 1)]
    duration = [10 * (end - start) for start, end in zip(ticks, ticks[1:], strict=False)]
    content = BytesIO()
    first.save(content, "GIF", save_all=True, append_images=rest, duration=duration, loop=0, optimize=False)
    return write_atomically(path, content.getbuffer())


def film_strip(
    motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, num_poses: int = 8
) -> Image.Image:
    """An RGB picture with a row of poses for each motion, evenly spaced in time from its first to its last frame.

    The camera goes along with the root; the floor's lines stay in the world, so they tell how far it went.
    Arguments and errors as ``draw_frames``; a motion shorter than ``num_poses`` shows every frame once.
    """
    joints, lengths, captions = _check(motions, lengths, captions)
    if num_poses < 1:
        raise InputError(f"num_poses must be at least 1, not {num_poses}")
    picks = [np.unique(np.linspace(0, length - 1, num_poses).round().astype(int)) for length in lengths]
    poses = [joints[n, pick] for n, pick in enumerate(picks)]
    ground = np.array([1.0, 0.0, 1.0])
    view = _fit_view(np.concatenate([row - row[:, :1] * ground for row in poses])[None], height=170)
    columns = max(map(len, poses))
    page = _Page(view, len(poses) * columns, columns, title, captions)
    picture = page.blank.copy()
    for n, pick in enumerate(picks):
        for column, f in enumerate(pick):
            corner = page.corners[n * columns + column]
            picture.paste(_draw_pose(view, joints[n, f], joints[n, f, 0] * ground, joints[n, : f + 1, 0]), corner)
            page.draw_time(picture, corner, f"{f / FPS:.1f} s")
    return picture


def save_film_strip(path, motions, lengths=None, title: str = "", captions=None, num_poses: int = 8):
    """Write ``film_strip`` as a PNG of a few ten kilobytes."""
    strip = film_strip(motions, lengths, title, captions, num_poses)
    small = strip.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    content = BytesIO()
    small.save(content, "PNG", optimize=True)
    return write_atomically(path, content.getbuffer())


def plot_losses(log_csv_path, png_path):
    """Plot ``loss``, ``mse`` and ``vel`` of a training's log against its steps, on a logarithmic scale.

    Args:
        log_csv_path: a CSV with columns ``step, epoch, loss, mse, vel, lr``, as training writes it.
        png_path: where the picture goes.

    Raises:
        InputError: when the log is not there, has other columns, or no rows yet.
    """
    from matplotlib.figure import Figure  # here, because `import mdm_lib` must stay light

    columns = _read_log(log_csv_path)
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name, style in {"loss": "-", "mse": "--", "vel": ":"}.items():
        colour = {"loss": "#26282e", "mse": "#0072b2", "vel": "#d55e00"}[name]
        axes.plot(columns["step"], columns[name], style, color=colour, linewidth=1.6, label=name)
    axes.set(xlabel="step", ylabel="training loss", yscale="log")
    axes.grid(color="#e1e5ea")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    content = BytesIO()
    figure.savefig(content, format="png")
    return write_atomically(png_path, content.getbuffer())


# --- Reading what came in -------------------------------------------------------------------------------------


def _check(motions, lengths, captions) -> tuple[np.ndarray, list[int], list[str]]:
    """Joints ``[N, F, 22, 3]`` up to the longest real length, padding replaced by the last real pose."""
    joints = np.asarray(motions.detach().cpu() if hasattr(motions, "detach") else motions, dtype=float)
    joints = joints[None] if joints.ndim == 3 else joints
    if joints.ndim != 4 or joints.shape[2:] != (NUM_JOINTS, 3) or 0 in joints.shape:
        raise InputError(
            f"motions must be [N, F, {NUM_JOINTS}, 3] or [F, {NUM_JOINTS}, 3], this has shape {list(np.shape(motions))}; "
            "model output goes through its Representation's `to_joints` first"
        )
    lengths = [joints.shape[1]] * len(joints) if lengths is None else [int(n) for n in np.atleast_1d(lengths)]
    if len(lengths) != len(joints) or not all(1 <= n <= joints.shape[1] for n in lengths):
        raise InputError(
            f"lengths must be {len(joints)} numbers from 1 to {joints.shape[1]}, one for each motion, not {lengths}"
        )
    captions = [""] * len(joints) if captions is None else [str(caption) for caption in captions]
    if len(captions) != len(joints):
        raise InputError(f"captions must be one for each of the {len(joints)} motions, there are {len(captions)}")
    last = np.array(lengths)[:, None] - 1
    joints = joints[np.arange(len(joints))[:, None], np.minimum(np.arange(max(lengths)), last)]
    bad = np.argwhere(~np.isfinite(joints))
    if len(bad):
        motion, frame, joint, _ = bad[0]
        raise InputError(
            f"motion {motion} has NaN or an infinite coordinate at frame {frame}, joint {joint}; "
            "repair it, leave it out, or shorten its length if that is padding"
        )
    return joints, lengths, captions


def _read_log(path) -> dict[str, list[float]]:
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise InputError(f"{path} has no rows yet; train at least one step")
        return {name: [float(row[name]) for row in rows] for name in ("step", "loss", "mse", "vel")}
    except OSError as error:
        raise InputError(f"cannot read the training log {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no training log: columns step, loss, mse and vel must hold numbers") from error


# --- The camera -----------------------------------------------------------------------------------------------


def project(points: np.ndarray, distance: float) -> np.ndarray:
    """World → picture: ``[..., 3]`` metres around the camera's aim → ``[..., 3]`` right, up, and towards the viewer.

    Mild perspective: what is ``distance`` metres nearer than the aim would touch the lens. All three are metres
    at the aim, so both axes of the picture have the same scale.
    """
    seen = points @ CAMERA.T
    seen[..., :2] *= distance / (distance - seen[..., 2:])
    return seen


@dataclass(frozen=True)
class View:
    """How a panel shows the world; the same for all panels and frames of a picture.

    Args:
        scale: pixels a metre at the camera's aim.
        size: of a panel, pixels.
        origin: where in the panel the aim on the floor is, pixels.
        distance: of the camera, metres.
        floor: radius of the piece of floor that is drawn, metres.
        grid: between two of its lines, metres.
    """

    scale: float
    size: tuple[int, int]
    origin: tuple[float, float]
    distance: float
    floor: float
    grid: float

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """``[..., 3]`` metres around the aim → ``[..., 3]``: x, y (down) in pixels and the scale there."""
        seen = project(points, self.distance)
        scale = self.scale * self.distance / (self.distance - seen[..., 2])
        x, y = self.origin[0] + self.scale * seen[..., 0], self.origin[1] - self.scale * seen[..., 1]
        return np.stack([x, y, scale], axis=-1)


def _camera_path(joints: np.ndarray) -> np.ndarray:
    """What the camera aims at on the floor, ``[N, F, 3]``: a smoothed path of each root, or its middle."""
    root = joints[:, :, 0] * [1.0, 0.0, 1.0]
    low, high = root.min(1, keepdims=True), root.max(1, keepdims=True)
    if np.linalg.norm(high - low, axis=-1).max() < FOLLOW_FROM:
        return np.broadcast_to((low + high) / 2, root.shape)
    # Two moving averages. The path goes on beyond its ends, mirrored in them, so that the camera does not lag there.
    window = 15
    for _ in range(2):
        padded = np.pad(root, [(0, 0), (window // 2,) * 2, (0, 0)], mode="reflect", reflect_type="odd")
        root = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1).mean(-1)
    return root


def _fit_view(joints: np.ndarray, height: int) -> View:
    """The largest scale at which all of ``[N, F, 22, 3]`` around the aim, heads and floor fit into one panel."""
    points = joints.reshape(-1, 3)
    reach = float(np.linalg.norm(points[:, [0, 2]], axis=1).max())
    floor = max(reach, 0.4) + 0.1
    distance = max(7.0, 4 * float(np.linalg.norm(points, axis=1).max()))
    circle = np.linspace(0, 2 * np.pi, 60)
    rim = np.stack([floor * np.cos(circle), 0 * circle, floor * np.sin(circle)], axis=1)
    seen = project(np.concatenate([points, rim, [[0.0, 1.0, 0.0]]]), distance)[:, :2]
    margin = 1.6 * HEAD_RADIUS
    low, high = seen.min(0), seen.max(0)
    high[1] += margin
    extent = high - low + 0.04
    scale = min(height / extent[1], 1.8 * height / extent[0])
    width = round(max(scale * extent[0], 0.7 * height))
    middle = (low + high) / 2
    origin = (width / 2 - scale * middle[0], height / 2 + scale * middle[1])
    grid = 0.5 * 2 ** max(0, math.ceil(math.log2(floor / 4)))
    return View(scale, (width, height), origin, distance, floor, grid)


# --- One pose -------------------------------------------------------------------------------------------------


def _draw_pose(view: View, pose: np.ndarray, focus: np.ndarray, path: np.ndarray, ended: bool = False) -> Image.Image:
    """One panel: the floor around ``focus [3]``, the shadow, and the person ``[22, 3]`` who came along ``path [f, 3]``."""
    large = Image.new("RGB", tuple(SUPERSAMPLE * side for side in view.size), PAPER)
    draw = ImageDraw.Draw(large)
    _draw_floor(draw, view, focus, path)
    on_floor = pose * [1.0, 0.0, 1.0] - focus
    pixels = SUPERSAMPLE * view.to_pixels(on_floor)
    for bone in _capsules(pixels[PARENT], pixels[CHILD], LIMB_RADIUS * 1.2):
        draw.polygon(bone, fill=SHADOW)
    _draw_person(draw, SUPERSAMPLE * view.to_pixels(pose - focus), pose, ended)
    return large.reduce(SUPERSAMPLE)


def _draw_floor(draw: ImageDraw.ImageDraw, view: View, focus: np.ndarray, path: np.ndarray):
    """A round piece of floor under the aim; its lines stay in the world, every second one at a whole metre."""

    def pixels(x, z):
        points = np.stack([x, np.zeros_like(x), z], axis=-1)
        return (SUPERSAMPLE * view.to_pixels(points)[..., :2]).reshape(-1).tolist()

    circle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    draw.polygon(pixels(view.floor * np.cos(circle), view.floor * np.sin(circle)), fill=FLOOR)
    for axis in (0, 2):
        first, last = (focus[axis] - view.floor) / view.grid, (focus[axis] + view.floor) / view.grid
        for line in range(math.ceil(first), math.floor(last) + 1):
            across = line * view.grid - focus[axis]
            along = math.sqrt(max(view.floor**2 - across**2, 0.0))
            ends = np.array([across, across]), np.array([-along, along])
            x, z = ends if axis == 0 else ends[::-1]
            draw.line(pixels(x, z), fill=GRID if line % 2 else METRE, width=SUPERSAMPLE)
    steps = (path - focus)[:, [0, 2]]
    steps = steps[np.linalg.norm(steps, axis=1) < view.floor]
    if len(steps) > 1:
        draw.line(pixels(steps[:, 0], steps[:, 1]), fill=TRAIL, width=2 * SUPERSAMPLE, joint="curve")


def _draw_person(draw: ImageDraw.ImageDraw, pixels: np.ndarray, pose: np.ndarray, ended: bool):
    """Bones from far to near, each with a thin gap of paper around it so that crossing limbs stay apart."""
    depth = pose @ CAMERA[2]
    bone_depth = (depth[PARENT] + depth[CHILD]) / 2
    start, end = pixels[PARENT], pixels[CHILD]
    outer = _capsules(start, end, LIMB_RADIUS)
    inner = _capsules(start, end, LIMB_RADIUS - EDGE)
    inset = 0.25 * (end - start)
    gaps = _capsules(start + inset, end - inset, LIMB_RADIUS + EDGE)
    shade = np.clip((depth[0] - bone_depth) / 0.8 + 0.5, 0, 1) * (SHADES - 1)
    for bone in np.argsort(bone_depth):
        colour = _shaded(BONE_SIDES[bone], round(shade[bone]), ended)
        draw.polygon(gaps[bone], fill=PAPER)
        draw.polygon(outer[bone], fill=colour)
        if BONE_SIDES[bone] == "right":
            draw.polygon(inner[bone], fill=PAPER)
        if CHILD[bone] == JOINT["head"]:
            x, y, scale = pixels[JOINT["head"]]
            draw.circle((x, y), HEAD_RADIUS * scale, fill=colour)


def _capsules(start: np.ndarray, end: np.ndarray, radius: float) -> list[list[float]]:
    """Outlines of thick lines with round ends: ``[K, 3]`` (x, y, pixels a metre) twice → K flat lists of corners."""
    along = end[:, :2] - start[:, :2]
    length = np.linalg.norm(along, axis=1, keepdims=True)
    along = np.where(length > 1e-6, along / np.maximum(length, 1e-6), [1.0, 0.0])
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)[None, :, None]
    cap = np.cos(angle) * along[:, None] + np.sin(angle) * across[:, None]
    far = end[:, None, :2] + radius * end[:, None, 2:] * cap
    near = start[:, None, :2] - radius * start[:, None, 2:] * cap
    return np.concatenate([far, near], axis=1).reshape(len(start), -1).tolist()


@lru_cache
def _shaded(name: str, shade: int, ended: bool) -> tuple[int, int, int]:
    """The colour of a side, mixed with paper the farther away it is, and once more when the motion has ended."""
    paper = 0.45 * shade / (SHADES - 1)
    paper += (1 - paper) * 0.5 * ended
    return tuple(round((1 - paper) * c + paper * p) for c, p in zip(SIDE_COLOURS[name], PAPER, strict=True))


# --- The page around the panels -------------------------------------------------------------------------------


class _Page:
    """Where panels and texts go. ``blank`` holds every text that stays; ``corners`` are the panels' places.

    Captions stand over one panel each, or over a whole row when there are as many captions as rows.
    """

    def __init__(self, view: View, num_panels: int, columns: int, title: str, captions: list[str]):
        rows = math.ceil(num_panels / columns)
        span = num_panels // len(captions)  # panels that share a caption
        self.panel_width, self.panel_height = view.size
        width = max(columns * self.panel_width, 270) + 2 * PAD
        inset = (width - columns * self.panel_width) // 2
        title_font, title_lines = _fit_text(title, width - 2 * PAD, size=22, smallest=15, max_lines=3)
        fitted = [_fit_text(c, span * self.panel_width - PAD, size=15, smallest=12, max_lines=2) for c in captions]
        caption_height = max(len(lines) for _, lines in fitted) * 18
        top = PAD + len(title_lines) * 28
        row_height = caption_height + self.panel_height + 22
        self.blank = Image.new("RGB", (width, top + rows * row_height + 26 + PAD // 2), PAPER)
        self.corners = [
            (inset + (i % columns) * self.panel_width, top + (i // columns) * row_height + caption_height)
            for i in range(num_panels)
        ]
        self.draw = ImageDraw.Draw(self.blank)
        for i, line in enumerate(title_lines):
            self.draw.text((PAD, PAD - 4 + 28 * i), line, TEXT, title_font)
        for i, (font, lines) in enumerate(fitted):
            x, y = self.corners[i * span]
            for j, line in enumerate(lines):
                middle = x + (self.panel_width / 2 if span == 1 else 0)
                self.draw.text((middle, y - caption_height + 18 * j), line, TEXT, font, "ma" if span == 1 else "la")
        self._draw_legend(view.grid)

    def _draw_legend(self, grid: float):
        """Bottom right: how left and right look, and how far apart the floor's lines are."""
        font = ImageFont.load_default(12)
        y = self.blank.height - PAD - 4
        x = self.blank.width - PAD
        text = f"floor lines {grid:g} m"
        self.draw.text((x, y), text, FAINT_TEXT, font, "rm")
        x -= font.getlength(text) + 14
        for name in ("right", "left"):
            self.draw.text((x, y), name, FAINT_TEXT, font, "rm")
            x -= font.getlength(name) + 6
            large = Image.new("RGB", (24 * SUPERSAMPLE, 8 * SUPERSAMPLE), PAPER)
            ends = np.array([[[4, 4, 1]], [[20, 4, 1]]], dtype=float) * SUPERSAMPLE
            pen = ImageDraw.Draw(large)
            pen.polygon(_capsules(*ends, 4)[0], fill=SIDE_COLOURS[name])
            if name == "right":
                pen.polygon(_capsules(*ends, 2)[0], fill=PAPER)
            self.blank.paste(large.reduce(SUPERSAMPLE), (round(x) - 24, round(y) - 4))
            x -= 24 + 14

    def draw_clock(self, picture: Image.Image, text: str):
        """Bottom left."""
        y = picture.height - PAD - 4
        ImageDraw.Draw(picture).text((PAD, y), text, FAINT_TEXT, ImageFont.load_default(12), "lm")

    def draw_time(self, picture: Image.Image, corner: tuple[int, int], text: str):
        """Under a panel."""
        place = (corner[0] + self.panel_width / 2, corner[1] + self.panel_height + 4)
        ImageDraw.Draw(picture).text(place, text, FAINT_TEXT, ImageFont.load_default(11), "ma")

    def draw_progress(self, picture: Image.Image, corner: tuple[int, int], done: float, whole: float):
        """A line under a panel: as long as the motion, filled up to now; both as parts of the longest."""
        x, y = corner[0] + self.panel_width * 0.15, corner[1] + self.panel_height + 8
        draw = ImageDraw.Draw(picture)
        for part, colour in ((whole, GRID), (done, TRAIL)):
            draw.rectangle((x, y, x + 0.7 * self.panel_width * part, y + 2), fill=colour)


def _fit_text(text: str, width: float, size: int, smallest: int, max_lines: int):
    """The largest font in which ``text`` fits on a line, or the smallest and the text wrapped: ``(font, lines)``."""
    name = _font_name(text)
    text = " ".join("".join(c for c in text if _has_glyph(name, c)).split())
    while size > smallest and _load_font(name, size).getlength(text) > width:
        size -= 1
    font = _load_font(name, size)
    lines = [""]
    for character in text:
        lines[-1] += character
        if font.getlength(lines[-1]) > width:
            cut = lines[-1].rfind(" ") + 1 or len(lines[-1]) - 1
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    if len(lines) > max_lines:
        lines = lines[:max_lines]
        while font.getlength(lines[-1] + "...") > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "..."
    return font, [line for line in lines if line]


#: Tried in this order. Pillow's own font has little beyond ASCII, matplotlib's has Greek, arrows and accents; the
#: others are what Linux, macOS and Windows have for Japanese.
FONTS = (
    "", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSansJP-Regular.ttf", "ipag.ttf",
    "Hiragino Sans GB.ttc", "YuGothM.ttc", "meiryo.ttc", "msgothic.ttc",
)  # fmt: skip


def _font_name(text: str) -> str:
    """The first font that has all letters of ``text``; failing that the one that lacks the fewest."""
    lacking = {}
    for name in FONTS:
        if _load_font(name, 20) is not None:
            lacking[name] = sum(not _has_glyph(name, character) for character in text)
            if not lacking[name]:
                break
    return min(lacking, key=lacking.get)


@lru_cache(maxsize=64)
def _load_font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    if not name:
        return ImageFont.load_default(size)
    shipped = Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf" / name
    try:
        return ImageFont.truetype(str(shipped) if shipped.exists() else name, size)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _has_glyph(name: str, character: str) -> bool:
    """Whether a font draws something else than the box that it draws for what it lacks."""
    font = _load_font(name, 20)
    return character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))
