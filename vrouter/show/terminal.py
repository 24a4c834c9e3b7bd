"""Where text goes: how wide, in colours or not, once or again and again."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable

import click

from vrouter.errors import VrouterError
from vrouter.show.layout import PLAIN, Screen

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_FIRST_CLEAR = "\x1b[2J"


def screen() -> Screen:
    """Of standard output: no limit and no colour where it is no terminal; no colour where NO_COLOR says so."""
    if not sys.stdout.isatty():
        return PLAIN
    size = shutil.get_terminal_size()
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(size.columns, colour, size.lines)


def repeat(every_s: float, once: Callable[[], tuple[str, int]]) -> int:
    """Print what `once` says again and again until Ctrl-C: a terminal is drawn anew, elsewhere blocks are apart by a
    line. Returns only by KeyboardInterrupt, which the command line turns into status 130."""
    first = True
    while True:
        began = time.monotonic()
        try:
            text, _ = once()
        except VrouterError as error:  # the router may come back
            text = f"vrouter: {error}"
        here = screen()
        stamp = time.strftime("%H:%M:%S")
        if here.width is None:
            click.echo(f"--- {stamp}" if not text.startswith("{") else "", nl=not text.startswith("{"))
            click.echo(text)
        else:
            click.echo((_FIRST_CLEAR if first else "") + _HOME + _frame(text, here, stamp, every_s), nl=False)
        sys.stdout.flush()
        first = False
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))


def _frame(text: str, here: Screen, stamp: str, every_s: float) -> str:
    """As much as fits, and a line that says how much does not."""
    lines = text.splitlines()
    room = max(1, (here.height or 24) - 1)
    hidden = len(lines) - room
    status = f"{stamp}, every {every_s:g} s, Ctrl-C ends" + (f"; {hidden} more lines below" if hidden > 0 else "")
    drawn = [line + _CLEAR_LINE for line in lines[:room]]
    return "\n".join([*drawn, here.styled(status, "dim") + _CLEAR_LINE]) + _CLEAR_BELOW
