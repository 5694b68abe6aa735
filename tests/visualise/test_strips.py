"""GIFs, film strips and the loss plot: nobody is cropped, mirrored or drawn from padding."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mdm_lib.pictures import figure
from PIL import Image

from mdm_lib.errors import InputError
from mdm_lib.motion.skeleton import JOINT, forward_kinematics
from mdm_lib.visualise.figure import camera_path, fit_view, project
from mdm_lib.visualise.page import _fit_text
from mdm_lib.visualise.plots import plot_losses
from mdm_lib.visualise.strips import draw_frames, film_strip, save_film_strip, save_gif

OFFSETS = torch.tensor([
    [0.0, 0, 0], [0.1, -0.1, 0], [-0.1, -0.1, 0], [0, 0.1, 0], [0, -0.4, 0], [0, -0.4, 0], [0, 0.13, 0], [0, -0.4, 0],
    [0, -0.4, 0], [0, 0.06, 0], [0, -0.05, 0.12], [0, -0.05, 0.12], [0, 0.2, 0], [0.08, 0.12, 0], [-0.08, 0.12, 0],
    [0, 0.1, 0.03], [0.1, 0, 0], [-0.1, 0, 0], [0.27, 0, 0], [-0.27, 0, 0], [0.25, 0, 0], [-0.25, 0, 0],
])  # fmt: skip


def walker(num_frames: int = 12, metres: float = 0.0) -> np.ndarray:
    """A T-posed person ``[F, 22, 3]`` who faces +z and glides that far forward."""
    root = torch.zeros(num_frames, 3)
    root[:, 1], root[:, 2] = 0.95, torch.linspace(0, metres, num_frames)
    return forward_kinematics(
        torch.eye(3).expand(num_frames, 22, 3, 3), root, OFFSETS.expand(num_frames, 22, 3)
    ).numpy()


def tumbling(seed: int, size: float, speed: float, num_frames: int = 9) -> np.ndarray:
    """Anything: joints ``[2, F, 22, 3]`` thrown at random over ``size`` metres, drifting away."""
    generator = np.random.default_rng(seed)
    drift = speed * generator.normal(size=(2, num_frames, 1, 3)).cumsum(1) * [1, 0.1, 1]
    return size * generator.normal(size=(2, num_frames, 22, 3)) + drift


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 30), st.floats(0, 3))
def test_every_joint_with_a_head_around_it_is_inside_the_panel(seed, size, speed):
    joints = tumbling(seed, size, speed)
    focus = camera_path(joints)
    view = fit_view(joints - focus[:, :, None], height=200)
    pixels = view.to_pixels(joints - focus[:, :, None])
    room = figure.HEAD_RADIUS * pixels[..., 2]
    assert (pixels[..., 2] > 0).all()
    for axis in (0, 1):
        assert (pixels[..., axis] - room >= 0).all()
        assert (pixels[..., axis] + room <= view.size[axis]).all()


@pytest.mark.parametrize("metres", [0, 6])
def test_ink_never_touches_the_edge_of_a_picture(metres):
    for picture in [*draw_frames(walker(metres=metres)), film_strip(walker(metres=metres))]:
        pixels = np.asarray(picture.convert("RGB"))
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert (edge == figure.PAPER).all()


def test_left_limbs_are_on_the_right_of_the_picture_when_the_person_faces_us():
    pose = walker()[0]
    assert pose[JOINT["left_wrist"], 0] > 0  # the convention: facing +z, left is +x
    seen = project(pose, 8.0)
    assert seen[JOINT["left_wrist"], 0] > seen[JOINT["head"], 0] > seen[JOINT["right_wrist"], 0]
    assert seen[JOINT["head"], 1] > seen[JOINT["left_foot"], 1]
    assert seen[JOINT["left_foot"], 2] > seen[JOINT["left_ankle"], 2]  # toes point at us


def test_camera_is_a_rotation_so_axes_are_equal_and_nothing_is_mirrored():
    assert np.allclose(figure.CAMERA @ figure.CAMERA.T, np.eye(3))
    assert np.isclose(np.linalg.det(figure.CAMERA), 1)


def test_the_picture_shows_blue_on_the_right_and_orange_on_the_left():
    pixels = np.asarray(draw_frames(walker())[0]).astype(int)[:-60]  # without the legend
    blue, orange = (np.abs(pixels - figure._shaded(name, 6, False)).sum(-1) < 40 for name in ("left", "right"))
    assert blue.any() and orange.any()
    assert np.nonzero(blue)[1].mean() > np.nonzero(orange)[1].mean() + 30


@pytest.mark.parametrize("num_frames", [2, 5, 30])
def test_the_camera_goes_along_only_with_those_who_go_far(num_frames):
    still, far = (camera_path(walker(num_frames, metres)[None].astype(float)) for metres in (0.5, 8))
    assert np.ptp(still, axis=1).max() == 0
    assert np.abs(far[0, :, 2] - np.linspace(0, 8, num_frames)).max() < 1e-6  # no lag at even speed, nor at the ends
    assert (far[..., 1] == 0).all()


def test_gif_has_every_frame_at_the_right_pace(tmp_path):
    for fps, seconds in ((20, 0.6), (30, 0.4)):
        path = save_gif(tmp_path / "new" / "walk.gif", walker(12), title="Walk", fps=fps)
        with Image.open(path) as gif:
            durations = [gif.seek(f) or gif.info["duration"] for f in range(gif.n_frames)]
            assert (gif.n_frames, gif.info["loop"]) == (12, 0)
        assert sum(durations) == pytest.approx(1000 * seconds)
        assert fps != 20 or set(durations) == {50}
    assert [file.name for file in path.parent.iterdir()] == ["walk.gif"]  # nothing unfinished is left beside it


def test_paper_stays_white_in_the_gif(tmp_path):
    with Image.open(save_gif(tmp_path / "a.gif", walker(2))) as gif:
        assert gif.convert("RGB").getpixel((0, 0)) == figure.PAPER


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")
    with pytest.raises(InputError):
        save_gif(path, walker() * np.nan)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_same_motion_same_bytes_from_tensor_or_array(tmp_path):
    motion = torch.as_tensor(walker(metres=3))
    for save, suffix in ((save_gif, "gif"), (save_film_strip, "png")):
        one = save(tmp_path / f"a.{suffix}", motion, title="t")
        other = save(tmp_path / f"b.{suffix}", motion[None].requires_grad_().numpy(force=True), title="t")
        assert one.read_bytes() == other.read_bytes()


def test_padding_is_never_shown():
    clean = np.stack([walker(12), walker(12)])
    dirty = clean.copy()
    dirty[0, 5:] = np.nan
    dirty[1, 9:] = 100.0
    for lengths in ([5, 9], torch.tensor([5, 9])):
        ours, theirs = draw_frames(dirty, lengths), draw_frames(clean[:, :9], [5, 9])
        assert len(ours) == 9 and all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))
    assert film_strip(dirty, [5, 9]).tobytes() == film_strip(clean, [5, 9]).tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {"motions": m[..., :21, :]}, "22, 3]"),
        (lambda m: {"motions": m[0, 0]}, "22, 3]"),
        (lambda m: {"motions": m[:, :0]}, "22, 3]"),
        (lambda m: {"motions": [m[0], m[0, :3]]}, "padded"),
        (lambda m: {"motions": np.where(np.arange(12)[None, :, None, None] == 7, np.nan, m)}, "frame 7"),
        (lambda m: {"motions": m, "lengths": [3]}, "lengths"),
        (lambda m: {"motions": m, "lengths": [0, 5]}, "lengths"),
        (lambda m: {"motions": m, "lengths": [13, 5]}, "lengths"),
        (lambda m: {"motions": m, "captions": ["one"]}, "captions"),
        (lambda m: {"motions": m, "fps": 0}, "fps"),
    ],
)
def test_wrong_input_says_what_is_wrong(change, message):
    with pytest.raises(InputError, match=message):
        draw_frames(**change(np.stack([walker(), walker()])))


@pytest.mark.parametrize("text", ["", "walk", "long " * 200, "W" * 300, "λ → é", "歩く"])
def test_text_fits(text):
    for width in (60, 280):
        font, lines = _fit_text(text, width, size=22, smallest=15, max_lines=3)
        assert len(lines) <= 3 and all(font.getlength(line) <= width for line in lines)
        assert text != "walk" or lines == ["walk"]
    draw_frames(walker(1), title=text, captions=[text])


def test_film_strip_has_a_row_for_each_motion_and_shows_no_frame_twice():
    one, two = film_strip(walker()), film_strip(np.stack([walker(), walker()]))
    assert one.width == two.width and two.height > 1.7 * one.height
    assert film_strip(walker(3)).width < one.width
    assert film_strip(walker(1), num_poses=1).height > 0


def test_plot_losses(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,epoch,loss,mse,vel,lr\n1,0,1.0,0.5,0.05,0.001\n2,0,0.5,0.2,0.03,0.001\n3,0,0.4")  # half a line
    with Image.open(plot_losses(log, tmp_path / "loss.png")) as picture:
        assert picture.format == "PNG" and picture.width > 400
    for content, message in (
        ("step,epoch,loss,mse,vel,lr\n", "no rows"),
        ("a,b\n1,2\n", "columns"),
        (None, "cannot read"),
    ):
        log.write_text(content) if content else log.unlink()
        with pytest.raises(InputError, match=message):
            plot_losses(log, tmp_path / "loss.png")


def test_drawing_does_not_load_matplotlib():
    code = (
        "import sys, numpy, mdm_lib.visualise as v; v.film_strip(numpy.ones((2, 22, 3)), title='λ'); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
