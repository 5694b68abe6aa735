"""Scorecards side by side, as a coloured table."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mdm_lib.evaluation.scorecard import Figure as Score
from mdm_lib.evaluation.scorecard import Scorecard
from mdm_lib.visualise.plots import BLUE, GREY

#: What a score's distance from real motion is called, up to so many steps, and its colour.
DISTANCES = ((1, "as real motion", "#ffffff"), (3, "up to 3 steps", "#fdebdf"), (10, "up to 10", "#f7bd98"),
             (float("inf"), "further", "#e8824a"))  # fmt: skip


def steps_away(score: Score) -> float:
    """How far a score is from that of real motion, in steps of the variation of real motion itself.

    A step is the range of 95 % of the real halves, but at least a twentieth of the real score, and 0.005.
    """
    return abs(score.value - score.real) / max(score.real_interval or 0, abs(score.real) / 20, 0.005)


def draw_scores(cards: dict[str, Scorecard], measures: list[str] | None = None) -> Figure:
    """A table, a row a card and a column a measure, each cell coloured by its ``steps_away`` from real motion.

    If all cards are compared with the same real motion, its scores are the last row; otherwise they are printed small
    in each cell. If a card lacks a measure, its cell is empty.

    Args:
        cards: by the name of what was measured.
        measures: which, and in what order; by default all that the first card has.
    """
    measures = measures or [score.measure for score in next(iter(cards.values())).figures if not score.action]
    scores = {name: {s.measure: s for s in card.figures if not s.action} for name, card in cards.items()}
    real = {measure: {row[measure].real for row in scores.values() if measure in row} for measure in measures}
    is_shared = all(len(values) <= 1 for values in real.values())
    names = [*scores, "real motion"] if is_shared else [*scores]
    margin, tall = 1.65, 0.36 if is_shared else 0.5
    wide = (9.6 - margin - 0.05) / len(measures)
    titles = [textwrap.fill(measure, max(9, int(13 * wide)), break_long_words=False) for measure in measures]
    head = 0.2 + 0.15 * max(title.count("\n") + 1 for title in titles)
    height = head + tall * len(names) + 0.42
    figure = Figure(figsize=(9.6, height), dpi=100, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 9.6), ylim=(height, 0))
    axes.axis("off")
    for column, measure in enumerate(measures):
        middle = margin + (column + 0.5) * wide
        axes.text(middle, head - 0.08, titles[column], ha="center", va="bottom", fontsize=9, color=GREY)
        for row, name in enumerate(names):
            score = scores.get(name, {}).get(measure)
            y = head + row * tall
            if score is not None:
                colour = next(colour for limit, _, colour in DISTANCES if steps_away(score) <= limit)
                place = (middle - wide / 2 + 0.02, y + 0.02)
                axes.add_patch(Rectangle(place, wide - 0.04, tall - 0.04, facecolor=colour, edgecolor="none"))
                axes.text(middle, y + 0.18, _short(score.value), ha="center", va="center", fontsize=10.5)
                if not is_shared:
                    text = f"real {_short(score.real)}"
                    axes.text(middle, y + 0.36, text, ha="center", va="center", fontsize=8.5, color=GREY)
            elif name == "real motion" and real[measure]:
                text = _short(next(iter(real[measure])))
                axes.text(middle, y + tall / 2, text, ha="center", va="center", fontsize=10.5, color=BLUE)
    for row, name in enumerate(names):
        colour = BLUE if is_shared and name == "real motion" else "black"
        axes.text(0.1, head + (row + 0.5) * tall, name, va="center", fontsize=10.5, color=colour)
    for place, (_, text, colour) in enumerate(DISTANCES):
        x = margin + 0.02 + 1.6 * place
        axes.add_patch(Rectangle((x, height - 0.29), 0.22, 0.18, facecolor=colour, edgecolor=GREY, linewidth=0.6))
        axes.text(x + 0.3, height - 0.2, text, va="center", fontsize=9.5, color=GREY)
    return figure


def _short(value: float) -> str:
    """Two decimals below ten, one below a hundred, none above."""
    return f"{value:.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f}"
