"""Starts what `lab up` asks for: one lab or many, of a named topology or of an operator's files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from vrouter.lab import box, lab, snapshot, state
from vrouter.lab.feed import Fed, feed, lay_out
from vrouter.lab.lab import Lab
from vrouter.lab.source import Source
from vrouter.lab.topology import Topology

AT_ONCE = max(2, os.cpu_count() or 1)
"""Labs that are being started at the same time; each starts several boxes at a time."""

_SHOWN = 12  # nodes of a line


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to start. source: the files for its router. apply: put them in force. notes: what its shape leaves out."""

    topology: str | Topology
    agent: bool
    source: Source | None = None
    apply: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """A lab that is up. took_s: seconds until then, and until its files were in force."""

    lab: Lab
    wish: Wish
    up_s: float
    took_s: float
    fed: Fed | None

    @property
    def good(self) -> bool:
        """Whether its router took all files."""
        return self.fed is None or self.fed.good

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"lab {self.lab.name} is up after {self.up_s:.1f} s: {' '.join(_shortened(self.lab.nodes))}"
        yield from (f"  note: {note}" for note in self.wish.notes)
        source, fed = self.wish.source, self.fed
        if source and fed:
            yield from fed.lines()
            refused = sum(bool(file["refused"]) for file in fed.files)
            if refused:
                yield f"  {refused} of {len(fed.files)} files were refused; the lab stays up"
            elif not fed.good:
                yield "  the lab stays up"
        elif source:
            yield from (f"  {name}: {why}; it says nothing of the topology" for name, why in source.unread.items())
            yield f"  nothing is applied; the {len(source.files)} files are in the router, below {snapshot.HOME}"


def start(wish: Wish, name: str) -> Started:
    """Start one lab. Raises LabError when it cannot be; then, and on any interruption, nothing of it is left."""
    begin = time.monotonic()
    started = Lab.up(wish.topology, name, wish.agent)
    up_s = time.monotonic() - begin
    fed = None
    if wish.source:
        try:
            lay_out(started, wish.source)
            fed = feed(started, wish.source) if wish.apply else None
            if fed:
                snapshot.save(started, snapshot.UP)
        except BaseException:
            with box.uninterrupted():
                started.down()
            raise
    return Started(started, wish, up_s, time.monotonic() - begin, fed)


def start_many(wish: Wish, name: str, count: int) -> list[Started]:
    """Start NAME-1 to NAME-count, some at a time. When one cannot be started, and on any interruption, all of them are
    taken down that were. Raises LabError."""
    lab.require_root()
    names = [state.checked(f"{name}-{number}") for number in range(1, count + 1)]
    pool = ThreadPoolExecutor(AT_ONCE)
    begun: list[Future[Started]] = []
    try:
        begun += [pool.submit(start, wish, each) for each in names]
        wait(begun, return_when=FIRST_EXCEPTION)
        return [each.result() for each in _failed_first(begun)]
    except BaseException:
        with box.uninterrupted():
            pool.shutdown(cancel_futures=True)
            for each in begun:
                if not each.cancelled() and each.exception() is None:
                    each.result().lab.down()
        raise
    finally:
        pool.shutdown()


def _failed_first(begun: Sequence[Future[Started]]) -> list[Future[Started]]:
    """All, unless one failed: then that one, so that its error is what is told."""
    failed = [each for each in begun if each.done() and each.exception() is not None]
    return failed[:1] or list(begun)


def _shortened(nodes: Sequence[str]) -> Iterator[str]:
    """The names of a lab's nodes; of many guests the first and the last."""
    guests = [node for node in nodes if node.startswith("guest")]
    if len(nodes) <= _SHOWN:
        yield from nodes
        return
    yield from (node for node in nodes if node not in guests)
    if guests:
        yield f"{guests[0]} to {guests[-1]}" if len(guests) > 1 else guests[0]
