"""Rows as aligned columns that fit a terminal, or as plain columns where there is none. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Row = Mapping[str, Any]
Style = Literal["", "bold", "dim", "red", "yellow", "green"]

_CODES: dict[str, str] = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "green": "32"}
_GAP = "  "
_CUT = "…"


@dataclass(frozen=True)
class Screen:
    """Where text goes. width: columns; None for no limit, where nobody looks. colour: whether it may be used."""

    width: int | None = None
    colour: bool = False
    height: int | None = None

    def styled(self, text: str, style: Style) -> str:
        """The text in a colour, where there is one."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and style and text else text

    def within(self, indent: int) -> Screen:
        """The same, less an indentation."""
        return Screen(self.width and max(20, self.width - indent), self.colour, self.height)


PLAIN = Screen()


def _unstyled(_: Row) -> Style:
    return ""


@dataclass(frozen=True)
class Column:
    """One column for people. cell: its text of a row. least: columns that it keeps where room is short; a cell beyond
    its room goes on in the next line where it `wraps`, else it is cut."""

    title: str
    cell: Callable[[Row], str]
    right: bool = False
    wraps: bool = False
    least: int = 0
    style: Callable[[Row], Style] = field(default=_unstyled)


def columns_text(columns: Sequence[Column], rows: Sequence[Row], screen: Screen) -> list[str]:
    """The lines: titles, then rows. A column in which no row says anything is left out."""
    cells = [[_clean(column.cell(row)) for column in columns] for row in rows]
    kept = [place for place, _ in enumerate(columns) if any(line[place] for line in cells)]
    columns = [columns[place] for place in kept]
    cells = [[line[place] for place in kept] for line in cells]
    natural = [max(len(c.title), *(len(line[place]) for line in cells)) for place, c in enumerate(columns)]
    widths = _fitted(columns, natural, screen.width)
    titles = _padded(columns, [c.title[:width] for c, width in zip(columns, widths, strict=True)], widths)
    lines = [screen.styled(_joined(titles), "bold")]
    for row, line in zip(rows, cells, strict=True):
        styles = [column.style(row) for column in columns]
        parts = [_parts(column, cell, width) for column, cell, width in zip(columns, line, widths, strict=True)]
        for number in range(max(map(len, parts), default=0)):
            texts = _padded(columns, [part[number] if number < len(part) else "" for part in parts], widths)
            styled = [screen.styled(text, style) for text, style in zip(_bare(texts), styles, strict=True)]
            lines.append(_GAP.join(styled).rstrip())
    return lines


def _clean(text: str) -> str:
    """Names come from outside: nothing in them moves the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _fitted(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int]:
    """The widths, taken from the widest column that wraps, then from those that are cut."""
    if width is None:
        return list(natural)
    widths = [min(size, width) for size in natural]
    least = [min(size, max(c.least, len(c.title))) for c, size in zip(columns, natural, strict=True)]
    for wraps in (True, False):
        while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
            able = [place for place, c in enumerate(columns) if c.wraps == wraps and widths[place] > least[place]]
            if not able:
                break
            widest = max(able, key=lambda place: widths[place])
            widths[widest] -= 1
    return widths


def _parts(column: Column, cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    if column.wraps:
        return textwrap.wrap(cell, width, break_on_hyphens=False) or [""]
    return [cell[: width - 1] + _CUT]


def _padded(columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> list[str]:
    aligned = zip(columns, texts, widths, strict=True)
    return [text.rjust(width) if column.right else text.ljust(width) for column, text, width in aligned]


def _bare(texts: Sequence[str]) -> list[str]:
    """The last cell without its padding, so that no line ends in blanks inside a colour."""
    return [*texts[:-1], texts[-1].rstrip()] if texts else []


def _joined(texts: Sequence[str]) -> str:
    return _GAP.join(texts).rstrip()


def folded(text: str, screen: Screen, indent: str = "") -> list[str]:
    """A sentence over as many lines as it needs, those after the first indented."""
    text = _clean(text)
    if screen.width is None or len(text) <= screen.width:
        return [text]
    return textwrap.wrap(text, screen.width, subsequent_indent=indent, break_on_hyphens=False)


def ago(seconds: float) -> str:
    """A span for people: its two largest units."""
    rest = max(0, int(seconds))
    words: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not words):
            words.append(f"{count} {unit}")
    return " ".join(words[:2])


def size(count: float) -> str:
    """Bytes for people, 1 kB being 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
