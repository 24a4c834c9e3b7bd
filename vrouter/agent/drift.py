"""What foreign hands change of ours: noticed by notification, told, and by setting undone (design 3)."""

from __future__ import annotations

import os
import selectors
import sys
import time
from contextlib import suppress

from vrouter.answers import changes_text
from vrouter.errors import VrouterError
from vrouter.host.host import Host
from vrouter.host.notify import Notifications
from vrouter.host.watch import CLOSE_WRITE, DELETE, MOVED_FROM, MOVED_TO, Watch
from vrouter.pipeline import Router
from vrouter.plan import Plan

_SETTLE_S = 0.1  # news of the machine is looked at when it has been quiet this long,
_LATEST_S = 0.5  # or at last, where it is never quiet
_AGAIN_S = 10.0  # what could not be repaired is tried again
_DAEMON, _FILES, _ROUTE, _POLICY = "daemon", "files", "route", "policy"
KINDS = (_DAEMON, _FILES, _ROUTE, _POLICY)


class Drift:
    """Knows without reading everything back whether the machine still holds what was applied.

    The kernel tells every transaction of the packet policy, with what it touched and whose it is, before it returns to
    whoever made it; its generation id shows that none is missing.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        host: Host,
        router: Router,
        kernel: Notifications,
        repair: bool,
    ) -> None:
        """kernel: listening since before the router observed the machine."""
        self._selector, self._host, self._router, self._repair = selector, host, router, repair
        self._generation = 0  # the last that was told
        self._files, self._kernel = Watch(), kernel
        self._watch_files()
        selector.register(self._files, selectors.EVENT_READ, _FILES)
        selector.register(self._kernel.route, selectors.EVENT_READ, _ROUTE)
        selector.register(self._kernel.policy, selectors.EVENT_READ, _POLICY)
        self.watch_daemons()
        self.due: float | None = None  # when to `look`, in seconds of time.monotonic
        self._first_news: float | None = None  # since the last look
        self._policy_too = False
        self.step()
        self._news(policy=False)  # files and daemons: what happened before there was anybody to hear it

    def _watch_files(self) -> None:
        """Also in directories that were not there before."""
        for directory in self._host.directories():
            if directory not in self._files.directories():
                self._files.add(directory, CLOSE_WRITE | MOVED_TO | MOVED_FROM | DELETE)

    def watch_daemons(self) -> None:
        """Learn of the death of those that run now."""
        for key in [key for key in self._selector.get_map().values() if key.data == _DAEMON]:
            self._forget(key)
        for descriptor in self._host.watched():
            self._selector.register(descriptor, selectors.EVENT_READ, _DAEMON)

    def _forget(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        os.close(key.fd)

    def hear(self, key: selectors.SelectorKey) -> None:
        """One of our descriptors has something to tell."""
        if key.data == _FILES:
            paths = [f"{directory}/{name}" if directory else "" for directory, name in self._files.events()]
            if not all(path and self._router.agrees(path) for path in paths):
                self._news(policy=True)  # guests' files are read back together with the policy
        elif key.data == _POLICY:
            self._hear_policy()
        elif key.data == _DAEMON:
            self._forget(key)
            self._news(policy=False)
        elif self._kernel.routes_moved(self._host.route_port()):
            self._news(policy=False)

    def _news(self, policy: bool) -> None:
        now = time.monotonic()
        self._policy_too |= policy
        self._first_news = self._first_news or now
        self.due = min(now + _SETTLE_S, self._first_news + _LATEST_S)

    def _hear_policy(self) -> None:
        for step in self._kernel.steps():
            if step is None or (step.ours and step.sender != self._host.policy_port()):
                self._news(policy=True)
            if step:
                self._generation = step.generation

    def agree(self) -> None:
        """Before work: look, if foreign hands were in our policy, or if they may be there right now."""
        self._hear_policy()
        if self._generation and self._host.generation() != self._generation:
            self._hear_policy()
            self._policy_too |= self._host.generation() != self._generation
        if self._policy_too:
            self.look()

    def step(self) -> None:
        """After work: what was done may have made new directories, and is told by the kernel as well."""
        self._watch_files()
        self._hear_policy()

    def look(self) -> None:
        """Observe, tell what has come apart from the bags, and repair it."""
        policy = self._policy_too
        self._policy_too, self.due, self._first_news = False, None, None
        if policy:
            self._generation = self._host.generation()  # before observing: what is done meanwhile is told
        again = None
        try:
            plan = self._router.drift(policy)
            if not self._router.knows_anything():
                plan = Plan()  # a router that was told nothing is left as it is
            if plan:
                log("\n".join(["drift: not as the databags say:", *changes_text(plan.changes_tree())]))
            if plan and self._repair:
                self._router.converge()
                self.watch_daemons()
                log("drift: repaired")
        except VrouterError as error:
            log(f"drift: {error}")
            again = time.monotonic() + _AGAIN_S
        self.step()
        self.due = self.due or again


def log(text: str) -> None:
    """To the service's journal; where that takes nothing any more, work goes on."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
