"""The picture as SVG: one file without scripts, fonts or anything from elsewhere, for light and dark screens. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from vrouter.topology.layout import Box, Line, Picture, Text
from vrouter.topology.measure import SIZES

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, section 2.2."""

_ROUNDED = {"vm": 6, "nic": 6, "row": 0}
_BARE = ("header", "row")  # boxes without an outline
_LIGHT = {
    "back": "#ffffff", "ink": "#1c2430", "muted": "#5b6675", "edge": "#c3cad4", "panel": "#f6f8fa", "card": "#ffffff",
    "public": "#b45309", "control": "#6b7280", "guest": "#0f766e", "router": "#1d4ed8", "stray": "#b91c1c",
}  # fmt: skip
_DARK = {
    "back": "#0f141b", "ink": "#e6ebf2", "muted": "#9aa7b8", "edge": "#3a4656", "panel": "#161d27", "card": "#1d2632",
    "public": "#f59e0b", "control": "#9ca3af", "guest": "#2dd4bf", "router": "#60a5fa", "stray": "#f87171",
}  # fmt: skip


def svg(picture: Picture) -> str:
    """The text of the file."""
    return "\n".join([*_lines(picture), ""])


def _lines(picture: Picture) -> Iterator[str]:
    width, height = _number(picture.width), _number(picture.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label={_attribute(picture.title)}>'
    )
    yield f"<title>{_text(picture.title)}</title>"
    yield "<style>"
    yield from _fixed()
    yield from _colours(_LIGHT)
    yield "@media (prefers-color-scheme: dark) {"
    yield from _colours(_DARK)
    yield "}"
    yield "</style>"
    yield f'<rect class="back" width="{width}" height="{height}"/>'
    yield from (_line(line) for line in picture.lines)
    for box in picture.boxes:
        yield from _box(box)
    yield "</svg>"


def _fixed() -> Iterator[str]:
    yield "text { font-family: system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }"
    yield ".mono, .mac { font-family: ui-monospace, Consolas, 'DejaVu Sans Mono', monospace; }"
    yield ".h1, .h2, .h3 { font-weight: 600; }"
    yield ".end { text-anchor: end; }"
    yield "rect { stroke-width: 1; } polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }"
    yield from (f".{kind} {{ font-size: {size}px; }}" for kind, size in SIZES.items())


def _colours(of: dict[str, str]) -> Iterator[str]:
    yield f".back {{ fill: {of['back']}; }} text {{ fill: {of['ink']}; }}"
    yield f".muted, .mac, .small {{ fill: {of['muted']}; }} .badge {{ fill: {of['router']}; }}"
    yield f"rect.box {{ fill: {of['panel']}; stroke: {of['edge']}; }}"
    yield f"rect.vm, rect.nic {{ fill: {of['card']}; }}"
    for role in ("public", "control", "guest", "router", "stray"):
        yield f"rect.{role} {{ stroke: {of[role]}; }} polyline.{role} {{ stroke: {of[role]}; }}"


def _box(box: Box) -> Iterator[str]:
    kind = box.kind.split()[0]
    yield f"<g class={_attribute(kind)}>"
    if box.title:
        yield f"<title>{_text(box.title)}</title>"
    if kind not in _BARE:
        place = " ".join(f'{name}="{_number(value)}"' for name, value in
                         (("x", box.x), ("y", box.y), ("width", box.w), ("height", box.h)))  # fmt: skip
        yield f'<rect class={_attribute(f"box {box.kind}")} {place} rx="{_ROUNDED.get(kind, 10)}"/>'
    yield from (_said(text) for text in box.texts)
    for inner in box.inside:
        yield from _box(inner)
    yield "</g>"


def _said(text: Text) -> str:
    kind = f"{text.kind} end" if text.end else text.kind
    return f'<text class="{kind}" x="{_number(text.x)}" y="{_number(text.y)}">{_text(text.text)}</text>'


def _line(line: Line) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in line.points)
    return f'<polyline class={_attribute(line.kind)} points="{points}"/>'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(value: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", value))


def _attribute(value: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", value))
