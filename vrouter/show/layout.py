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
    """One column for people. cell: its text of a row.

    Where room is short a cell that `wraps` goes on in the next line, between words, and one that `cuts` is cut, down to
    that many letters; others keep their text whole. If that is not enough, columns with a rank go below their row, the
    highest rank first, each after its label.
    """

    title: str
    cell: Callable[[Row], str]
    right: bool = False
    wraps: bool = False
    cuts: int = 0
    rank: int = 0
    label: str | None = None
    style: Callable[[Row], Style] = field(default=_unstyled)


Cells = list[str]


def columns_text(columns: Sequence[Column], rows: Sequence[Row], screen: Screen) -> list[str]:
    """The lines: titles, then rows. A column in which no row says anything is left out."""
    found = [(column, [_clean(column.cell(row)) for row in rows]) for column in columns]
    beside = [(column, cells) for column, cells in found if any(cells)]
    below: list[tuple[Column, Cells]] = []
    while screen.width is not None and _total([_least(*one) for one in beside]) > screen.width:
        lowest = max(beside, key=lambda one: one[0].rank, default=None)
        if lowest is None or not lowest[0].rank:
            break
        beside.remove(lowest)
        below.insert(0, lowest)
    kept = [column for column, _ in beside]
    widths = _widths(beside, screen.width)
    lines = [screen.styled(_joined(_padded(kept, [column.title for column in kept], widths)), "bold")]
    for number, row in enumerate(rows):
        lines += _row(kept, [cells[number] for _, cells in beside], widths, row, screen)
        more = [_labelled(column, cells[number]) for column, cells in below if cells[number]]
        if more:
            lines += [screen.styled(line, "dim") for line in _below(", ".join(more), screen)]
    return lines


def _row(columns: Sequence[Column], cells: Cells, widths: Sequence[int], row: Row, screen: Screen) -> list[str]:
    parts = [_parts(column, cell, width) for column, cell, width in zip(columns, cells, widths, strict=True)]
    styles = [column.style(row) for column in columns]
    lines = []
    for number in range(max(map(len, parts), default=0)):
        texts = _padded(columns, [part[number] if number < len(part) else "" for part in parts], widths)
        styled = [screen.styled(text, style) for text, style in zip(_bare(texts), styles, strict=True)]
        lines.append(_GAP.join(styled).rstrip())
    return lines


def _labelled(column: Column, cell: str) -> str:
    label = column.title.lower() if column.label is None else column.label
    return f"{label} {cell}".strip()


def _below(text: str, screen: Screen) -> list[str]:
    return textwrap.wrap(
        text, screen.width or 80, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


def _clean(text: str) -> str:
    """Names come from outside: nothing in them moves the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _natural(column: Column, cells: Cells) -> int:
    return max(len(column.title), *map(len, cells))


def _least(column: Column, cells: Cells) -> int:
    """How narrow it may become."""
    if column.wraps:
        return max(len(column.title), *(len(word) for cell in cells for word in cell.split()))
    return min(_natural(column, cells), max(len(column.title), column.cuts)) if column.cuts else _natural(column, cells)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widths(columns: Sequence[tuple[Column, Cells]], width: int | None) -> list[int]:
    """What is too much is taken from the widest column that can give."""
    widths = [_natural(*one) for one in columns]
    if width is None:
        return widths
    least = [_least(*one) for one in columns]
    while _total(widths) > width:
        able = [place for place, _ in enumerate(columns) if widths[place] > least[place]]
        if not able:
            break
        widest = max(able, key=lambda place: (columns[place][0].wraps, widths[place]))
        widths[widest] = max(least[widest], widths[widest] - (_total(widths) - width), widths[widest] - 8)
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
