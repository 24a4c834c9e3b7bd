"""`vrouter trace`: follow real packets. It leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import click

from vrouter.asking import look
from vrouter.errors import VrouterError
from vrouter.trace.asked import LOCAL, Asked, parse

Json = dict[str, Any]
NONE_SEEN, INTERRUPTED = 2, 130
_BEAT_S = 0.05


@click.command()
@click.argument(
    "protocol", metavar="[PROTO]", required=False, default="any", type=click.Choice(["any", "tcp", "udp", "icmp"])
)
@click.argument("source", metavar="[SRC[:PORT]]", required=False, default="any")
@click.argument("destination", metavar="[DST[:PORT]]", required=False, default="any")
@click.option("--in", "device", metavar="DEV", default="", help="Where they come in; `local`: of the router itself.")
@click.option("--both", is_flag=True, help="Also the packets that go the other way, of the same connections.")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="How long at most.")
@click.option(
    "--packets",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many at most; no more than so many a second are traced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def trace(
    protocol: str, source: str, destination: str, device: str, both: bool, seconds: float, packets: int, as_json: bool
) -> int:  # fmt: skip
    """Follow real packets through the kernel, and say at each step which rule decided, and which command put it there.

    SRC and DST are `any`, an address or a network, each with :PORT or without; what is left out is any. For rules of
    vrouter the set element that decided is named, with its databag entry and command; rules of other tables by their
    text. It changes nothing for the packets, and leaves nothing behind, also when it is killed. The SSH connection by
    which it is called is not traced.

    \b
    Exit status: 0 packets were seen, 2 none in the time, 1 failed,
    64 wrong usage, 130 ended by Ctrl-C.

    \b
    Example: vrouter trace --seconds 3 icmp 10.1.1.0/24
    JSON: asked, seconds, lost, note, hint and packets, each with packet,
    verdict, passes, hook, out, ends, reason and steps. docs/trace.md
    describes each.
    """
    try:
        asked = parse(protocol, source, destination, device=device, both=both)
        if device and device != LOCAL:
            socket.if_nametoindex(device)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise VrouterError(f"there is no interface {device} here") from error
    say = (lambda way: None) if as_json else _say
    if not as_json:
        click.echo(
            f"tracing {asked}: at most {packets} packet{'s'[: packets - 1]}, {seconds:g} s; Ctrl-C ends it", err=True
        )
    return _traced(asked, seconds, packets, say, as_json)


def _say(way: Json) -> None:
    from vrouter.trace.text import way_text

    click.echo(way_text(way) + "\n")


def _traced(asked: Asked, seconds: float, packets: int, say: Callable[[Json], None], as_json: bool) -> int:
    from vrouter.host.nft_trace import Tracing
    from vrouter.trace.asked import own, table
    from vrouter.trace.text import end_text

    begin = time.monotonic()
    tracing = Tracing(table(asked, packets, own(os.environ.get("SSH_CONNECTION", ""))))
    run = _Run(tracing, packets, say)
    try:
        before = signal.signal(signal.SIGINT, run.interrupt)
        run.until(begin + seconds)
        signal.signal(signal.SIGINT, before)
        run.rest()
    finally:
        tracing.close()
    took = time.monotonic() - begin
    found: Json = {
        "asked": str(asked), "seconds": round(took, 1), "lost": run.lost, "note": run.note,
        "hint": "" if run.done else _unseen(asked), "packets": run.done,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif text := end_text(found):
        click.echo(text)
    return INTERRUPTED if run.interrupted else 0 if run.done else NONE_SEEN


class _Run:
    """Packets as they end, named in batches."""

    def __init__(self, tracing: Any, packets: int, say: Callable[[Json], None]) -> None:
        from vrouter.trace.rules import rules
        from vrouter.trace.walk import Ways

        self._tracing, self._say = tracing, say
        self._ways, self._rules = Ways(_device, packets), rules(tracing.rules)
        self._known = set(self._rules.rules)
        self.done: list[Json] = []
        self.lost, self.interrupted, self.note = False, False, ""

    def interrupt(self, *_: object) -> None:
        """For Ctrl-C: what is known by then is still said."""
        self.interrupted = True

    def until(self, end: float) -> None:
        """Read until then, or until there are enough."""
        while not (self.interrupted or self._ways.full) and (left := end - time.monotonic()) > 0:
            self._finish(self._heard(min(left, _BEAT_S)))

    def rest(self) -> None:
        """What is under way when it ends."""
        self._finish([*self._heard(0), *self._ways.quiet(time.monotonic(), 0)])

    def _heard(self, limit_s: float) -> list[Any]:
        from vrouter.trace.rules import rules

        ended: list[Any] = []
        for event in self._tracing.read(limit_s):
            if event is None:
                self.lost = True
                continue
            if event.handle and (event.table, event.handle) not in self._known:  # made since it began
                self._known.add((event.table, event.handle))
                self._rules = rules(self._tracing.listing())
            ended += self._ways.take(event, self._rules, time.monotonic())
        return [*ended, *self._ways.quiet(time.monotonic())]

    def _finish(self, ways: Iterable[Any]) -> None:
        found = [way.as_json() for way in ways]
        if found:
            self.note = _named(found, self.note)
            self.done += found
            for way in found:
                self._say(way)


def _device(index: int) -> str:
    try:
        return socket.if_indextoname(index) if index else ""
    except OSError:
        return f"if{index}"


def _unseen(asked: Asked) -> str:
    from vrouter.trace.question import of_asked
    from vrouter.trace.text import unseen

    if not asked.exact:
        return unseen(None, "")
    try:
        found = look("trace", {"packets": [of_asked(asked)]})["packets"][0]["explained"]
    except VrouterError:
        found = None
    return unseen(found, str(asked))


def _named(ways: list[Json], note: str) -> str:
    """Tell each what the databags know of it; what to note where they cannot be asked."""
    from vrouter.trace.question import merge, of_ways

    try:
        answer: Json = look("trace", of_ways(ways))
    except VrouterError as error:
        merge(ways, None)
        return f"the databags cannot be asked, so elements and commands are not named: {error}"
    merge(ways, answer)
    return note
