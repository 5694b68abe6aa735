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
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mdm_lib.data.clips import FPS
from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.skeleton import BONES, JOINT, JOINT_NAMES, NUM_JOINTS, side

# Okabe and Ito's blue and vermilion, which colour-blind readers can tell apart.
SIDE_COLOURS = {"left": (0, 114, 178), "right": (213, 94, 0), "centre": (70, 72, 80)}
PAPER, FLOOR, GRID, METRE = (255, 255, 255), (244, 246, 248), (228, 232, 236), (192, 200, 208)
TORSO, SHADOW, PROGRESS = (204, 208, 216), (212, 218, 224), (148, 156, 168)
TEXT, FAINT_TEXT = (36, 40, 48), (108, 116, 128)

AZIMUTH, ELEVATION = math.radians(-35), math.radians(17)
#: Rows: the picture's right, the picture's up, and the way to the viewer, in world coordinates.
CAMERA = np.array([
    [math.cos(AZIMUTH), 0.0, -math.sin(AZIMUTH)],
    [-math.sin(AZIMUTH) * math.sin(ELEVATION), math.cos(ELEVATION), -math.cos(AZIMUTH) * math.sin(ELEVATION)],
    [math.sin(AZIMUTH) * math.cos(ELEVATION), math.sin(ELEVATION), math.cos(AZIMUTH) * math.cos(ELEVATION)],
])  # fmt: skip

SUPERSAMPLE = 3  # panels are drawn this much larger and shrunk, because Pillow's shapes have hard edges
RADIUS, EDGE, HEAD_RADIUS, HEAD_RISE = 0.036, 0.016, 0.1, 0.06  # metres; the head's middle is above SMPL's head joint
SHADES = 12  # far limbs are paler, in this many steps
FOLLOW_FROM = 1.0  # metres of travel from which the camera goes along
PAD = 16  # pixels around everything
GROUND = np.array([1.0, 0.0, 1.0])

# The trunk is one shape with these corners; the bones from the spine to hips and shoulders would only clutter it.
TORSO_CORNERS = [JOINT[name] for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
DRAWN = [(a, b) for a, b in BONES if not JOINT_NAMES[b].endswith(("hip", "collar", "shoulder"))]
PARENT, CHILD = (list(joints) for joints in zip(*DRAWN, strict=True))
SIDES = [side(child) for child in CHILD]
RADII = np.where(np.array(SIDES) == "centre", 0.6, 1.0) * RADIUS


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
        InputError: on a wrong shape, NaN in a real frame, lengths or captions that do not match, or an ``fps``
            that is not from 1 to 50.
    """
    if not 1 <= fps <= 50:
        raise InputError(f"fps must be from 1 to 50 (browsers slow faster GIFs down), not {fps}; motion here has {FPS}")
    joints, lengths, captions = _check(motions, lengths, captions)
    num_motions, num_frames = joints.shape[:2]
    focus = _camera_path(joints)
    view = _fit_view(joints - focus[:, :, None], height or (400 if num_motions == 1 else 300))
    page = _Page(view, num_motions, min(num_motions, 4), title, captions)
    figures = [_Figures(view, joints[n], focus[n]) for n in range(num_motions)]
    frames = []
    for f in range(num_frames):
        picture = page.blank.copy()
        for n, corner in enumerate(page.corners):
            picture.paste(figures[n].draw(f, ended=f >= lengths[n]), corner)
            page.draw_progress(picture, corner, min(f + 1, lengths[n]) / num_frames, lengths[n] / num_frames)
        page.draw_clock(picture, f"{f / fps:.2f} s")
        frames.append(picture)
    return frames


def save_gif(path, motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, fps: float = FPS):
    """Write the pictures of ``draw_frames`` as an endless GIF, atomically; returns the path.

    A GIF's clock counts hundredths of a second; rates that do not fit it are kept on average. Arguments and errors
    as ``draw_frames``.
    """
    frames = draw_frames(motions, lengths, captions, title, fps)
    first, *rest = [_quantise(frame) for frame in frames]
    ticks = [round(100 * f / fps) for f in range(len(frames) + 1)]
    duration = [10 * (end - start) for start, end in pairwise(ticks)]
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
    rows = [joints[n, pick] for n, pick in enumerate(picks)]
    focus = [row[:, 0] * GROUND for row in rows]
    view = _fit_view(np.concatenate([row - aim[:, None] for row, aim in zip(rows, focus, strict=True)]), height=170)
    columns = max(map(len, rows))
    page = _Page(view, len(rows) * columns, columns, title, captions)
    picture = page.blank.copy()
    for n, pick in enumerate(picks):
        figures = _Figures(view, rows[n], focus[n])
        travel = np.linalg.norm(focus[n] - focus[n][0], axis=1)
        for i, f in enumerate(pick):
            corner = page.corners[n * columns + i]
            picture.paste(figures.draw(i), corner)
            went = f"   {travel[i]:.1f} m" if travel.max() > 0.5 else ""
            page.draw_time(picture, corner, f"{f / FPS:.1f} s{went}")
    return picture


def save_film_strip(path, motions, lengths=None, title: str = "", captions=None, num_poses: int = 8):
    """Write ``film_strip`` as a small PNG, atomically; returns the path. Arguments and errors as there."""
    strip = film_strip(motions, lengths, title, captions, num_poses)
    content = BytesIO()
    _quantise(strip).save(content, "PNG", optimize=True)
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
    for name, style, colour in (("loss", "-", "#26282e"), ("mse", "--", "#0072b2"), ("vel", ":", "#d55e00")):
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
    try:
        joints = torch.as_tensor(motions).detach().cpu().double().numpy()
    except (TypeError, ValueError) as error:
        raise InputError(f"motions must be one tensor or array, padded to one length: {error}") from error
    if joints.ndim not in (3, 4) or joints.shape[-2:] != (NUM_JOINTS, 3) or 0 in joints.shape:
        raise InputError(
            f"motions must be [N, F, {NUM_JOINTS}, 3] or [F, {NUM_JOINTS}, 3], not {list(joints.shape)}; "
            "model output becomes motion by its Representation's `decode`"
        )
    joints = joints.reshape(-1, *joints.shape[-3:])
    longest = joints.shape[1]
    lengths = [longest] * len(joints) if lengths is None else torch.as_tensor(lengths).reshape(-1).int().tolist()
    if len(lengths) != len(joints) or not all(1 <= length <= longest for length in lengths):
        raise InputError(
            f"lengths must be from 1 to {longest}, one for each of the {len(joints)} motions, not {lengths}"
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
    names = ("step", "loss", "mse", "vel")
    try:
        with open(path, newline="") as file:
            # a run that is still writing, or was killed, may end in half a line
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        columns = {name: [float(row[name]) for row in rows] for name in names}
    except OSError as error:
        raise InputError(f"cannot read the training log {path}: {error.strerror}; check the path") from error
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is no training log: columns {', '.join(names)} must hold numbers") from error
    if not rows:
        raise InputError(f"{path} has no rows yet; train a little first")
    return columns


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
class _View:
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
    root = joints[:, :, 0] * GROUND
    low, high = root.min(1, keepdims=True), root.max(1, keepdims=True)
    if np.linalg.norm(high - low, axis=-1).max() < FOLLOW_FROM:
        return np.broadcast_to((low + high) / 2, root.shape)
    # Two moving averages. The path goes on beyond its ends, mirrored in them, so that the camera does not lag there.
    window = 15
    for _ in range(2):
        padded = np.pad(root, [(0, 0), (window // 2,) * 2, (0, 0)], mode="reflect", reflect_type="odd")
        root = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1).mean(-1)
    return root


def _fit_view(joints: np.ndarray, height: int) -> _View:
    """The largest scale at which all of ``[..., 22, 3]`` around the aim, heads and floor fit into one panel."""
    points = joints.reshape(-1, 3)
    floor = max(0.4, float(np.linalg.norm(points * GROUND, axis=1).max())) + 0.1
    # Nothing is nearer to the lens than three quarters of this, so nothing is enlarged by more than a third.
    distance = max(7.0, 4 * float(np.linalg.norm(points, axis=1).max()))
    seen, rim = project(points, distance)[:, :2], project(_circle(floor), distance)[:, :2]
    margin = 4 / 3 * HEAD_RADIUS
    low = np.minimum(seen.min(0) - margin, rim.min(0))
    high = np.maximum(seen.max(0) + [margin, margin + HEAD_RISE], rim.max(0))
    extent, middle = high - low + 0.04, (low + high) / 2
    scale = min(height / extent[1], 1.8 * height / extent[0])
    width = round(max(scale * extent[0], 0.7 * height))
    origin = (width / 2 - scale * middle[0], height / 2 + scale * middle[1])
    grid = 0.5 * 2 ** max(0, math.ceil(math.log2(floor / 4)))
    return _View(scale, (width, height), origin, distance, floor, grid)


def _circle(radius: float) -> np.ndarray:
    """``[72, 3]`` points around the aim, on the floor."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    return radius * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)


# --- The person -----------------------------------------------------------------------------------------------


class _Figures:
    """M poses ready to be drawn; their geometry is computed for all at once, since small NumPy calls are slow.

    Args:
        poses: ``[M, 22, 3]`` metres.
        focus: ``[M, 3]`` what the camera aims at on the floor.
    """

    def __init__(self, view: _View, poses: np.ndarray, focus: np.ndarray):
        self.view, self.focus = view, focus
        pixels = SUPERSAMPLE * view.to_pixels(poses - focus[:, None])
        shadow = SUPERSAMPLE * view.to_pixels(poses * GROUND - focus[:, None])
        start, end = pixels[:, PARENT], pixels[:, CHILD]
        inset = 0.25 * (end - start)
        self.outer, self.inner = _capsules(start, end, RADII), _capsules(start, end, RADII - EDGE)
        self.gaps = _capsules(start + inset, end - inset, RADII + EDGE)
        self.torso, self.torso_rim = _torso(pixels)
        self.shadow = _capsules(shadow[:, PARENT], shadow[:, CHILD], RADIUS)
        self.torso_shadow, _ = _torso(shadow)
        neck, head = poses[:, JOINT["neck"]], poses[:, JOINT["head"]]
        up = (head - neck) / np.maximum(np.linalg.norm(head - neck, axis=1, keepdims=True), 1e-6)
        self.head = (SUPERSAMPLE * view.to_pixels(head + HEAD_RISE * up - focus)).tolist()
        # From far to near. The trunk, which comes last in the list of shapes, lies just behind the spine.
        near = poses @ CAMERA[2]
        bone_near = (near[:, PARENT] + near[:, CHILD]) / 2
        trunk_near = bone_near[:, [name == "centre" for name in SIDES]].min(1, keepdims=True) - 0.01
        self.order = np.concatenate([bone_near, trunk_near], axis=1).argsort(axis=1).tolist()
        self.shades = (np.clip((near[:, :1] - bone_near) / 0.8 + 0.5, 0, 1) * SHADES).round().astype(int).tolist()

    def draw(self, m: int, ended: bool = False) -> Image.Image:
        """Pose ``m`` as a panel: floor, shadow and person."""
        large = Image.new("RGB", tuple(SUPERSAMPLE * side for side in self.view.size), PAPER)
        draw = ImageDraw.Draw(large)
        _draw_floor(draw, self.view, self.focus[m])
        for shape in (self.torso_shadow[m], *self.shadow[m]):
            draw.polygon(shape, fill=SHADOW)
        for shape in self.order[m]:
            if shape < len(DRAWN):
                self._draw_bone(draw, m, shape, ended)
            else:
                for part in (self.torso[m], *self.torso_rim[m]):
                    draw.polygon(part, fill=TORSO)
        return large.reduce(SUPERSAMPLE)

    def _draw_bone(self, draw: ImageDraw.ImageDraw, m: int, bone: int, ended: bool):
        """Limbs have a thin gap of paper around them, so that crossing ones stay apart; right ones are hollow."""
        shade = 0 if SIDES[bone] == "centre" else self.shades[m][bone]
        colour = _shaded(SIDES[bone], shade, ended)
        if SIDES[bone] != "centre":
            draw.polygon(self.gaps[m][bone], fill=PAPER)
        draw.polygon(self.outer[m][bone], fill=colour)
        if SIDES[bone] == "right":
            draw.polygon(self.inner[m][bone], fill=PAPER)
        if CHILD[bone] == JOINT["head"]:
            x, y, scale = self.head[m]
            for radius, fill in ((HEAD_RADIUS + EDGE, PAPER), (HEAD_RADIUS, colour)):
                draw.circle((x, y), radius * scale, fill=fill)


def _torso(pixels: np.ndarray) -> tuple[list, list]:
    """The trunk of ``[M, 22, 3]`` as M flat lists of corners, and the thick lines that round them."""
    corners = pixels[:, TORSO_CORNERS]
    return corners[..., :2].reshape(len(pixels), -1).tolist(), _capsules(corners, np.roll(corners, 1, axis=1), RADIUS)


def _draw_floor(draw: ImageDraw.ImageDraw, view: _View, focus: np.ndarray):
    """A round piece of floor under the aim; its lines stay in the world, every second one is darker."""
    draw.polygon((SUPERSAMPLE * view.to_pixels(_circle(view.floor))[:, :2]).reshape(-1).tolist(), fill=FLOOR)
    ends, colours = [], []
    for axis in (0, 2):
        first, last = (focus[axis] - view.floor) / view.grid, (focus[axis] + view.floor) / view.grid
        for line in range(math.ceil(first), math.floor(last) + 1):
            across = line * view.grid - focus[axis]
            along = math.sqrt(max(view.floor**2 - across**2, 0.0))
            ends += [(across, 0.0, y) if axis == 0 else (y, 0.0, across) for y in (-along, along)]
            colours.append(GRID if line % 2 else METRE)
    pixels = (SUPERSAMPLE * view.to_pixels(np.array(ends))[:, :2]).reshape(-1, 4).tolist()
    for line, colour in zip(pixels, colours, strict=True):
        draw.line(line, fill=colour, width=SUPERSAMPLE)


def _capsules(start: np.ndarray, end: np.ndarray, radius: float | np.ndarray) -> list[list[list[float]]]:
    """Outlines of thick lines with round ends.

    Args:
        start, end: ``[M, K, 3]``: x, y and pixels a metre.
        radius: metres, one for all or ``[K]``.

    Returns:
        M lists of K flat lists of corners.
    """
    radius = np.broadcast_to(radius, start.shape[1:2])[:, None, None]
    along = (end - start)[..., :2]
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = np.where(length > 1e-6, along / np.maximum(length, 1e-6), [1.0, 0.0])
    across = along[..., ::-1] * [-1.0, 1.0]
    angle = np.linspace(-np.pi / 2, np.pi / 2, 7)[:, None]
    cap = np.cos(angle) * along[..., None, :] + np.sin(angle) * across[..., None, :]
    far = end[..., None, :2] + radius * end[..., None, 2:] * cap
    near = start[..., None, :2] - radius * start[..., None, 2:] * cap
    return np.concatenate([far, near], axis=-2).reshape(*start.shape[:2], -1).tolist()


# --- Colours --------------------------------------------------------------------------------------------------


def _mix(colour, backdrop, part: float) -> tuple[int, int, int]:
    """``colour`` with ``part`` of it (0 to 1) replaced by ``backdrop``."""
    return tuple(round((1 - part) * c + part * b) for c, b in zip(colour, backdrop, strict=True))


@lru_cache
def _shaded(name: str, shade: int, ended: bool) -> tuple[int, int, int]:
    """The colour of a side, paler the farther away it is, and once more when the motion has ended."""
    colour = _mix(SIDE_COLOURS[name], PAPER, 0.4 * shade / SHADES)
    return _mix(colour, PAPER, 0.5) if ended else colour


@lru_cache
def _palette() -> Image.Image:
    """The colours of every GIF: each ink in steps to paper (depth, soft edges), and the flat ones.

    Made, not searched for: that would cost more than the drawing and would depend on the motion.
    """
    ramps = [_mix(ink, PAPER, step / 24) for ink in (*SIDE_COLOURS.values(), TEXT, FAINT_TEXT) for step in range(22)]
    colours = [PAPER, FLOOR, GRID, METRE, TORSO, SHADOW, PROGRESS, *ramps]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return palette


def _quantise(picture: Image.Image) -> Image.Image:
    return picture.quantize(palette=_palette(), dither=Image.Dither.NONE)


# --- The page around the panels -------------------------------------------------------------------------------


class _Page:
    """Where panels and texts go. ``blank`` holds every text that stays; ``corners`` are the panels' places.

    Captions stand over one panel each, or over a whole row when there are as many captions as rows.
    """

    def __init__(self, view: _View, num_panels: int, columns: int, title: str, captions: list[str]):
        rows = math.ceil(num_panels / columns)
        span = num_panels // len(captions)  # panels that share a caption
        self.panel_width, self.panel_height = view.size
        width = max(columns * self.panel_width, 270) + 2 * PAD
        inset = (width - columns * self.panel_width) // 2
        title_font, title_lines = _fit_text(title, width - 2 * PAD, size=22, smallest=15, max_lines=3)
        fitted = [_fit_text(c, span * self.panel_width - PAD, size=15, smallest=12, max_lines=2) for c in captions]
        caption_height = max(len(lines) for _, lines in fitted) * 18
        leading = round(1.35 * title_font.size)
        top = PAD + len(title_lines) * leading + (6 if title_lines else 0)
        row_height = caption_height + self.panel_height + 30
        self.blank = Image.new("RGB", (width, top + rows * row_height + 26 + PAD // 2), PAPER)
        self.corners = [
            (inset + (i % columns) * self.panel_width, top + (i // columns) * row_height + caption_height)
            for i in range(num_panels)
        ]
        draw = ImageDraw.Draw(self.blank)
        for i, line in enumerate(title_lines):
            draw.text((PAD, PAD - 4 + leading * i), line, TEXT, title_font)
        for i, (font, lines) in enumerate(fitted):
            x, y = self.corners[i * span]
            x, anchor = (x + self.panel_width / 2, "ma") if span == 1 else (PAD, "la")
            for j, line in enumerate(lines):
                draw.text((x, y - caption_height + 18 * j), line, TEXT, font, anchor)
        self._draw_legend(draw, view.grid)

    def _draw_legend(self, draw: ImageDraw.ImageDraw, grid: float):
        """Bottom right: how left and right look, and how far apart the floor's lines are."""
        font, text = ImageFont.load_default(12), f"floor lines {grid:g} m"
        x, y = self.blank.width - PAD, self.blank.height - PAD - 4
        draw.text((x, y), text, FAINT_TEXT, font, "rm")
        x -= font.getlength(text) + 14
        for name in ("right", "left"):
            draw.text((x, y), name, FAINT_TEXT, font, "rm")
            x -= font.getlength(name) + 6
            key = Image.new("RGB", (24 * SUPERSAMPLE, 8 * SUPERSAMPLE), PAPER)
            box, outline = (0, 0, key.width - 1, key.height - 1), SIDE_COLOURS[name]
            fill = outline if name == "left" else PAPER
            ImageDraw.Draw(key).rounded_rectangle(box, 4 * SUPERSAMPLE, fill, outline, 2 * SUPERSAMPLE)
            self.blank.paste(key.reduce(SUPERSAMPLE), (round(x) - 24, round(y) - 4))
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
        for part, colour in ((whole, GRID), (done, PROGRESS)):
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
    return font, [line.strip() for line in lines if line.strip()]


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
