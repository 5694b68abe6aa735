"""Explorers, driven by the values of their controls, without a browser."""

import os
import subprocess
import sys
import warnings
from base64 import b64decode
from collections import deque
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Semaphore
from time import monotonic, sleep

import ipywidgets
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

import mdm_lib
from mdm_lib import PRESETS, InputError, generate, load_clips, train
from mdm_lib.checkpoint import attention
from mdm_lib.data.clips import first_clip
from mdm_lib.pictures.plots import plot_attention, plot_noise
from mdm_lib.player import MotionPlayer
from mdm_lib.sampling import sample
from mdm_lib.widgets import (
    Motion,
    attention_explorer,
    explore,
    gallery,
    noise_explorer,
    sampler_explorer,
)  # fmt: skip

MOTION = np.random.default_rng(0).normal(size=(4, 22, 3))


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:60")


@pytest.fixture(scope="module")
def checkpoint(clips):
    config = replace(PRESETS["tiny"], latent_dim=32, num_layers=2, ff_size=64, num_timesteps=20, num_frames=40)
    return deque(train(clips, config, steps=60), maxlen=1).pop().checkpoint()


def colour(red: int = 0) -> Image.Image:
    return Image.new("RGB", (8, 8), (red, 0, 0))


def red(explorer) -> int:
    """What ``colour`` was asked for, read from the picture that is shown."""
    (item,) = explorer.stage.items.values()
    return Image.open(BytesIO(item.value)).getpixel((0, 0))[0]


def another_value(control):
    """A value that a control does not have now."""
    if hasattr(control, "options"):
        return next(option for option in control.options if option != control.value)
    return control.value - 1 if control.value > control.min else control.value + 1


# explore -------------------------------------------------------------------------------------------------------------


def test_controls_become_labelled_widgets():
    own = ipywidgets.FloatText(2.0, description="mine")
    controls = dict(n=(0, 5), x=(0.0, 1.0), by_two=(0, 8, 2), word=["a", "b"], code={"one": 1, "two": 2}, on=True)
    explorer = explore(lambda **values: colour(), own=own, **controls)
    kinds = [type(control).__name__ for control in explorer.controls.values()]
    assert kinds == ["FloatText", "IntSlider", "FloatSlider", "IntSlider", "Dropdown", "Dropdown", "Checkbox"]
    assert [c.description for c in explorer.controls.values()] == ["mine", "n", "x", "by two", "word", "code", "on"]
    assert explorer.values() == dict(own=2.0, n=0, x=0.0, by_two=0, word="a", code=1, on=True)
    assert explorer.controls["by_two"].step == 2 and explorer.controls["own"] is own


@pytest.mark.parametrize("spec", [3, "word", (1,), [], (1, "a"), None])
def test_other_controls_are_refused(spec):
    with pytest.raises(InputError, match="control 'n'"):
        explore(lambda n: colour(), n=spec)


def test_sliders_wait_for_release_only_where_work_is_long():
    def slow(n):
        yield 1.0, colour(n)

    assert explore(colour, red=(0, 9)).controls["red"].continuous_update
    assert not explore(slow, n=(0, 9)).controls["n"].continuous_update


def test_a_picture_is_replaced_in_place():
    explorer = explore(colour, red=(0, 9))
    (image,) = explorer.stage.items.values()
    explorer.controls["red"].value = 7
    assert explorer.stage.items["picture"] is image and explorer.stage.children == (image,)
    assert red(explorer) == 7


def test_a_motion_is_updated_in_place():
    explorer = explore(lambda scale: torch.tensor(MOTION * scale), scale=(1, 3))
    (player,) = explorer.stage.children
    assert isinstance(player, MotionPlayer)
    explorer.controls["scale"].value = 2
    assert explorer.stage.children == (player,)
    np.testing.assert_allclose(player.motion[0], 2 * MOTION)


def test_a_frame_that_is_asked_for_stops_the_player_there_once():
    explorer = explore(lambda frame, scale: Motion(scale * MOTION, frame=frame), frame=(0, 3), scale=(1, 2))
    (player,) = explorer.stage.children
    explorer.controls["frame"].value = 2
    assert (player.frame, player.playing) == (2, False)
    player.frame, player.playing = 1, True
    explorer.controls["scale"].value = 2
    assert (player.frame, player.playing) == (1, True)


def test_several_results_stand_side_by_side():
    figure = Figure(figsize=(2, 1))
    named = explore(lambda on: {"a": colour(), "b": figure, "c": MOTION}, on=True)
    assert list(named.stage.items) == ["a", "b", "c"] and len(named.stage.children) == 3
    assert named.stage.names.pictures == ["a", "b"]
    unnamed = explore(lambda on: [colour(), MOTION] if on else colour(), on=True)
    assert len(unnamed.stage.children) == 2
    unnamed.controls["on"].value = False
    assert len(unnamed.stage.children) == 1


def test_the_first_error_is_raised():
    def broken(n):
        raise ZeroDivisionError("first")

    with pytest.raises(ZeroDivisionError, match="first"):
        explore(broken, n=(0, 1))
    with pytest.raises(InputError, match="not str"):
        explore(lambda n: "text", n=(0, 1))


def test_later_errors_are_shown_and_kept():
    def picky(n):
        if n == 1:
            raise InputError("n is 1; choose 0")
        return colour(10 // (2 - n))

    explorer = explore(picky, n=(0, 2))
    explorer.controls["n"].value = 1
    assert isinstance(explorer.error, InputError)
    assert "n is 1; choose 0" in explorer._complaint.value and "Traceback" not in explorer._complaint.value
    assert explorer.stage.layout.display == "none" and explorer._complaint.layout.display is None
    assert "image/png" not in explorer._repr_mimebundle_()
    explorer.controls["n"].value = 2
    assert isinstance(explorer.error, ZeroDivisionError)
    assert "ZeroDivisionError: " in explorer._complaint.value and "<details>" in explorer._complaint.value
    explorer.controls["n"].value = 0
    assert explorer.error is None and explorer._complaint.layout.display == "none"
    assert explorer.stage.layout.display is None and red(explorer) == 5


def test_an_error_cannot_bring_its_own_html():
    def picky(n):
        if n:
            raise ValueError("<script>")
        return colour()

    explorer = explore(picky, n=(0, 1))
    explorer.controls["n"].value = 1
    assert "<script>" not in explorer._complaint.value


def test_the_output_carries_a_picture_and_words():
    explorer = explore(lambda n: {"colour": colour(n), "skeleton": MOTION}, n=(3, 9))
    data, metadata = explorer._repr_mimebundle_()
    picture = Image.open(BytesIO(b64decode(data["image/png"])))
    assert picture.width > 8 and picture.height > 8
    assert "application/vnd.jupyter.widget-view+json" in data
    assert metadata["image/png"]["alt"] == "colour; skeleton, for n 3"
    assert data["text/plain"] == "<Explorer of n>"  # nbval compares it: no addresses, no model ids


# long work -----------------------------------------------------------------------------------------------------------


class Kernel:
    """A notebook's kernel: which cell it runs, and for whom."""

    def __init__(self, allow_stdin: bool):
        self.kernel, self.allow_stdin = self, allow_stdin
        self.run("a cell")

    def run(self, cell: str):
        header = {"msg_id": object()}
        self.message = {"header": header, "metadata": {"cellId": cell}, "content": {"allow_stdin": self.allow_stdin}}

    def get_parent(self) -> dict:
        return self.message


@pytest.fixture
def reader(monkeypatch):
    """A kernel whose cells are run by a reader at a browser."""
    kernel = Kernel(allow_stdin=True)
    monkeypatch.setattr("mdm_lib.widgets.get_ipython", lambda: kernel)
    return kernel


class Work:
    """A function that takes four turns, each when it is told to, and writes down what it began, ended and left."""

    def __init__(self):
        self.log, self.turns = [], Semaphore(0)

    def show(self, n):
        self.log.append(("begun", n))
        try:
            for i in range(4):
                assert self.turns.acquire(timeout=600)
                yield i / 4, None
            yield 1.0, colour(n)
            self.log.append(("ended", n))
        except GeneratorExit:
            self.log.append(("left", n))
            raise

    def explore(self):
        """An explorer of it, whose first call has begun."""
        explorer = explore(self.show, n=(0, 9))
        until(lambda: self.log)
        return explorer

    def go_on(self, turns: int = 100):
        self.turns.release(turns)


def until(condition):
    deadline = monotonic() + 600
    while not condition():
        assert monotonic() < deadline
        sleep(0.002)


@pytest.mark.parametrize("kernel", [None, Kernel(allow_stdin=False)])
def test_long_work_runs_to_its_end_where_nobody_looks_on(monkeypatch, kernel):
    monkeypatch.setattr("mdm_lib.widgets.get_ipython", lambda: kernel)
    work = Work()
    work.go_on()
    explorer = work.explore()
    assert "image/png" in explorer._repr_mimebundle_()[0] and not explorer.busy
    explorer.controls["n"].value = 4
    assert work.log == [("begun", 0), ("ended", 0), ("begun", 4), ("ended", 4)]
    assert red(explorer) == 4 and explorer._bar.layout.visibility == "hidden"


def test_a_notebook_that_is_executed_to_be_stored_has_the_finished_picture():
    """By nbclient, which builds the course's notebooks: the picture is there, and an error fails the cell."""
    work = (
        "from mdm_lib.widgets import explore\nfrom PIL import Image\ndef work(n):\n    yield 0.5, None\n    yield 1.0, "
    )
    cells = [f"{work}{last}\nexplore(work, n=(0, 1))" for last in ("Image.new('RGB', (8, 8))", "1 / 0")]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, kernel_name="python3")
    with (
        client.setup_kernel(env={**os.environ, "PYTHONPATH": str(Path(mdm_lib.__file__).parents[1])}),
        pytest.raises(CellExecutionError, match="ZeroDivisionError"),
    ):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    (output,) = notebook.cells[0].outputs
    assert output.data["image/png"] and output.metadata["image/png"]["alt"] == "picture, for n 0"


def test_a_reader_has_the_explorer_before_its_first_picture(reader):
    work = Work()
    explorer = work.explore()
    assert explorer.busy and not explorer.stage.items
    assert "image/png" not in explorer._repr_mimebundle_()
    work.go_on(3)
    until(lambda: explorer._bar.value == 0.5)
    assert explorer._bar.layout.visibility == "visible"
    work.go_on()
    assert explorer.wait() is explorer and not explorer.busy
    assert red(explorer) == 0 and explorer._bar.layout.visibility == "hidden"
    assert "image/png" in explorer._repr_mimebundle_()[0]


def test_the_first_call_is_left_when_a_value_changes(reader):
    work = Work()
    explorer = work.explore()
    for n in range(1, 10):
        explorer.controls["n"].value = n  # none of them but the last one is begun
    work.go_on()
    explorer.wait()
    assert work.log == [("begun", 0), ("left", 0), ("begun", 9), ("ended", 9)]
    assert red(explorer) == 9 and explorer._bar.layout.visibility == "hidden"


def test_later_calls_are_left_when_a_value_changes(reader):
    work = Work()
    work.go_on(4)
    explorer = work.explore().wait()
    work.log.clear()
    for n in (1, 2):
        explorer.controls["n"].value = n
        until(lambda n=n: ("begun", n) in work.log)
        assert red(explorer) == 0
        work.go_on(1)
    work.go_on()
    explorer.wait()
    assert work.log == [("begun", 1), ("left", 1), ("begun", 2), ("ended", 2)]
    assert red(explorer) == 2


def test_a_control_that_work_itself_moves_begins_anew():
    def work(n):
        if n == 1:
            explorer.controls["n"].value = 2
        yield 1.0, colour(n)

    explorer = explore(work, n=(0, 9))
    explorer.controls["n"].value = 1
    assert red(explorer) == 2


def test_a_cell_that_runs_again_ends_the_work_of_its_last_run(reader):
    first, second, elsewhere, again = Work(), Work(), Work(), Work()
    explorers = [first.explore(), second.explore()]
    reader.run("another cell")
    elsewhere.explore()
    reader.run("a cell")
    again.explore()
    for work in (first, second, elsewhere, again):
        work.go_on()
    for explorer in explorers:
        explorer.wait()
        assert not explorer.busy and explorer._bar.layout.visibility == "hidden"
    until(lambda: elsewhere.log[-1:] == again.log[-1:] == [("ended", 0)])
    assert first.log == second.log == [("begun", 0), ("left", 0)]
    explorers[0].controls["n"].value = 5  # it may still be on show in another cell
    explorers[0].wait()
    assert red(explorers[0]) == 5


def test_closing_leaves_the_work(reader):
    work = Work()
    explorer = work.explore()
    explorer.close()
    work.go_on()
    explorer.wait()
    assert work.log == [("begun", 0), ("left", 0)]


def test_an_error_in_the_background_is_shown(reader):
    def picky(n):
        yield 0.5, None
        if n % 2 == 0:
            raise ValueError("bad")
        yield 1.0, colour(n)

    explorer = explore(picky, n=(0, 2))
    with pytest.raises(ValueError, match="bad"):
        explorer.wait()
    assert "ValueError: bad" in explorer._complaint.value and explorer._bar.layout.visibility == "hidden"
    assert "image/png" not in explorer._repr_mimebundle_()
    explorer.controls["n"].value = 1
    assert red(explorer.wait()) == 1 and explorer._complaint.layout.display == "none"


def test_intermediate_pictures_are_shown(monkeypatch):
    monkeypatch.setattr("mdm_lib.widgets.REDRAW_AFTER", 0)
    seen = []

    def work(n):
        for i in range(3):
            yield i / 3, colour(i)
            seen.append(red(explorer)) if n else None

    explorer = explore(work, n=(0, 1))
    explorer.controls["n"].value = 1
    assert seen == [0, 1, 2]


# the explorers -------------------------------------------------------------------------------------------------------

EXPLORERS = {
    "noise": lambda checkpoint, clips: noise_explorer(clips),
    "attention": attention_explorer,
    "sampler": lambda checkpoint, clips: sampler_explorer(checkpoint),
    "gallery": lambda checkpoint, clips: gallery(checkpoint),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_changes_the_picture(name, checkpoint, clips):
    explorer = EXPLORERS[name](checkpoint, clips)
    assert {type(c).__name__ for c in explorer.controls.values()} <= {"IntSlider", "FloatSlider", "Dropdown"}
    for control_name, control in explorer.controls.items():
        if name == "sampler":
            explorer.controls["sampler"].value = "ddim"  # DDPM has no number of steps
        before = explorer.stage.png()
        control.value = another_value(control)
        assert explorer.error is None
        assert explorer.stage.png() != before, control_name
    assert len(explorer.stage.png()) < 150_000
    assert "image/png" in explorer._repr_mimebundle_()[0]


def test_the_noise_explorer_shows_the_clip_beside_its_noise(clips):
    explorer = noise_explorer(clips)
    player = explorer.stage.items["skeleton"]
    explorer.controls["t"].value = 0
    clip = first_clip(clips, "warm_up")
    np.testing.assert_allclose(player.motion[0], clip[0], atol=1e-5)
    errors = []
    for t in (0, 100, 900):
        explorer.controls["t"].value = t
        errors.append(np.abs(player.motion[1] - player.motion[0]).mean())
    assert 0 < errors[0] < errors[1] < errors[2]


def test_attention_is_that_of_the_forward_pass(checkpoint):
    """The map of the last layer, used by hand, gives what that layer gives."""
    seen = []
    block, x_t = checkpoint.model.blocks[1], torch.randn(1, 40, 66, generator=torch.Generator().manual_seed(0))
    hook = block.register_forward_hook(lambda _, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        checkpoint.model(x_t, torch.tensor([5]), torch.tensor([1]))
    hook.remove()
    weights = attention(checkpoint, x_t, 5, checkpoint.label_names[1], 1)
    assert weights.shape == (4, 42, 42)
    x, output = seen[0]
    with torch.no_grad():
        attended = (weights @ block.heads(x)[2][0]).transpose(0, 1).flatten(1)
        middle = x[0] + block.out(attended)
        torch.testing.assert_close(middle + block.mlp(block.norm2(middle)), output[0], atol=1e-5, rtol=1e-4)


def test_the_attention_explorer_stops_at_the_frame_that_asks(checkpoint, clips):
    explorer = attention_explorer(checkpoint, clips)
    explorer.controls["frame"].value = 13
    player = explorer.stage.items["skeleton"]
    assert (player.frame, player.playing) == (13, False)


def test_the_sampler_explorer_ends_where_generate_does_and_scrubs_without_sampling(checkpoint, monkeypatch):
    explorer = sampler_explorer(checkpoint)
    controls = explorer.controls
    (player,) = explorer.stage.children
    expected = generate(checkpoint, "walk", num_steps=7, seed=3)
    controls["action"].value, controls["steps"].value, controls["seed"].value = "walk", 7, 3
    assert (controls["step"].value, controls["step"].max) == (7, 7)
    np.testing.assert_allclose(player.motion[1], expected[0], atol=1e-5)
    monkeypatch.setattr("mdm_lib.widgets.sample", None)
    controls["step"].value = 1
    assert explorer.error is None and np.abs(player.motion[1] - expected[0].numpy()).max() > 0.001


def test_ddpm_takes_all_steps(checkpoint):
    controls = sampler_explorer(checkpoint).controls
    controls["steps"].value = 5
    controls["sampler"].value = "ddpm"
    assert controls["steps"].disabled and controls["step"].max == controls["step"].value == 20


def test_scrubbing_while_it_samples_goes_on_with_the_same_sampling(checkpoint, monkeypatch, reader):
    begun, turns = [], Semaphore(0)

    def counted(*args, **options):
        begun.append(options["seed"])
        for step in sample(*args, **options):
            assert turns.acquire(timeout=600)
            yield step

    monkeypatch.setattr("mdm_lib.widgets.sample", counted)
    explorer = sampler_explorer(checkpoint)
    for step in (9, 4):
        turns.release(3)
        explorer.controls["step"].value = step
    turns.release(100)
    (player,) = explorer.wait().stage.children
    assert begun == [0]
    assert player._scene["captions"] == ["x_t, t = 16", "pred_x0, t = 16"]


def test_the_gallery_has_every_action_with_every_seed(checkpoint):
    explorer = gallery(checkpoint, ["walk", "sit"], seeds=(5, 6))
    (player,) = explorer.stage.children
    assert len(player.motion) == 4
    expected = generate(checkpoint, ["walk", "sit"], num_steps=10, seed=6)
    np.testing.assert_allclose(player.motion[2:], expected, atol=1e-5)
    explorer.controls["view"].value = "film strips"
    assert isinstance(explorer.stage.children[0], ipywidgets.Image)


def test_an_unknown_action_is_an_input_error(checkpoint):
    with pytest.raises(InputError, match="did you mean 'walk'"):
        gallery(checkpoint, ["wakl"])


def test_the_package_does_not_load_widgets():
    code = "import sys, mdm_lib; assert not {'ipywidgets', 'anywidget', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_plots_do_without_what_makes_matplotlib_slow():
    """That is logarithmic axes, and pyplot, which keeps every figure; benchmarks/explorers.py has the times."""
    curve = torch.linspace(0.9, 0.1, 60)
    for figure in (plot_attention(torch.eye(42), 3), plot_noise(curve, curve, "x", curve, 10)):
        assert {axes.get_xscale() for axes in figure.axes} | {axes.get_yscale() for axes in figure.axes} == {"linear"}
    code = "import sys, mdm_lib.widgets; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_explorers_plots_draw_without_a_warning_in_the_courses_style():
    """The style lays plots out by itself, which these do by hand; matplotlib warns of the two together."""
    curve = torch.linspace(0.9, 0.1, 60)
    with plt.style.context("mdm_lib.pictures.course"), warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (plot_attention(torch.eye(42), 3), plot_noise(curve, curve, "x", curve, 10)):
            FigureCanvasAgg(figure).draw()
