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
from io import BytesIO
from itertools import pairwise

import numpy as np
import torch
from PIL import Image

from mdm_lib.data.clips import FPS, heading, turn
from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.pictures.figure import GROUND, Figures, camera_path, fit_view, quantise
from mdm_lib.pictures.page import Page
from mdm_lib.skeleton import NUM_JOINTS

#: Poses of a film strip are at most this many frames apart, so that no stride falls between two of them,
#: and everybody starts turned this far to the picture's right, since a stride is best seen from the side.
LONGEST_GAP, STRIP_HEADING = 6, math.radians(25)


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
    joints, lengths, captions = check_motions(motions, lengths, captions)
    num_motions, num_frames = joints.shape[:2]
    focus = camera_path(joints)
    view = fit_view(joints - focus[:, :, None], height or (400 if num_motions == 1 else 300))
    page = Page(view, num_motions, min(num_motions, 4), title, captions)
    figures = [Figures(view, joints[n], focus[n]) for n in range(num_motions)]
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
    first, *rest = [quantise(frame) for frame in frames]
    ticks = [round(100 * f / fps) for f in range(len(frames) + 1)]
    duration = [10 * (end - start) for start, end in pairwise(ticks)]
    content = BytesIO()
    first.save(content, "GIF", save_all=True, append_images=rest, duration=duration, loop=0, optimize=False)
    return write_atomically(path, content.getbuffer())


def film_strip(
    motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, num_poses: int = 8, fps: float = FPS
) -> Image.Image:
    """A picture with a row of poses for each motion, evenly spaced in time.

    They reach from the first to the last frame, or as far as steps of ``LONGEST_GAP`` frames go, and each motion is
    turned so that it starts facing the same way. The camera goes along with the root; the floor's lines stay in
    the world, so they tell how far it went.
    Arguments and errors as ``draw_frames``; a motion shorter than ``num_poses`` shows every frame once.
    """
    joints, lengths, captions = check_motions(motions, lengths, captions)
    if num_poses < 1:
        raise InputError(f"num_poses must be at least 1, not {num_poses}")
    joints = turn(torch.from_numpy(joints), STRIP_HEADING - heading(torch.from_numpy(joints[:, 0]))).numpy()
    ends = [min(length - 1, LONGEST_GAP * (num_poses - 1)) for length in lengths]
    picks = [np.unique(np.linspace(0, end, num_poses).round().astype(int)) for end in ends]
    rows = [joints[n, pick] for n, pick in enumerate(picks)]
    focus = [row[:, 0] * GROUND for row in rows]
    view = fit_view(np.concatenate([row - aim[:, None] for row, aim in zip(rows, focus, strict=True)]), height=170)
    columns = max(map(len, rows))
    page = Page(view, len(rows) * columns, columns, title, captions)
    picture = page.blank.copy()
    for n, pick in enumerate(picks):
        figures = Figures(view, rows[n], focus[n])
        travel = np.linalg.norm(focus[n] - focus[n][0], axis=1)
        for i, f in enumerate(pick):
            corner = page.corners[n * columns + i]
            picture.paste(figures.draw(i), corner)
            went = f"   {travel[i]:.1f} m" if travel.max() > 0.5 else ""
            page.draw_time(picture, corner, f"{f / fps:.1f} s{went}")
    return quantise(picture)  # a third of the size in a notebook


def save_film_strip(path, motions, lengths=None, title: str = "", captions=None, num_poses: int = 8):
    """Write ``film_strip`` as a small PNG, atomically; returns the path. Arguments and errors as there."""
    content = BytesIO()
    film_strip(motions, lengths, title, captions, num_poses).save(content, "PNG", optimize=True)
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


def check_motions(motions, lengths, captions) -> tuple[np.ndarray, list[int], list[str]]:
    """Joints ``[N, F, 22, 3]`` up to the longest real length, padding replaced by the last real pose; the other two.

    Raises:
        InputError: on a wrong shape, NaN in a real frame, or lengths or captions that do not match.
    """
    try:
        motions = motions if isinstance(motions, torch.Tensor) else np.asarray(motions)
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
