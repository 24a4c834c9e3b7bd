"""The pages of the documentation and what can be run in them.

In a block `console` stands a command behind `$ `, and below it what it prints. `...` stands for anything in a line, and
alone for any lines; blanks do not count, nor do times, sizes and the UUIDs of commands. Where nothing is printed below
a command nothing is compared. A command must exit with 0, unless `echo $?` comes next and shows something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\S*)")
_LAB = "vrouter lab "
_NOISE = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\b(\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\dZ?\b", "CLOCK"),
    (r"\b\d+(\.\d+)? (ms|s|min|h|d)\b", "TIME"),
    (r"\b\d+(\.\d+)? (B|kB|MB|GB)\b", "SIZE"),
    (r"[ \t]+", " "),
)


@dataclass(frozen=True)
class Example:
    """One command of a page. inside: it is for the router, as every block that does not speak of `vrouter lab`."""

    page: str
    line: int
    command: str
    output: tuple[str, ...]
    inside: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: $ {self.command}"


def examples(page: Path) -> list[Example]:
    """Every command of a page, in its order."""
    found = []
    for first, lines in _blocks(page.read_text(), "console"):
        inside = not any(_LAB in line for line in lines)
        starts = [place for place, line in enumerate(lines) if line.startswith("$ ")]
        assert starts and starts[0] == 0, f"{page}:{first}: a block console begins with a command"
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            command, *output = lines[start:end]
            while command.endswith("\\"):
                command = f"{command}\n{output.pop(0)}"
            found.append(Example(str(page.relative_to(ROOT)), first + start, command[2:], tuple(output), inside))
    return found


def _blocks(text: str, kind: str) -> Iterator[tuple[int, list[str]]]:
    """The fenced blocks of a kind: number of their first line, and their lines."""
    opened: tuple[str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened, lines = (fence[1], number + 1), []
        elif fence and opened:
            if opened[0] == kind:
                yield opened[1], lines
            opened = None
        else:
            lines.append(line)
    assert opened is None, "a block is not closed"


def indented(text: str) -> list[str]:
    """The lines of shell blocks that are indented by four blanks and begin with sudo or make."""
    return [line.strip() for line in text.splitlines() if re.match(r"    (sudo|make) ", line)]


def agrees(shown: tuple[str, ...], found: str) -> bool:
    """Whether what a page shows is what was printed."""
    wanted = [_plain(line) for line in shown]
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), r"[^\n]*") + "\n"
        for line in wanted
        if line
    )
    lines = (_plain(line) for line in found.splitlines())
    return bool(re.fullmatch(pattern, "".join(f"{line}\n" for line in lines if line)))


def _plain(line: str) -> str:
    for noise, word in _NOISE:
        line = re.sub(noise, word, line)
    return line.strip()
