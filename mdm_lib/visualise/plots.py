"""The plots shown beside a skeleton: noise over a schedule, attention between frames; and a diagram of the denoiser.

A moving slider redraws them, so they avoid what is slow: pyplot, computed layouts, logarithmic axes
(benchmarks/explorers.py).
"""

import csv
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor, nn

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.model import MDM
from mdm_lib.visualise.inspect import told_names

#: Okabe and Ito's colours, which colour-blind people can tell apart.
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#464850"
#: The same, pale enough to write on.
PALE_BLUE, PALE_VERMILION, PALE_GREEN, PALE_GREY = "#cfe5f2", "#fadcc8", "#cdebe0", "#eceef1"


def plot_noise(x0: Tensor, x_t: Tensor, name: str, alphas_cumprod: Tensor, t: int) -> Figure:
    """A coordinate ``[F]`` before and after noise; below, ᾱ and SNR over the schedule ``[T]``, with t marked."""
    figure = Figure(figsize=(5.2, 4.2), dpi=100, layout="none")
    signal = _add_axes(figure, (0.10, 0.62, 0.87, 0.31), f"{name}, normalised")
    signal.plot(x_t, color=VERMILION, linewidth=1, label="xₜ")
    signal.plot(x0, color=GREY, linewidth=2, label="x₀")
    reach = max(4, float(x0.abs().max()) + 1)  # the same for every t, so that only the curve moves
    signal.set(ylim=(-reach, reach), xlim=(0, len(x0) - 1), xlabel="frame")
    signal.legend(loc="lower right", bbox_to_anchor=(1.01, 0.97), ncols=2, frameon=False, borderpad=0.2, fontsize=10)
    left = _add_axes(figure, (0.10, 0.12, 0.36, 0.30), "ᾱ: remaining signal")
    ratio = _add_axes(figure, (0.61, 0.12, 0.36, 0.30), "SNR = ᾱ / (1 − ᾱ)")
    # a logarithmic axis by hand, since matplotlib's takes as long as everything else
    curves = {left: alphas_cumprod, ratio: (alphas_cumprod / (1 - alphas_cumprod)).log10()}
    for axes, curve in curves.items():
        axes.plot(curve, color=BLUE)
        axes.plot(t, curve[t], "o", color=VERMILION)
        axes.set(xlabel="t", xticks=[0, len(curve) // 2, len(curve)])
    left.set(ylim=(-0.05, 1.05), yticks=[0, 0.5, 1])
    ratio.set(ylim=(-6, 5), yticks=[-4, 0, 4], yticklabels=["10⁻⁴", "1", "10⁴"])
    return figure


def plot_attention(weights: Tensor, frame: int, told: Sequence[str] = ("action", "time")) -> Figure:
    """Attention weights ``[K+1+F, K+1+F]`` of one head: rows are queries, columns keys; below, ``frame``'s row as bars.

    ``told`` names the tokens before the frames, which are drawn wider than a frame to make room for their names.
    """
    count = len(told)
    num_frames, asking = len(weights) - count, weights[frame + count]
    broad = 0.06 * num_frames
    edges = np.concatenate([broad * np.arange(-count, 0), np.arange(num_frames + 1)])
    names = {(place - count + 0.5) * broad: name for place, name in enumerate(told)}
    names |= {f + 0.5: str(f) for f in range(10, num_frames, 10)}
    figure = Figure(figsize=(4.6, 5.6), dpi=100, layout="none")
    table = _add_axes(figure, (0.15, 0.30, 0.82, 0.65), "rows: queries, columns: keys")
    bars = _add_axes(figure, (0.15, 0.115, 0.82, 0.125), f"frame {frame} attends to")
    table.pcolormesh(edges, edges, weights.sqrt(), cmap="Blues")  # the square root makes small weights visible
    across = edges[-1] - edges[0]
    table.add_patch(Rectangle((edges[0], frame), across, 1, fill=False, edgecolor=VERMILION, linewidth=1.5))
    bars.stairs(asking, edges, fill=True, color=VERMILION)
    table.set(xlim=edges[[0, -1]], ylim=edges[[-1, 0]], xticks=[], yticks=list(names), yticklabels=names.values())
    bars.set(xlim=edges[[0, -1]], xticks=list(names), xticklabels=names.values())
    bars.set(yticks=[0, asking.max()], yticklabels=["0", f"{asking.max():.2f}"])
    for label in bars.get_xticklabels()[:count]:
        label.set(rotation=90)
    return figure


def plot_denoiser(model: MDM, x_t: Tensor, t: Tensor, condition: Tensor) -> Figure:
    """Diagram of an ``MDM``, from bottom to top: its parts as boxes, with their output shapes for this batch."""
    shapes, told = _output_shapes(model, x_t, t, condition), told_names(model)
    diagram = _Diagram(7, 6.2)
    last = x_t.shape[1] - 1
    frames = [*range(last + 1)] if last < 7 else [*range(5 - max(0, len(told) - 2)), "…", last]
    for place, name in enumerate([*told, *frames]):
        colour = PALE_VERMILION if place < len(told) else PALE_BLUE if name != "…" else "white"
        diagram.box(0.55 + 0.6 * place, 1.85, str(name), 0.56, colour)
    diagram.shape(5.75, 1.85, shapes["positional_encoding"])  # addition keeps the shape
    kind = type(model.condition).__name__
    inputs = [  # x, text of the box, name and value of the input, the part, and x of the arrow's tip
        (1.1, f"condition: {kind}", model.condition.name, condition, "condition", 0.55 + 0.3 * (len(told) - 2)),
        (3.3, "time_token: 2 × Linear", "t", t, "time_token", 0.55 + 0.6 * (len(told) - 1)),
        (5.6, "frame_tokens: Linear", "x_t", x_t, "frame_tokens", 3.85),
    ]
    for x, text, name, given, part, arrives in inputs:
        diagram.text(x, 0.18, name, ha="center", fontsize=11, weight="bold")
        diagram.arrow(x, 0.32, 0.73, shape=list(given.shape))
        diagram.box(x, 0.9, text, 2.0, PALE_BLUE if given is x_t else PALE_VERMILION)
        diagram.arrow(x, 1.07, 1.67, to=arrives, shape=shapes[part])
    diagram.arrow(2.95, 2.02, 2.45 - 0.17)
    _draw_column(diagram, shapes, len(model.blocks))
    diagram.box(2.95, 5.58, f"[:, {len(told)}:], to_features: Linear", 3.2, PALE_BLUE)
    dropped = {2: "two"}.get(len(told), len(told))
    diagram.text(4.7, 5.58, f"without the first {dropped} tokens", fontsize=9, color=GREY)
    diagram.arrow(2.95, 5.75, 5.98)
    diagram.text(2.95, 6.07, "pred_x0", ha="center", fontsize=11, weight="bold")
    diagram.shape(4.7, 6.07, shapes["to_features"])
    return diagram.figure


def _draw_column(diagram: "_Diagram", shapes: dict[str, list[int]], num_blocks: int) -> None:
    """From positional encoding to the final norm; with more than five blocks, the middle ones are left out."""
    shown = range(num_blocks) if num_blocks <= 5 else [0, 1, num_blocks - 1]
    column = [("positional_encoding: + position", "positional_encoding", PALE_GREY)]
    column += [(f"blocks[{n}]: attention, feed-forward", f"blocks.{n}", PALE_GREEN) for n in shown]
    column += [("norm: LayerNorm", "norm", PALE_GREY)]
    step = (5.15 - 2.45) / (len(column) - 1)
    for place, (text, part, colour) in enumerate(column):
        y = 2.45 + place * step
        diagram.box(2.95, y, text, 3.2, colour)
        diagram.shape(4.7, y, shapes[part])
        diagram.arrow(2.95, y + 0.17, min(y + step, 5.58) - 0.17)
        if len(shown) < num_blocks and part == "blocks.1":
            diagram.text(3.1, y + step / 2, f"… {num_blocks - 3} more", fontsize=9, color=GREY)


class _Diagram:
    """Boxes, arrows and text on a page, in inches from its lower left corner."""

    def __init__(self, width: float, height: float):
        self.figure = Figure(figsize=(width, height), dpi=100, layout="none")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def text(self, x: float, y: float, text: str, **style) -> None:
        self.axes.text(x, y, text, **{"va": "center", **style})

    def shape(self, x: float, y: float, shape: list[int]) -> None:
        self.text(x, y, str(shape), fontsize=10, color=BLUE)

    def box(self, x: float, y: float, text: str, width: float, colour: str) -> None:
        place = (x - width / 2, y - 0.17)
        self.axes.add_patch(Rectangle(place, width, 0.34, facecolor=colour, edgecolor=GREY, linewidth=0.8, zorder=2))
        self.text(x, y, text, ha="center", fontsize=10)

    def arrow(self, x: float, low: float, high: float, to: float | None = None, shape: list[int] | None = None) -> None:
        ends = {"xy": (x if to is None else to, high), "xytext": (x, low)}
        self.axes.annotate("", **ends, arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0})
        if shape is not None:
            self.shape(x + 0.1, low + 0.13, shape)


def draw_dial(axes, tips: Tensor) -> None:
    """A clock face on matplotlib ``axes``: a dot, numbered from 0, at each of the hand's ``tips [N, 2]`` (right, up).

    The hand is drawn at the last one. A dial is not redrawn, so the axes may be pyplot's.
    """
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=GREY, alpha=0.4))
    axes.plot(*zip((0, 0), tips[-1].tolist(), strict=True), color=GREY, linewidth=1.2)
    axes.plot(tips[:, 0], tips[:, 1], "o", color=BLUE, markersize=5)
    for number, (right, up) in enumerate(tips.tolist()):
        axes.text(1.22 * right, 1.22 * up, str(number), ha="center", va="center", color=GREY)
    axes.set(aspect="equal", xlim=(-1.4, 1.4), ylim=(-1.4, 1.4))
    axes.set_axis_off()


@torch.no_grad()
def _output_shapes(model: nn.Module, *batch: Tensor) -> dict[str, list[int]]:
    """Output shape of each part of ``model`` for ``batch``, by the part's name."""
    shapes, hooks = {}, []
    for name, part in model.named_modules():
        hooks.append(part.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: _shape(out)})))
    try:
        model(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _shape(out: Tensor | tuple) -> list[int]:
    """Shape of a tensor, or of the first of several: a condition returns its tokens and their mask."""
    return list((out[0] if isinstance(out, tuple) else out).shape)


def _add_axes(figure: Figure, place: tuple, title: str):
    """Axes at ``(left, bottom, width, height)`` of the figure, with a left-aligned title."""
    axes = figure.add_axes(place)
    axes.set_title(title, loc="left", fontsize=10, color=GREY)
    axes.tick_params(labelsize=10, colors=GREY, length=3)
    axes.xaxis.label.set(fontsize=10, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    return axes


def plot_losses(log_csv_path, png_path):
    """Plot ``loss``, ``mse`` and ``vel`` of a training log over steps, on a logarithmic scale; returns the path.

    Args:
        log_csv_path: a CSV with columns ``step, epoch, loss, mse, vel, lr``, as training writes it.
        png_path: the picture to write.

    Raises:
        InputError: if the log cannot be read, has other columns, or has no rows yet.
    """
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


def _read_log(path) -> dict[str, list[float]]:
    names = ("step", "loss", "mse", "vel")
    try:
        with open(path, newline="") as file:
            # the log of a running or killed run may end in half a line
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        columns = {name: [float(row[name]) for row in rows] for name in names}
    except OSError as error:
        raise InputError(f"cannot read the training log {path}: {error.strerror}; check the path") from error
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is not a training log: columns {', '.join(names)} must hold numbers") from error
    if not rows:
        raise InputError(f"{path} has no rows yet; train a little first")
    return columns
