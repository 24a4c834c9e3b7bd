"""How long a text is on the screen, estimated without a font: a picture is drawn by whatever shows it. Pure."""

from __future__ import annotations

import unicodedata

SIZES = {"h1": 20, "h2": 15, "h3": 13, "mono": 12, "small": 12, "muted": 12, "badge": 11, "mac": 11}
"""Pixels by kind of text."""

_MONO = ("mono", "mac")
_BOLD = ("h1", "h2", "h3")
_ELLIPSIS = "…"


def length(text: str, kind: str) -> float:
    """Pixels, on the safe side for usual fonts."""
    narrow = 0.61 if kind in _MONO else 0.62 if kind in _BOLD else 0.57  # of the size
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return SIZES[kind] * (narrow * (len(text) - wide) + 1.1 * wide)


def cut(text: str, kind: str, room: float) -> str:
    """The text, or its beginning and an ellipsis where it is longer than `room` pixels; always on one line."""
    text = " ".join(text.split()) if not text.isprintable() else text
    if length(text, kind) <= room:
        return text
    kept = text
    while kept and length(kept + _ELLIPSIS, kind) > room:
        kept = kept[:-1]
    return kept + _ELLIPSIS
