"""The page around the panels: titles, captions, legend, clock, and fonts with the needed glyphs."""

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mdm_lib.visualise.figure import FAINT_TEXT, GRID, PAPER, PROGRESS, SIDE_COLOURS, SUPERSAMPLE, TEXT, View

PAD = 16  # margin, pixels


class Page:
    """Layout of panels and texts. ``blank`` holds all static text; ``corners`` are the panels' positions.

    A caption is above one panel, or above a whole row if there are as many captions as rows.
    """

    def __init__(self, view: View, num_panels: int, columns: int, title: str, captions: list[str]):
        rows = math.ceil(num_panels / columns)
        span = num_panels // len(captions)  # panels that share a caption
        self.panel_width, self.panel_height = view.size
        width = max(columns * self.panel_width, 270) + 2 * PAD
        inset = (width - columns * self.panel_width) // 2
        title_font, title_lines = _fit_text(title, width - 2 * PAD, size=22, smallest=15, max_lines=3)
        fitted = [_fit_text(c, span * self.panel_width - PAD, size=15, smallest=12, max_lines=2) for c in captions]
        caption_height = max(len(lines) for _, lines in fitted) * 18
        leading = round(1.35 * title_font.size)
        top = PAD + len(title_lines) * leading + (6 if title_lines else 0)
        row_height = caption_height + self.panel_height + 30
        self.blank = Image.new("RGB", (width, top + rows * row_height + 26 + PAD // 2), PAPER)
        self.corners = [
            (inset + (i % columns) * self.panel_width, top + (i // columns) * row_height + caption_height)
            for i in range(num_panels)
        ]
        draw = ImageDraw.Draw(self.blank)
        for i, line in enumerate(title_lines):
            draw.text((PAD, PAD - 4 + leading * i), line, TEXT, title_font)
        for i, (font, lines) in enumerate(fitted):
            x, y = self.corners[i * span]
            x, anchor = (x + self.panel_width / 2, "ma") if span == 1 else (PAD, "la")
            for j, line in enumerate(lines):
                draw.text((x, y - caption_height + 18 * j), line, TEXT, font, anchor)
        self._draw_legend(draw, view.grid)

    def _draw_legend(self, draw: ImageDraw.ImageDraw, grid: float):
        """Bottom right: the styles of left and right, and the spacing of the floor's lines."""
        font, text = ImageFont.load_default(12), f"floor lines {grid:g} m"
        x, y = self.blank.width - PAD, self.blank.height - PAD - 4
        draw.text((x, y), text, FAINT_TEXT, font, "rm")
        x -= font.getlength(text) + 14
        for name in ("right", "left"):
            draw.text((x, y), name, FAINT_TEXT, font, "rm")
            x -= font.getlength(name) + 6
            key = Image.new("RGB", (24 * SUPERSAMPLE, 8 * SUPERSAMPLE), PAPER)
            box, outline = (0, 0, key.width - 1, key.height - 1), SIDE_COLOURS[name]
            fill = outline if name == "left" else PAPER
            ImageDraw.Draw(key).rounded_rectangle(box, 4 * SUPERSAMPLE, fill, outline, 2 * SUPERSAMPLE)
            self.blank.paste(key.reduce(SUPERSAMPLE), (round(x) - 24, round(y) - 4))
            x -= 24 + 14

    def draw_clock(self, picture: Image.Image, text: str):
        """The time, bottom left."""
        y = picture.height - PAD - 4
        ImageDraw.Draw(picture).text((PAD, y), text, FAINT_TEXT, ImageFont.load_default(12), "lm")

    def draw_time(self, picture: Image.Image, corner: tuple[int, int], text: str):
        """The time of a pose, under its panel."""
        place = (corner[0] + self.panel_width / 2, corner[1] + self.panel_height + 4)
        ImageDraw.Draw(picture).text(place, text, FAINT_TEXT, ImageFont.load_default(11), "ma")

    def draw_progress(self, picture: Image.Image, corner: tuple[int, int], done: float, whole: float):
        """A progress bar under a panel: the motion's length and the time so far, as parts of the longest motion."""
        x, y = corner[0] + self.panel_width * 0.15, corner[1] + self.panel_height + 8
        draw = ImageDraw.Draw(picture)
        for part, colour in ((whole, GRID), (done, PROGRESS)):
            draw.rectangle((x, y, x + 0.7 * self.panel_width * part, y + 2), fill=colour)


def _fit_text(text: str, width: float, size: int, smallest: int, max_lines: int):
    """The largest font in which ``text`` fits on a line, or the smallest and the text wrapped: ``(font, lines)``."""
    name = _font_name(text)
    text = " ".join("".join(c for c in text if _has_glyph(name, c)).split())
    while size > smallest and _load_font(name, size).getlength(text) > width:
        size -= 1
    font = _load_font(name, size)
    lines = [""]
    for character in text:
        lines[-1] += character
        if font.getlength(lines[-1]) > width:
            cut = lines[-1].rfind(" ") + 1 or len(lines[-1]) - 1
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    if len(lines) > max_lines:
        lines = lines[:max_lines]
        while font.getlength(lines[-1] + "...") > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "..."
    return font, [line.strip() for line in lines if line.strip()]


#: Tried in this order. Pillow's own font has little beyond ASCII, matplotlib's has Greek, arrows and accents; the
#: others are what Linux, macOS and Windows have for Japanese.
FONTS = (
    "", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSansJP-Regular.ttf", "ipag.ttf",
    "Hiragino Sans GB.ttc", "YuGothM.ttc", "meiryo.ttc", "msgothic.ttc",
)  # fmt: skip


def _font_name(text: str) -> str:
    """The first font that has all letters of ``text``; otherwise the one that lacks the fewest."""
    lacking = {}
    for name in FONTS:
        if _load_font(name, 20) is not None:
            lacking[name] = sum(not _has_glyph(name, character) for character in text)
            if not lacking[name]:
                break
    return min(lacking, key=lacking.get)


@lru_cache(maxsize=64)
def _load_font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    if not name:
        return ImageFont.load_default(size)
    shipped = Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf" / name
    try:
        return ImageFont.truetype(str(shipped) if shipped.exists() else name, size)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _has_glyph(name: str, character: str) -> bool:
    """Whether a font has a glyph for the character, not only the box for missing ones."""
    font = _load_font(name, 20)
    return character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))
