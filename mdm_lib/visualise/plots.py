"""The plots that stand beside a skeleton: noise over a schedule, attention between frames; and the denoiser itself.

A moving slider redraws them, so they do without what is slow: pyplot, computed layouts, logarithmic axes
(benchmarks/explorers.py).
"""

import csv
from io import BytesIO

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor, nn

from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.model import MDM

#: Okabe and Ito's colours, which colour-blind people can tell apart.
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#464850"
#: The same, pale enough to write on.
PALE_BLUE, PALE_VERMILION, PALE_GREEN, PALE_GREY = "#cfe5f2", "#fadcc8", "#cdebe0", "#eceef1"


def plot_noise(x0: Tensor, x_t: Tensor, name: str, alphas_cumprod: Tensor, t: int) -> Figure:
    """A coordinate before and after noise, ``[F]`` both; below, ᾱ and SNR over the schedule ``[T]``, t marked."""
    figure = Figure(figsize=(5.2, 4.2), dpi=100, layout="none")
    signal = _add_axes(figure, (0.10, 0.62, 0.87, 0.31), f"{name}, normalised")
    signal.plot(x_t, color=VERMILION, linewidth=1, label="xₜ")
    signal.plot(x0, color=GREY, linewidth=2, label="x₀")
    reach = max(4, float(x0.abs().max()) + 1)  # the same for every t, so that only the curve moves
    signal.set(ylim=(-reach, reach), xlim=(0, len(x0) - 1), xlabel="frame")
    signal.legend(loc="lower right", bbox_to_anchor=(1.01, 0.97), ncols=2, frameon=False, borderpad=0.2, fontsize=10)
    left = _add_axes(figure, (0.10, 0.12, 0.36, 0.30), "ᾱ: signal that is left")
    ratio = _add_axes(figure, (0.61, 0.12, 0.36, 0.30), "SNR = ᾱ / (1 − ᾱ)")
    # a logarithmic axis by hand, as matplotlib's own takes as long as all the rest
    curves = {left: alphas_cumprod, ratio: (alphas_cumprod / (1 - alphas_cumprod)).log10()}
    for axes, curve in curves.items():
        axes.plot(curve, color=BLUE)
        axes.plot(t, curve[t], "o", color=VERMILION)
        axes.set(xlabel="t", xticks=[0, len(curve) // 2, len(curve)])
    left.set(ylim=(-0.05, 1.05), yticks=[0, 0.5, 1])
    ratio.set(ylim=(-6, 5), yticks=[-4, 0, 4], yticklabels=["10⁻⁴", "1", "10⁴"])
    return figure


def plot_attention(weights: Tensor, frame: int) -> Figure:
    """Attention weights ``[F+2, F+2]`` of one head, rows ask and columns are looked at; ``frame``'s row as bars below.

    The two condition tokens are drawn broader than a frame, so that there is room for their names.
    """
    num_frames, asking = len(weights) - 2, weights[frame + 2]
    broad = 0.06 * num_frames
    edges = np.concatenate([[-2 * broad, -broad], np.arange(num_frames + 1)])
    names = {-1.5 * broad: "action", -0.5 * broad: "time"} | {f + 0.5: str(f) for f in range(10, num_frames, 10)}
    figure = Figure(figsize=(4.6, 5.6), dpi=100, layout="none")
    table = _add_axes(figure, (0.15, 0.30, 0.82, 0.65), "each row asks, and looks at the columns")
    bars = _add_axes(figure, (0.15, 0.115, 0.82, 0.125), f"frame {frame} looks at")
    table.pcolormesh(edges, edges, weights.sqrt(), cmap="Blues")  # the root shows small weights as well
    across = edges[-1] - edges[0]
    table.add_patch(Rectangle((edges[0], frame), across, 1, fill=False, edgecolor=VERMILION, linewidth=1.5))
    bars.stairs(asking, edges, fill=True, color=VERMILION)
    table.set(xlim=edges[[0, -1]], ylim=edges[[-1, 0]], xticks=[], yticks=list(names), yticklabels=names.values())
    bars.set(xlim=edges[[0, -1]], xticks=list(names), xticklabels=names.values())
    bars.set(yticks=[0, asking.max()], yticklabels=["0", f"{asking.max():.2f}"])
    for label in bars.get_xticklabels()[:2]:
        label.set(rotation=90)
    return figure


def plot_denoiser(model: MDM, x_t: Tensor, t: Tensor, action: Tensor) -> Figure:
    """What runs through an ``MDM``, from below to above: its parts as boxes, and the shape each gave for this batch."""
    shapes = _output_shapes(model, x_t, t, action)
    figure = Figure(figsize=(7, 6.2), dpi=100, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 7), ylim=(0, 6.2))
    axes.axis("off")

    def box(x: float, y: float, text: str, width: float, colour: str) -> None:
        place = (x - width / 2, y - 0.17)
        axes.add_patch(Rectangle(place, width, 0.34, facecolor=colour, edgecolor=GREY, linewidth=0.8, zorder=2))
        axes.text(x, y, text, ha="center", va="center", fontsize=10)

    def arrow(x: float, low: float, high: float, to: float | None = None, shape: list[int] | None = None) -> None:
        ends = {"xy": (x if to is None else to, high), "xytext": (x, low)}
        axes.annotate("", **ends, arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0})
        if shape is not None:
            axes.text(x + 0.1, low + 0.13, str(shape), va="center", fontsize=10, color=BLUE)

    inputs = [
        (1.1, "action_token: Embedding", "action", list(action.shape), "action_token", PALE_VERMILION),
        (3.3, "time_token: 2 × Linear", "t", list(t.shape), "time_token", PALE_VERMILION),
        (5.6, "frame_tokens: Linear", "x_t", list(x_t.shape), "frame_tokens", PALE_BLUE),
    ]
    tokens = {1.1: 0.55, 3.3: 1.15, 5.6: 3.85}  # below which square(s) each arrives
    for x, text, name, given, part, colour in inputs:
        axes.text(x, 0.18, name, ha="center", va="center", fontsize=11, weight="bold")
        arrow(x, 0.32, 0.73, shape=given)
        box(x, 0.9, text, 2.0, colour)
        arrow(x, 1.07, 1.67, to=tokens[x], shape=shapes[part])
    last = x_t.shape[1] - 1
    frames = range(last + 1) if last < 7 else [*range(5), "…", last]
    for place, name in enumerate(["action", "time", *frames]):
        colour = PALE_VERMILION if place < 2 else PALE_BLUE if name != "…" else "white"
        box(0.55 + 0.6 * place, 1.85, str(name), 0.56, colour)
    axes.text(5.75, 1.85, str(shapes["positional_encoding"]), va="center", fontsize=10, color=BLUE)  # a sum keeps it

    column = [("positional_encoding: + its place", "positional_encoding", PALE_GREY)]
    numbers = range(len(model.blocks))
    shown = numbers if len(numbers) <= 5 else [0, 1, len(numbers) - 1]
    column += [(f"blocks[{n}]: attention, feed-forward", f"blocks.{n}", PALE_GREEN) for n in shown]
    column += [("norm: LayerNorm", "norm", PALE_GREY)]
    step = (5.15 - 2.45) / (len(column) - 1)
    arrow(2.95, 2.02, 2.45 - 0.17)
    for place, (text, part, colour) in enumerate(column):
        y = 2.45 + place * step
        box(2.95, y, text, 3.2, colour)
        axes.text(4.7, y, str(shapes[part]), va="center", fontsize=10, color=BLUE)
        arrow(2.95, y + 0.17, min(y + step, 5.58) - 0.17)
        if len(shown) < len(numbers) and part == "blocks.1":
            axes.text(3.1, y + step / 2, f"… {len(numbers) - 3} more", va="center", fontsize=9, color=GREY)
    box(2.95, 5.58, "[:, 2:], to_features: Linear", 3.2, PALE_BLUE)
    axes.text(4.7, 5.58, "the first two tokens dropped", va="center", fontsize=9, color=GREY)
    arrow(2.95, 5.75, 5.98)
    axes.text(2.95, 6.07, "pred_x0", ha="center", va="center", fontsize=11, weight="bold")
    axes.text(4.7, 6.07, str(shapes["to_features"]), va="center", fontsize=10, color=BLUE)
    return figure


def draw_dial(axes, tips: Tensor) -> None:
    """A clock's face on matplotlib ``axes``: a dot, numbered from 0, at each of the hand's ``tips [N, 2]`` (right, up).

    The hand itself is drawn at the last of them. A dial is still: it is drawn once, and may use pyplot's axes.
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
    """The shape of what each part of ``model`` gives for ``batch``, by the part's name."""
    shapes, hooks = {}, []
    for name, part in model.named_modules():
        hooks.append(part.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: list(out.shape)})))
    try:
        model(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _add_axes(figure: Figure, place: tuple, title: str):
    """Axes at ``(left, bottom, width, height)`` of the figure, with a title over their left end."""
    axes = figure.add_axes(place)
    axes.set_title(title, loc="left", fontsize=10, color=GREY)
    axes.tick_params(labelsize=10, colors=GREY, length=3)
    axes.xaxis.label.set(fontsize=10, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    return axes


def plot_losses(log_csv_path, png_path):
    """Plot ``loss``, ``mse`` and ``vel`` of a training's log against its steps, on a logarithmic scale.

    Args:
        log_csv_path: a CSV with columns ``step, epoch, loss, mse, vel, lr``, as training writes it.
        png_path: where the picture goes.

    Raises:
        InputError: when the log is not there, has other columns, or no rows yet.
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
