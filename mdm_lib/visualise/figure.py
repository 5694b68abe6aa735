"""A camera and the drawing of a person: one pose becomes one panel of a picture."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw

from mdm_lib.errors import InputError
from mdm_lib.motion.skeleton import SMPL22, Skeleton

# Okabe and Ito's blue and vermilion, which colour-blind readers can tell apart.
SIDE_COLOURS = {"left": (0, 114, 178), "right": (213, 94, 0), "centre": (70, 72, 80)}
PAPER, FLOOR, GRID, METRE = (255, 255, 255), (244, 246, 248), (228, 232, 236), (192, 200, 208)
TORSO, SHADOW, PROGRESS = (204, 208, 216), (212, 218, 224), (148, 156, 168)
TEXT, FAINT_TEXT = (36, 40, 48), (108, 116, 128)

AZIMUTH, ELEVATION = math.radians(-35), math.radians(17)
#: Rows: the picture's right, the picture's up, and the direction to the viewer, in world coordinates.
CAMERA = np.array([
    [math.cos(AZIMUTH), 0.0, -math.sin(AZIMUTH)],
    [-math.sin(AZIMUTH) * math.sin(ELEVATION), math.cos(ELEVATION), -math.cos(AZIMUTH) * math.sin(ELEVATION)],
    [math.sin(AZIMUTH) * math.cos(ELEVATION), math.sin(ELEVATION), math.cos(AZIMUTH) * math.cos(ELEVATION)],
])  # fmt: skip

SUPERSAMPLE = 3  # panels are drawn this many times larger and shrunk, because Pillow's shapes have hard edges
RADIUS, EDGE, HEAD_RADIUS, HEAD_RISE = 0.036, 0.016, 0.1, 0.06  # metres; the head's centre is above its joint
SHADES = 12  # far limbs are paler, in this many steps
FOLLOW_FROM = 1.0  # metres of travel above which the camera follows
GROUND = np.array([1.0, 0.0, 1.0])


@dataclass(frozen=True)
class Body:
    """The parts of a skeleton that are drawn.

    Args:
        bones: (parent, child) of those that are drawn, with their ``sides``.
        torso: corner joints of the trunk. With hips and shoulders it is one shape, and the bones from the spine to them
            are not drawn.
        head: the joint at which a head is drawn, -1 for none.
    """

    bones: tuple[tuple[int, int], ...]
    sides: tuple[str, ...]
    torso: tuple[int, ...]
    head: int

    @property
    def radii(self) -> np.ndarray:
        """``[bones]`` metres; central bones are thinner."""
        return np.where(np.array(self.sides) == "centre", 0.6, 1.0) * RADIUS


@lru_cache
def body_of(skeleton: Skeleton) -> Body:
    """The parts of a skeleton to draw."""
    hidden, torso = set(), ()
    if len(skeleton.facing) > 1:
        torso = (*skeleton.facing[1], *reversed(skeleton.facing[0]))
        for joint in torso:
            while skeleton.side(joint) != "centre":
                hidden.add(joint)
                joint = skeleton.parents[joint]
    bones = tuple(bone for bone in skeleton.bones if bone[1] not in hidden)
    return Body(bones, tuple(skeleton.side(child) for _, child in bones), torso, skeleton.head)


def project(points: np.ndarray, distance: float) -> np.ndarray:
    """World → picture: ``[..., 3]`` metres around the camera's aim → ``[..., 3]`` right, up, and towards the viewer.

    Mild perspective: the lens is ``distance`` metres from the aim. Lengths are metres at the aim, so both axes of the
    picture have the same scale.
    """
    seen = points @ CAMERA.T
    seen[..., :2] *= distance / (distance - seen[..., 2:])
    return seen


@dataclass(frozen=True)
class View:
    """The projection of the world onto a panel; the same for all panels and frames of a picture.

    Args:
        scale: pixels per metre at the camera's aim.
        size: width and height of a panel, pixels.
        origin: position in the panel of the aim on the floor, pixels.
        distance: from the camera to its aim, metres.
        floor: radius of the drawn floor, metres.
        grid: spacing of the floor's lines, metres.
    """

    scale: float
    size: tuple[int, int]
    origin: tuple[float, float]
    distance: float
    floor: float
    grid: float

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """``[..., 3]`` metres around the aim → ``[..., 3]``: x, y (down) in pixels, and pixels per metre there."""
        seen = project(points, self.distance)
        scale = self.scale * self.distance / (self.distance - seen[..., 2])
        x, y = self.origin[0] + self.scale * seen[..., 0], self.origin[1] - self.scale * seen[..., 1]
        return np.stack([x, y, scale], axis=-1)


def camera_path(joints: np.ndarray) -> np.ndarray:
    """The camera's aim on the floor, ``[N, F, 3]``: each root's smoothed path, or the path's centre."""
    root = joints[:, :, 0] * GROUND
    low, high = root.min(1, keepdims=True), root.max(1, keepdims=True)
    if np.linalg.norm(high - low, axis=-1).max() < FOLLOW_FROM:
        return np.broadcast_to((low + high) / 2, root.shape)
    # Two moving averages. The path is extended by its reflection at the ends, so that the camera does not lag there.
    window = 15
    for _ in range(2):
        padded = np.pad(root, [(0, 0), (window // 2,) * 2, (0, 0)], mode="reflect", reflect_type="odd")
        root = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1).mean(-1)
    return root


def fit_view(joints: np.ndarray, height: int) -> View:
    """The view of largest scale in which all of ``[..., J, 3]`` around the aim, heads and floor fit into one panel."""
    points = joints.reshape(-1, 3)
    floor = max(0.4, float(np.linalg.norm(points * GROUND, axis=1).max())) + 0.1
    # No point is nearer to the lens than three quarters of this, so none is enlarged by more than a third.
    distance = max(7.0, 4 * float(np.linalg.norm(points, axis=1).max()))
    seen, rim = project(points, distance)[:, :2], project(_circle(floor), distance)[:, :2]
    margin = 4 / 3 * (HEAD_RISE + HEAD_RADIUS)
    low = np.minimum(seen.min(0) - margin, rim.min(0))
    high = np.maximum(seen.max(0) + margin, rim.max(0))
    extent, middle = high - low + 0.04, (low + high) / 2
    scale = min(height / extent[1], 1.8 * height / extent[0])
    width = math.ceil(max(scale * extent[0], 0.7 * height))
    origin = (width / 2 - scale * middle[0], height / 2 + scale * middle[1])
    grid = 0.5 * 2 ** max(0, math.ceil(math.log2(floor / 4)))
    return View(scale, (width, height), origin, distance, floor, grid)


def _circle(radius: float) -> np.ndarray:
    """``[72, 3]`` points around the aim, on the floor."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    return radius * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)


class Figures:
    """M poses ready to draw; their geometry is computed for all at once, since many small NumPy calls are slow.

    Args:
        poses: ``[M, J, 3]`` metres.
        focus: ``[M, 3]`` the camera's aim on the floor.
    """

    def __init__(self, view: View, poses: np.ndarray, focus: np.ndarray, skeleton: Skeleton = SMPL22):
        self.view, self.focus, self.body = view, focus, body_of(skeleton)
        parents, children = ([bone[end] for bone in self.body.bones] for end in (0, 1))
        pixels = SUPERSAMPLE * view.to_pixels(poses - focus[:, None])
        shadow = SUPERSAMPLE * view.to_pixels(poses * GROUND - focus[:, None])
        start, end, radii = pixels[:, parents], pixels[:, children], self.body.radii
        inset = 0.25 * (end - start)
        self.outer, self.inner = _capsules(start, end, radii), _capsules(start, end, radii - EDGE)
        self.gaps = _capsules(start + inset, end - inset, radii + EDGE)
        self.torso, self.torso_rim = _torso(pixels, self.body.torso)
        self.shadow = _capsules(shadow[:, parents], shadow[:, children], RADIUS)
        self.torso_shadow, _ = _torso(shadow, self.body.torso)
        if self.body.head >= 0:
            neck, head = poses[:, skeleton.parents[self.body.head]], poses[:, self.body.head]
            up = (head - neck) / np.maximum(np.linalg.norm(head - neck, axis=1, keepdims=True), 1e-6)
            self.head = (SUPERSAMPLE * view.to_pixels(head + HEAD_RISE * up - focus)).tolist()
        # From far to near. The trunk, the last shape, is placed just behind the spine.
        near = poses @ CAMERA[2]
        bone_near = (near[:, parents] + near[:, children]) / 2
        spine = [name == "centre" for name in self.body.sides]
        trunk_near = bone_near[:, spine if any(spine) else slice(None)].min(1, keepdims=True) - 0.01
        self.order = np.concatenate([bone_near, trunk_near], axis=1).argsort(axis=1).tolist()
        self.shades = (np.clip((near[:, :1] - bone_near) / 0.8 + 0.5, 0, 1) * SHADES).round().astype(int).tolist()

    def draw(self, m: int, ended: bool = False) -> Image.Image:
        """Pose ``m`` as a panel: floor, shadow and person, paler if the motion has ``ended``."""
        large = Image.new("RGB", tuple(SUPERSAMPLE * side for side in self.view.size), PAPER)
        draw = ImageDraw.Draw(large)
        _draw_floor(draw, self.view, self.focus[m])
        for shape in (*self.torso_shadow[m], *self.shadow[m]):
            draw.polygon(shape, fill=SHADOW)
        for shape in self.order[m]:
            if shape < len(self.body.bones):
                self._draw_bone(draw, m, shape, ended)
            else:
                for part in (*self.torso[m], *self.torso_rim[m]):
                    draw.polygon(part, fill=TORSO)
        return large.reduce(SUPERSAMPLE)

    def _draw_bone(self, draw: ImageDraw.ImageDraw, m: int, bone: int, ended: bool):
        """Limbs have a thin outline in the background colour, which separates crossing ones; right limbs are hollow."""
        side = self.body.sides[bone]
        colour = _shaded(side, 0 if side == "centre" else self.shades[m][bone], ended)
        if side != "centre":
            draw.polygon(self.gaps[m][bone], fill=PAPER)
        draw.polygon(self.outer[m][bone], fill=colour)
        if side == "right":
            draw.polygon(self.inner[m][bone], fill=PAPER)
        if self.body.bones[bone][1] == self.body.head:
            x, y, scale = self.head[m]
            for radius, fill in ((HEAD_RADIUS + EDGE, PAPER), (HEAD_RADIUS, colour)):
                draw.circle((x, y), radius * scale, fill=fill)


def _torso(pixels: np.ndarray, corners: tuple[int, ...]) -> tuple[list, list]:
    """The trunk of ``[M, J, 3]``: M lists of its shape (none without corners), and of thick lines that round it."""
    if not corners:
        return [[] for _ in pixels], [[] for _ in pixels]
    places = pixels[:, corners]
    shapes = places[..., :2].reshape(len(pixels), 1, -1).tolist()
    return shapes, _capsules(places, np.roll(places, 1, axis=1), RADIUS)


def _draw_floor(draw: ImageDraw.ImageDraw, view: View, focus: np.ndarray):
    """A round piece of floor under the aim; its lines are fixed in the world, every second one is darker."""
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
        start, end: ``[M, K, 3]``: x, y and pixels per metre.
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


def _mix(colour, backdrop, part: float) -> tuple[int, int, int]:
    """``colour`` with ``part`` of it (0 to 1) replaced by ``backdrop``."""
    return tuple(round((1 - part) * c + part * b) for c, b in zip(colour, backdrop, strict=True))


@lru_cache
def _shaded(name: str, shade: int, ended: bool) -> tuple[int, int, int]:
    """The colour of a side, paler with distance, and paler again if the motion has ended."""
    colour = _mix(SIDE_COLOURS[name], PAPER, 0.4 * shade / SHADES)
    return _mix(colour, PAPER, 0.5) if ended else colour


@lru_cache
def _palette() -> Image.Image:
    """The colours of every GIF: each ink in steps towards paper (depth, soft edges), and the flat colours.

    It is fixed: an adaptive palette would take longer than the drawing and would depend on the motion.
    """
    ramps = [_mix(ink, PAPER, step / 24) for ink in (*SIDE_COLOURS.values(), TEXT, FAINT_TEXT) for step in range(22)]
    colours = [PAPER, FLOOR, GRID, METRE, TORSO, SHADOW, PROGRESS, *ramps]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return palette


def quantise(picture: Image.Image) -> Image.Image:
    """The picture in the colours of ``_palette``, for a small file."""
    return picture.quantize(palette=_palette(), dither=Image.Dither.NONE)


def check_motions(motions, lengths, captions, skeleton: Skeleton = SMPL22) -> tuple[np.ndarray, list[int], list[str]]:
    """Joints ``[N, F, J, 3]`` up to the longest length, padding replaced by the last real pose; lengths; captions.

    Raises:
        InputError: on a wrong shape, NaN in a real frame, or lengths or captions that do not match.
    """
    try:
        motions = motions if isinstance(motions, torch.Tensor) else np.asarray(motions)
        joints = torch.as_tensor(motions).detach().cpu().double().numpy()
    except (TypeError, ValueError) as error:
        raise InputError(f"motions must be one tensor or array, padded to one length: {error}") from error
    num_joints = skeleton.num_joints
    if joints.ndim not in (3, 4) or joints.shape[-2:] != (num_joints, 3) or 0 in joints.shape:
        raise InputError(
            f"motions must be [N, F, {num_joints}, 3] or [F, {num_joints}, 3], not {list(joints.shape)}; "
            "convert model output to motion with its Representation's `decode`"
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
        raise InputError(f"captions must be one for each of the {len(joints)} motions, not {len(captions)}")
    last = np.array(lengths)[:, None] - 1
    joints = joints[np.arange(len(joints))[:, None], np.minimum(np.arange(max(lengths)), last)]
    bad = np.argwhere(~np.isfinite(joints))
    if len(bad):
        motion, frame, joint, _ = bad[0]
        raise InputError(
            f"motion {motion} has NaN or an infinite coordinate at frame {frame}, joint {joint}; "
            "repair it, leave it out, or shorten its length if the frame is padding"
        )
    return joints, lengths, captions
