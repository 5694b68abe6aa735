"""Pictures of motion that need no browser: animated GIFs and film strips.

Everything is drawn by Pillow with our own camera, so that the axes have equal scales, a picture takes
milliseconds, and the same motion gives the same bytes. The camera is in front of the person, a little to
the person's right and above: the person's left limbs are on the picture's right, and walking forward (+z)
leads to the right and towards the viewer.

Left is blue and solid, right is orange and hollow, so the two also differ without colour.
"""

import math
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise

import numpy as np
import torch
from PIL import Image

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.motion.geometry import FPS, heading, turn
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.visualise.figure import GROUND, Figures, camera_path, check_motions, fit_view, quantise
from mdm_lib.visualise.page import Page

#: Poses of a film strip are at most this many seconds apart, so that no stride falls between two of them, and every
#: person starts turned this far to the picture's right, since a stride is best seen from the side.
LONGEST_GAP, STRIP_HEADING = 0.3, math.radians(25)


def draw_frames(
    motions, lengths=None, captions: Sequence[str] | None = None, title: str = "", fps: float = FPS, height=None,
    skeleton: Skeleton = SMPL22,
) -> list[Image.Image]:  # fmt: skip
    """One RGB picture per frame, with the motions side by side at one scale, at most four in a row.

    The camera is fixed if everyone stays within a metre, and otherwise follows each person smoothly;
    no limb leaves the picture. A motion that has ended keeps its last real pose, paler.

    Args:
        motions: ``[N, F, J, 3]`` or ``[F, J, 3]``, metres, y up, tensor or array.
        lengths: ``[N]`` number of real frames, all by default. Frames past a motion's length are never shown.
        captions: N short texts, one above each motion.
        title: a text above everything; it is shrunk, then wrapped, to fit.
        fps: frames per second, for the clock in the corner.
        height: height of a panel, pixels.
        skeleton: the skeleton of the J joints.

    Returns:
        As many pictures as the longest motion has frames.

    Raises:
        InputError: on a wrong shape, NaN in a real frame, lengths or captions that do not match, or an ``fps``
            that is not from 1 to 50.
    """
    if not 1 <= fps <= 50:
        raise InputError(f"fps must be from 1 to 50 (browsers slow faster GIFs down), not {fps}")
    joints, lengths, captions = check_motions(motions, lengths, captions, skeleton)
    num_motions, num_frames = joints.shape[:2]
    focus = camera_path(joints)
    view = fit_view(joints - focus[:, :, None], height or (400 if num_motions == 1 else 300))
    page = Page(view, num_motions, min(num_motions, 4), title, captions)
    figures = [Figures(view, joints[n], focus[n], skeleton) for n in range(num_motions)]
    frames = []
    for f in range(num_frames):
        picture = page.blank.copy()
        for n, corner in enumerate(page.corners):
            picture.paste(figures[n].draw(f, ended=f >= lengths[n]), corner)
            page.draw_progress(picture, corner, min(f + 1, lengths[n]) / num_frames, lengths[n] / num_frames)
        page.draw_clock(picture, f"{f / fps:.2f} s")
        frames.append(picture)
    return frames


def save_gif(
    path, motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, fps: float = FPS,
    skeleton: Skeleton = SMPL22,
):  # fmt: skip
    """Write the pictures of ``draw_frames`` as a looping GIF, atomically; returns the path.

    GIF frame times are hundredths of a second; other rates are kept on average. Arguments and errors
    as ``draw_frames``.
    """
    frames = draw_frames(motions, lengths, captions, title, fps, skeleton=skeleton)
    first, *rest = [quantise(frame) for frame in frames]
    ticks = [round(100 * f / fps) for f in range(len(frames) + 1)]
    duration = [10 * (end - start) for start, end in pairwise(ticks)]
    content = BytesIO()
    first.save(content, "GIF", save_all=True, append_images=rest, duration=duration, loop=0, optimize=False)
    return write_atomically(path, content.getbuffer())


def film_strip(
    motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, num_poses: int = 8, fps: float = FPS,
    skeleton: Skeleton = SMPL22,
) -> Image.Image:  # fmt: skip
    """A picture with a row of poses for each motion, evenly spaced in time.

    The poses span the motion, or as much of it as steps of ``LONGEST_GAP`` seconds reach, and each motion is turned to
    start facing the same way. The camera follows the root; the floor's lines are fixed in the world, so they show the
    distance travelled.
    Arguments and errors as ``draw_frames``; a motion shorter than ``num_poses`` shows every frame once.
    """
    joints, lengths, captions = check_motions(motions, lengths, captions, skeleton)
    if num_poses < 1:
        raise InputError(f"num_poses must be at least 1, not {num_poses}")
    joints = turn(torch.from_numpy(joints), STRIP_HEADING - heading(torch.from_numpy(joints[:, 0]), skeleton)).numpy()
    ends = [min(length - 1, max(1, round(LONGEST_GAP * fps)) * (num_poses - 1)) for length in lengths]
    picks = [np.unique(np.linspace(0, end, num_poses).round().astype(int)) for end in ends]
    rows = [joints[n, pick] for n, pick in enumerate(picks)]
    focus = [row[:, 0] * GROUND for row in rows]
    view = fit_view(np.concatenate([row - aim[:, None] for row, aim in zip(rows, focus, strict=True)]), height=170)
    columns = max(map(len, rows))
    page = Page(view, len(rows) * columns, columns, title, captions)
    picture = page.blank.copy()
    for n, pick in enumerate(picks):
        figures = Figures(view, rows[n], focus[n], skeleton)
        travel = np.linalg.norm(focus[n] - focus[n][0], axis=1)
        for i, f in enumerate(pick):
            corner = page.corners[n * columns + i]
            picture.paste(figures.draw(i), corner)
            went = f"   {travel[i]:.1f} m" if travel.max() > 0.5 else ""
            page.draw_time(picture, corner, f"{f / fps:.1f} s{went}")
    return quantise(picture)  # a third of the size in a notebook


def save_film_strip(
    path, motions, lengths=None, title: str = "", captions: Sequence[str] | None = None, num_poses: int = 8,
    fps: float = FPS, skeleton: Skeleton = SMPL22,
):  # fmt: skip
    """Write ``film_strip`` as a small PNG, atomically; returns the path. Arguments and errors as there."""
    content = BytesIO()
    film_strip(motions, lengths, title, captions, num_poses, fps, skeleton).save(content, "PNG", optimize=True)
    return write_atomically(path, content.getbuffer())
