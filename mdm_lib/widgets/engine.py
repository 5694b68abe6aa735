"""``explore``: interactive controls in a notebook, and the output of a function of their values."""

import inspect
import math
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from html import escape
from itertools import takewhile
from threading import RLock, Thread
from time import monotonic
from weakref import WeakKeyDictionary

import ipywidgets as widgets
from IPython import get_ipython

from mdm_lib.errors import InputError
from mdm_lib.visualise.plots import BLUE
from mdm_lib.widgets.stage import Stage

#: Minimum number of seconds between two pictures of long work; more pictures would only slow it down.
REDRAW_AFTER = 0.1


def explore(fn: Callable, **controls) -> "Explorer":
    """Show the output of ``fn`` for the controls' values, updated whenever one of them changes.

    Args:
        fn: is called with the values by name. It returns a picture (Pillow image or matplotlib figure), a motion
            (``[F, J, 3]`` or ``[N, F, J, 3]`` array, tensor or ``Motion``), or a dict or sequence of these, which
            are shown side by side. A generator function yields ``(progress 0 … 1, one of these or None)``: then a
            bar shows the progress, and the work stops as soon as a control changes.
        controls: each a widget, ``(low, high)`` or ``(low, high, step)`` for a slider, a list or tuple of words or a
            dict for a menu, a bool for a checkbox.

    For a reader at a browser, a generator function runs in its own thread, from the first call on: the explorer appears
    at once, its bar moves, and other cells can run. Errors are shown in place of the picture, and a cell that needs the
    result calls ``.wait()``. Without a reader (a script, or a notebook that is executed to be stored or tested), the
    work is finished before this returns: a stored output then contains the final picture, and an error in the first
    call fails the cell. ``_somebody_looks_on`` distinguishes the two cases.

    Raises:
        InputError: for any other control.
        Exception: what ``fn`` raises in the first call, unless it runs in a thread. Later errors are shown, and kept in
            ``.error``.
    """
    slow = inspect.isgeneratorfunction(fn)
    return Explorer(fn, {name: _control(name, spec, slow) for name, spec in controls.items()})


class Explorer(widgets.VBox):
    """What ``explore`` returns.

    Attributes:
        controls: the widgets by name.
        stage: the output; ``stage.items`` are its ``Image`` widgets and players by name.
        error: the exception of the last call of ``fn``, or ``None``.
        busy: whether work is still running.
    """

    def __init__(self, fn: Callable, controls: dict[str, widgets.Widget]):
        self.fn, self.controls, self.error = fn, controls, None
        self._newest: Iterator[tuple] | None = None  # the current work; any other stops at its next yield
        self._ended: Iterator[tuple] | None = None  # the last work shown completely
        self._alone = RLock()  # one piece of work at a time: the next waits until the previous one stops
        self._thread: Thread | None = None
        self._bar = widgets.FloatProgress(max=1.0, layout=widgets.Layout(width="100%", height="14px", margin="0"))
        self._bar.style.bar_color = BLUE
        self._bar.layout.visibility = "hidden"  # keeps its space, so that the layout does not jump
        self._complaint = widgets.HTML()
        self._complaint.layout.display = "none"
        self.stage = Stage()
        columns = widgets.Layout(grid_template_columns="repeat(auto-fill, minmax(270px, 1fr))", width="100%")
        panel = widgets.GridBox(list(controls.values()), layout=columns)
        bar = [self._bar] if inspect.isgeneratorfunction(fn) else []
        super().__init__([panel, *bar, self._complaint, self.stage, self.stage.names])
        self.add_class("mdm-explorer")
        for control in controls.values():
            control.observe(self._refresh, "value")
        _leave_last_run(self)
        self._refresh()
        if self._thread is None and self.error is not None:
            raise self.error

    def values(self) -> dict:
        """The current values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def busy(self) -> bool:
        """Whether work is still running."""
        return self._newest not in (None, self._ended)

    def wait(self) -> "Explorer":
        """Wait for running work to finish; raises what ``fn`` raised."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join()
        if self.error is not None:
            raise self.error
        return self

    def leave(self):
        """Leave the work that is still going on."""
        self._newest = None

    def close(self):
        """Leave the work that is still going on, and close the widget."""
        self.leave()
        super().close()

    def _refresh(self, _change=None):
        """Start again with the current values."""
        self._newest = work = self._work(self.values())
        if inspect.isgeneratorfunction(self.fn) and _somebody_looks_on():
            self._thread = Thread(target=self._finish, args=(work,), daemon=True)
            self._thread.start()
        else:
            self._finish(work)

    def _work(self, values: dict) -> Iterator[tuple]:
        """``fn`` as a generator of (progress, picture), even if it is a plain function."""
        result = self.fn(**values)
        if result is None:
            raise InputError("the function of this explorer returned None; return a picture, a figure or a motion")
        if inspect.isgeneratorfunction(self.fn):
            yield from result
        else:
            yield 1.0, result

    def _finish(self, work: Iterator[tuple]):
        """Show ``work`` to its end, or stop once it is no longer the newest."""
        with self._alone, closing(work):
            error = None
            try:
                self._show(work)
            except Exception as raised:  # any error of a reader's function is shown to the reader
                error = raised
            if self._newest is work:
                self._end(error)
                self._ended = work
            elif self._newest is None:
                self._bar.layout.visibility = "hidden"

    def _show(self, work: Iterator[tuple]):
        """Show what ``work`` yields while it is the newest, and always its last picture."""
        if self._newest is not work:
            return
        self._bar.layout.visibility = "visible"
        drawn_at, waiting = -math.inf, None
        for progress, picture in takewhile(lambda _: self._newest is work, work):
            self._bar.value = progress
            waiting = waiting if picture is None else picture
            if waiting is not None and monotonic() - drawn_at > REDRAW_AFTER:
                self.stage.show(waiting)
                drawn_at, waiting = monotonic(), None
        if waiting is not None and self._newest is work:
            self.stage.show(waiting)

    def _end(self, error: Exception | None):
        """Work has ended: hide the bar, and show an error in place of the picture."""
        self.error, self._complaint.value = error, "" if error is None else _complaint(error)
        self._bar.layout.visibility = "hidden"
        self._complaint.layout.display = "none" if error is None else None
        self.stage.layout.display = None if error is None else "none"

    def __repr__(self) -> str:
        return f"<Explorer of {', '.join(self.controls)}>"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget, and its current output as one picture, where widgets cannot run."""
        data = super()._repr_mimebundle_(**kwargs)
        if self.busy or self.error is not None or not self.stage.items:
            return data
        data["image/png"] = b64encode(self.stage.png()).decode()
        values = ", ".join(f"{name} {value}" for name, value in self.values().items())
        return data, {"image/png": {"alt": f"{'; '.join(self.stage.items)}, for {values}"}}


def _request() -> dict:
    """The message that the notebook's kernel is handling; empty outside a kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    return {} if kernel is None else kernel.get_parent()


def _somebody_looks_on() -> bool:
    """Whether a reader at a browser can watch the work and move controls.

    A request to run a cell says whether the client accepts input prompts (``allow_stdin``): JupyterLab, Colab and
    VS Code do, nbclient, nbval and papermill do not. A moved control is another kind of message, which only a browser
    sends.
    """
    request = _request()
    return bool(request) and request["content"].get("allow_stdin", True)


#: All explorers, each with the cell that created it and the run of that cell.
_made_in = WeakKeyDictionary()


def _leave_last_run(explorer: Explorer):
    """Stop the work of the explorers from the cell's last run, which are no longer visible."""
    request = _request()
    cell, run = request.get("metadata", {}).get("cellId"), request.get("header", {}).get("msg_id")
    for older, (its_cell, its_run) in list(_made_in.items()):
        if cell is not None and its_cell == cell and its_run != run:
            older.leave()
    _made_in[explorer] = cell, run


def _control(name: str, spec, slow: bool) -> widgets.Widget:
    """The widget for a control's specification, labelled with its name unless it has a label."""
    if isinstance(spec, widgets.Widget):
        control = spec
    elif isinstance(spec, bool):
        control = widgets.Checkbox(spec, indent=False)
    elif isinstance(spec, dict) or (isinstance(spec, (list, tuple)) and spec and all(isinstance(s, str) for s in spec)):
        control = widgets.Dropdown(options=spec)
    elif isinstance(spec, tuple) and len(spec) in (2, 3) and all(isinstance(s, (int, float)) for s in spec):
        kind = widgets.IntSlider if all(isinstance(s, int) for s in spec) else widgets.FloatSlider
        step = spec[2] if len(spec) == 3 else (1 if kind is widgets.IntSlider else (spec[1] - spec[0]) / 100)
        control = kind(min=spec[0], max=spec[1], step=step, value=spec[0])
    else:
        raise InputError(
            f"control {name!r} is {spec!r}; give a widget, (low, high[, step]), a list of words, a dict or a bool"
        )
    if not control.description:
        control.description = name.replace("_", " ")
        control.layout = widgets.Layout(width="auto", margin="2px 12px 2px 0")
        control.style.description_width = "72px"
    if hasattr(control, "continuous_update"):
        # while the kernel is busy, the browser keeps only the newest value, so quick work does not queue up;
        # long work would be stopped and started again at every pixel
        control.continuous_update = not slow
    return control


def _complaint(error: Exception) -> str:
    """An error as HTML: one line, and unless it is an ``InputError``, a collapsed traceback."""
    if isinstance(error, InputError):
        line, details = str(error), ""
    else:
        line = f"{type(error).__name__}: {error}"
        lines = escape("".join(traceback.format_exception(error)))
        details = f'<details><summary>Traceback</summary><pre style="white-space: pre-wrap">{lines}</pre></details>'
    red = "color: #b3261e; background: #fdecea; border-left: 4px solid #b3261e; padding: 4px 10px; line-height: 1.5"
    return f'<div role="alert" style="{red}"><b>{escape(line)}</b>{details}</div>'
