"""The glossary and the chapters: each term stands where the glossary says, and nowhere before."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("*.md"))
ROW = re.compile(r"(?m)^\| (.+?) \| (.+?) \| (.+?) \| \[(\d\d)\]\((.+?)\) \|$")
ROWS = ROW.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


def italics(source: Path) -> set[str]:
    """What stands in italics in a chapter's prose, in lower case."""
    prose = re.sub(r"(?ms)^(```|~~~).*?^\1", "", source.read_text(encoding="utf-8"))
    return {words.lower() for words in re.findall(r"(?<!\*)(?:\*|\*{3})([^*\n]+?)(?:\*|\*{3})(?!\*)", prose)}


def test_rows_are_whole_and_in_order():
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    assert len(ROWS) == len([line for line in lines if line.startswith("| ")]) - 1, "a row is not understood"
    terms = [term.lower() for term, *_ in ROWS]
    assert terms == sorted(set(terms))
    for term, _, line, *_ in ROWS:
        assert len(line) < 160 and not line.endswith("."), term


@pytest.mark.parametrize("term, japanese, line, number, link", ROWS, ids=[row[0] for row in ROWS])
def test_a_term_is_introduced_where_the_glossary_says(term, japanese, line, number, link):
    chapters = [source.name[:2] for source in SOURCES if term.lower() in italics(source)]
    assert chapters[:1] == [number], f"{term!r} stands in italics in {chapters or 'no chapter'}"
    assert (ROOT / "docs" / link).is_file()


def test_every_chapter_introduces_something():
    assert {number for *_, number, _ in ROWS} >= {source.name[:2] for source in SOURCES}
