"""What foreign hands change of ours: noticed by notification, told, and by setting undone (design 3)."""

from __future__ import annotations

import os
import selectors
import sys
import time

from vrouter.answers import changes_text
from vrouter.errors import VrouterError
from vrouter.host.host import Host
from vrouter.host.notify import Notifications, drained, generations
from vrouter.host.watch import CLOSE_WRITE, DELETE, MOVED_FROM, MOVED_TO, Watch
from vrouter.pipeline import Router
from vrouter.plan import Plan

_SETTLE_S = 0.1  # news of the machine is looked at when it has been quiet this long,
_LATEST_S = 0.5  # or at last, where it is never quiet
_DAEMON, _FILES, _ROUTE, _POLICY = "daemon", "files", "route", "policy"
KINDS = (_DAEMON, _FILES, _ROUTE, _POLICY)


class Drift:
    """Knows without reading everything back whether the machine still holds what was applied.

    The packet policy is known by its generation id: `step` takes our own steps as known, any other is news.
    """

    def __init__(
        self, selector: selectors.BaseSelector, host: Host, router: Router, known: tuple[int, int], repair: bool
    ) -> None:
        """known: the policy's generation before the router observed it."""
        self._selector, self._host, self._router, self._repair = selector, host, router, repair
        self._generation = known
        self._files, self._kernel = Watch(), Notifications()
        self._watch_files()
        selector.register(self._files, selectors.EVENT_READ, _FILES)
        selector.register(self._kernel.route, selectors.EVENT_READ, _ROUTE)
        selector.register(self._kernel.policy, selectors.EVENT_READ, _POLICY)
        self.watch_daemons()
        self.due: float | None = None  # when to `look`, in seconds of time.monotonic
        self._first_news: float | None = None  # since the last look
        self._policy_too = False
        self.step()
        self._news(policy=False)  # what happened before there was anybody to hear it

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
            told = [number for data in drained(self._kernel.policy) for number in (generations(data) if data else [-1])]
            if any(number < 0 or number > self._generation[0] for number in told):
                self._news(policy=True)
        else:
            if key.data == _DAEMON:
                self._forget(key)
            else:
                list(drained(self._kernel.route))
            self._news(policy=False)

    def _news(self, policy: bool) -> None:
        now = time.monotonic()
        self._policy_too |= policy
        self._first_news = self._first_news or now
        self.due = min(now + _SETTLE_S, self._first_news + _LATEST_S)

    def agree(self) -> None:
        """Before work: look, if the policy is not as it was left, whether or not the news has arrived."""
        if self._policy_too or self._host.generation() != self._generation:
            self.look()

    def step(self) -> None:
        """After work: our own steps are known; one beyond them is somebody else's."""
        self._watch_files()
        before, made_before = self._generation
        self._generation = now, made = self._host.generation()
        if now - before > made - made_before:
            self._news(policy=True)

    def look(self) -> None:
        """Observe, tell what has come apart from the bags, and repair it."""
        policy = self._policy_too or self._host.generation() != self._generation
        self._policy_too, self.due, self._first_news = False, None, None
        self._generation = self._host.generation()  # before observing: what is done meanwhile is news
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
        self.step()


def log(text: str) -> None:
    """To the service's journal."""
    print(text, file=sys.stderr, flush=True)
