"""``explore``: controls, pictures in place, work in a thread, errors."""

import os
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from threading import Semaphore
from time import monotonic, sleep

import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

import mdm_lib
from mdm_lib import InputError
from mdm_lib.visualise.player import MotionPlayer
from mdm_lib.widgets import Motion, explore

MOTION = np.random.default_rng(0).normal(size=(4, 22, 3))


def colour(red: int = 0) -> Image.Image:
    return Image.new("RGB", (8, 8), (red, 0, 0))


def red(explorer) -> int:
    """What ``colour`` was asked for, read from the picture that is shown."""
    (item,) = explorer.stage.items.values()
    return Image.open(BytesIO(item.value)).getpixel((0, 0))[0]


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


@pytest.mark.parametrize("allow_stdin", [None, False])
def test_long_work_runs_to_its_end_where_nobody_looks_on(monkeypatch, reader, allow_stdin):
    if allow_stdin is None:  # no kernel at all
        monkeypatch.setattr("mdm_lib.widgets.engine.get_ipython", lambda: None)
    else:
        reader.allow_stdin = allow_stdin
        reader.run("a cell")
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
    monkeypatch.setattr("mdm_lib.widgets.engine.REDRAW_AFTER", 0)
    seen = []

    def work(n):
        for i in range(3):
            yield i / 3, colour(i)
            seen.append(red(explorer)) if n else None

    explorer = explore(work, n=(0, 1))
    explorer.controls["n"].value = 1
    assert seen == [0, 1, 2]


def test_a_pyplot_figure_is_shown_once_and_left_open_by_nobody():
    import matplotlib.pyplot as plt

    plt.close("all")

    def draw(n):
        figure, axes = plt.subplots(figsize=(1, 1))
        axes.plot([n, 1])
        return figure

    explorer = explore(draw, n=(0, 9))
    for n in (3, 5):
        before = explorer.stage.items["picture"].value
        explorer.controls["n"].value = n
        assert explorer.stage.items["picture"].value != before
    assert plt.get_fignums() == []  # JupyterLab would show every open one below the cell


def test_a_function_that_returns_nothing_says_so():
    with pytest.raises(InputError, match="returned None; return a picture"):
        explore(lambda n: None, n=(0, 1))
