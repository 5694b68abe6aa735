"""The table that an evaluation ends in: every figure beside what real motion scores; as text, Markdown and JSON."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mdm_lib.files import write_atomically

NOT_THE_PAPERS = (
    "These figures are not the paper's, whose recogniser and data are not here: compare them with the real column, "
    "and with other figures of this recogniser."
)

#: (measure, action) -> figure; the action "" stands for all together.
Scores = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Figure:
    """One measure of a checkpoint, and the same of real motion."""

    measure: str
    action: str  # "" for all together
    value: float  # mean over the seeds
    interval: float | None  # half of the mean's 95 % interval, 1.96 s/√n; None for one seed
    real: float  # median over the splits; on a card as the papers', the mean
    real_interval: float | None  # half of the range that holds 95 % of the splits, 1.96 s; of a mean, as ``interval``


@dataclass(frozen=True)
class Scorecard:
    """The figures of a checkpoint, overall and by action, and ``about``, which says how they came about.

    ``others`` are columns of a paper's figures, as it prints them, by measure; ``note`` ends the card.
    """

    about: dict
    figures: tuple[Figure, ...]
    others: dict[str, dict[str, str]] = field(default_factory=dict)
    note: str = NOT_THE_PAPERS

    def __str__(self) -> str:
        return self._render(_text_table)

    def to_markdown(self) -> str:
        return self._render(_markdown_table)

    def to_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Scorecard":
        return cls(**{**values, "figures": tuple(Figure(**figure) for figure in values["figures"])})

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, atomically."""
        return write_atomically(path, json.dumps(self.to_dict(), indent=1, ensure_ascii=False).encode())

    def get(self, measure: str, action: str = "") -> Figure:
        """The figure of a measure, over all actions or of one."""
        return next(f for f in self.figures if (f.measure, f.action) == (measure, action))

    def _render(self, table) -> str:
        others = self.others.values()
        overall = [[f.measure, *_cells(f), *(column.get(f.measure, "") for column in others)]
                   for f in self.figures if not f.action]  # fmt: skip
        by_action = {}
        for figure in self.figures:
            if figure.action:
                by_action.setdefault(figure.action, {})[figure.measure] = _cells(figure)
        measures = list(dict.fromkeys(f.measure for f in self.figures if f.action))
        rows = [[action, *(c for m in measures for c in cells[m])] for action, cells in by_action.items()]
        parts = [
            "\n".join(f"{key}: {value}" for key, value in self.about.items()),
            table(["all actions", "model", "real", *self.others], overall),
            table(["by action", *(title for m in measures for title in (m, "real"))], rows),
            self.note,
        ]
        return "\n\n".join(parts)


def _cells(figure: Figure) -> tuple[str, str]:
    return _number(figure.value, figure.interval), _number(figure.real, figure.real_interval)


def _number(value: float, interval: float | None) -> str:
    return f"{value:.3f}" + ("" if interval is None else f" ± {interval:.3f}")


def _text_table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def _markdown_table(header: list[str], rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]  # an action's name may have one
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *escaped])


def summarise(made: list[Scores], real: list[Scores], real_as_mean: bool = False) -> tuple[Figure, ...]:
    """Figures from a model's scores, one dict a seed, and real motion's, one a split.

    Args:
        real_as_mean: real motion's figure is its mean and the mean's interval, as the model's, not median and range.
    """
    figures = []
    for measure, action in made[0]:
        ours, floor = (torch.tensor([s[measure, action] for s in scores]).double() for scores in (made, real))
        beside = _mean(floor) if real_as_mean else (float(floor.quantile(0.5)), 1.96 * float(floor.std()))
        figures.append(Figure(measure, action, *_mean(ours), *beside))
    return tuple(figures)


def _mean(values: Tensor) -> tuple[float, float | None]:
    """The mean and half of its 95 % interval, which one value alone does not have."""
    interval = 1.96 * float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else None
    return float(values.mean()), interval
