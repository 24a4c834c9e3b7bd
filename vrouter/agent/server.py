"""The resident agent: one thread, one queue, one writer (design 3).

It waits on its socket, on the cache directory, on what the kernel says by itself, and on its daemons. Commands that
wait together are one batch. What foreign hands change of ours is noticed, told and, by setting, undone.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from vrouter.agent.client import SOCKET
from vrouter.agent.drift import KINDS, Drift, log
from vrouter.agent.questions import NO_REQUEST, READS, VERBS, question, reply
from vrouter.agent.sdnotify import Service
from vrouter.answers import file_text
from vrouter.closed import close
from vrouter.command import REGISTRY, Session, answer, outcome_json
from vrouter.errors import BagError, HostError, VrouterError, unexpected
from vrouter.faults import reached
from vrouter.host.host import Host
from vrouter.host.notify import Notifications
from vrouter.host.watch import CLOSE_WRITE, MOVED_TO, Watch
from vrouter.intake import BOOT, Claimed, Intake, is_command
from vrouter.model.settings import Settings
from vrouter.past.confirm import Unconfirmed
from vrouter.pipeline import Router
from vrouter.records import Recent

_REMEMBERED = 4096  # answers kept for callers that come after the watcher
_MOST_TOGETHER = 512
_LARGEST_REQUEST = 128 * 1024 * 1024  # an operator's files, escaped
_READ = 1 << 16
_FLUSH_S = 0.8  # a bag that was deferred is written within a second (design 3)
_SETTLED_FILE_S = 1.0  # a file that lies in the cache at start and is not being written any more


class Agent:
    """One router's agent. Use `run`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._intake = Intake(settings)
        self._selector = selectors.DefaultSelector()
        self._answers: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._recent = Recent()
        self._partial: dict[socket.socket, bytes] = {}
        self._waiting: dict[str, Claimed] = {}
        self._held: dict[str, Claimed] = {}  # those that need a daemon that was disturbed a moment ago
        self._callers: dict[str, list[socket.socket]] = {}  # who wants the answer of a command
        self._stopping = False
        self._flush_at = 0.0
        self._scan_at: float | None = None
        self._service = Service()
        self._drift: Drift | None = None  # once the machine has been made what the bags say

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises VrouterError when it cannot start."""
        self._hear_signals()
        with self._intake.locked(), Host(self._settings) as host:
            notifications = Notifications()  # before anything is observed
            try:
                self._router = Router(self._settings, REGISTRY, host, defer=True)
            except BagError:
                close(REGISTRY, host)
                raise
            self._converge()
            self._begin()
            self._drift = Drift(self._selector, host, self._router, notifications, self._settings.repair)
            self._listen()
            self._service.ready()
            while not self._stopping:
                self._turn()
            self._service.stopping()
            self._work(hold=False)
            self._flush()
            self._listener.close()
            Path(self._settings.run_dir, SOCKET).unlink(missing_ok=True)

    def _converge(self) -> None:
        """A daemon that cannot start is no reason not to serve; it is tried again as drift."""
        try:
            if self._router.knows_anything():
                self._router.converge()
        except HostError as error:
            log(f"not all is as the databags say: {error}")

    def _hear_signals(self) -> None:
        """Stop at the next turn; a signal also ends the wait, which python would go on with (PEP 475)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._signals, self._wakes = socket.socketpair()
        for end in (self._signals, self._wakes):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno())
        self._selector.register(self._signals, selectors.EVENT_READ, "signal")

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._stopping = True

    def _begin(self) -> None:
        """Finish what a process that died had claimed, then take what waits."""
        self._waiting = {claimed.name: claimed for claimed in self._intake.left_over()}
        self._found([BOOT])
        unconfirmed = Unconfirmed(self._settings)
        if states := unconfirmed.orphaned():
            self._work(hold=False)
            answer(Session(self._router, self._intake), "revert", {"states": states})
            unconfirmed.close()
        if self._settings.watch:
            self._found(self._intake.waiting(_SETTLED_FILE_S))
            self._scan_at = time.monotonic() + _SETTLED_FILE_S  # for those that are too young now
        self._work(hold=False)

    def _listen(self) -> None:
        path = Path(self._settings.run_dir, SOCKET)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        old = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(old)
        self._listener.listen(512)
        self._selector.register(self._listener, selectors.EVENT_READ, "listener")
        self._cache = Watch()
        if self._settings.watch:
            self._cache.add(self._settings.cache_dir, CLOSE_WRITE | MOVED_TO)
            self._selector.register(self._cache, selectors.EVENT_READ, "cache")

    # -- one turn -----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        look_at = self._drift.due if self._drift else None
        due = [look_at] if look_at else []
        due += [self._flush_at] if self._router.keeper.unsaved() else []
        due += [self._router.rests_until()] if self._held else []
        due += [self._scan_at] if self._scan_at else []
        timeout = max(0.0, min(due) - time.monotonic()) if due else self._service.every_s
        events = self._selector.select(timeout)
        while events:
            for key, _ in events:
                self._read(key)
            events = self._selector.select(0) if len(self._waiting) < _MOST_TOGETHER else []
        if self._scan_at and time.monotonic() >= self._scan_at:
            self._scan_at = None
            self._found(self._intake.waiting(_SETTLED_FILE_S))
        if self._waiting or (self._held and time.monotonic() >= self._router.rests_until()):
            self._work(hold=True)
        elif self._drift and look_at and time.monotonic() >= look_at:
            self._drift.look()
        if self._router.keeper.unsaved() and time.monotonic() >= self._flush_at:
            self._flush()
        self._service.alive()

    def _read(self, key: selectors.SelectorKey) -> None:
        if key.data == "listener":
            with contextlib.suppress(BlockingIOError):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._partial[connection] = b""
                self._selector.register(connection, selectors.EVENT_READ, "caller")
        elif key.data == "caller" and isinstance(key.fileobj, socket.socket):
            self._hear(key.fileobj)
        elif key.data == "signal":
            self._signals.recv(64)
        elif key.data == "cache":
            for directory, name in self._cache.events():
                self._found([name] if directory else self._intake.waiting(0))
        elif self._drift and key.data in KINDS:
            self._drift.hear(key)

    def _hear(self, caller: socket.socket) -> None:
        try:
            data = caller.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        request = self._partial[caller] + data
        if data and b"\n" not in request and len(request) < _LARGEST_REQUEST:
            self._partial[caller] = request
            return
        self._selector.unregister(caller)
        del self._partial[caller]
        words = request.partition(b"\n")[0].decode(errors="replace").split("\0")
        try:
            self._answer(caller, words)
        except Exception as error:  # a mistake of ours in one question must not stop the others
            log(unexpected(error))
            reply(caller, (1, f"vrouter agent: {unexpected(error)}"))

    def _answer(self, caller: socket.socket, words: list[str]) -> None:
        if words[0] == "update_config" and len(words) == 3:
            self._asked(caller, words[1], keep=words[2] != "delete")
        elif words[0] in VERBS and len(words) == 2:
            self._operator(caller, words[0], words[1])
        else:
            reply(caller, (1, NO_REQUEST))

    def _operator(self, caller: socket.socket, verb: str, text: str) -> None:
        """A question that is answered at once, after what waits."""
        self._work(hold=False)
        try:
            if self._drift:
                self._drift.agree()
            session = Session(self._router, self._intake, recent=self._recent)
            found = answer(session, verb, question(verb, text))
            if self._drift and verb not in READS:
                self._drift.step()
                self._drift.watch_daemons()
            reply(caller, (0, json.dumps(found)))
        except VrouterError as error:
            reply(caller, (1, str(error)))

    def _asked(self, caller: socket.socket, name: str, keep: bool) -> None:
        try:
            if name != BOOT:
                self._take(BOOT)
            self._take(name, keep)
        except VrouterError as error:
            reply(caller, (1, f"update_config: {error}"))
            return
        for place in (self._waiting, self._held):
            if name in place:
                self._callers.setdefault(name, []).append(caller)
                if not keep:
                    place[name] = self._intake.delete_later(place[name])
                return
        said = self._answers.get(name) or self._intake.earlier_answer(name)
        if not keep and said[0] == 0:
            self._flush()
            self._intake.forget(name)
        reply(caller, said)

    def _found(self, names: Iterable[str]) -> None:
        """Files that lie in the cache; those that cannot be taken stay there."""
        for name in filter(is_command, names):
            try:
                self._take(name)
            except VrouterError as error:
                log(str(error))

    def _take(self, name: str, keep: bool = True) -> None:
        if self._intake.is_pushed_again(name):
            self._work(hold=False)  # the first one is finished before it,
            self._flush()  # and archived
        claimed = self._intake.claim(name, keep)
        if claimed:
            self._waiting[name] = claimed

    # -- work ---------------------------------------------------------------------------------------------------------

    def _work(self, hold: bool) -> None:
        """Take what waits through the pipeline. hold: leave back what would disturb a daemon again within a second."""
        if not hold or time.monotonic() >= self._router.rests_until():
            self._waiting = self._held | self._waiting
            self._held = {}
        batch, self._waiting = self._waiting, {}
        if not batch:
            return
        if self._drift:
            self._drift.agree()
        if not self._router.keeper.unsaved():
            self._flush_at = time.monotonic() + _FLUSH_S
        outcomes = self._router.run(list(batch.values()), hold)
        self._held |= {name: claimed for name, claimed in batch.items() if claimed not in outcomes}
        for outcome in outcomes.values():
            self._recent.add(outcome)
            said = (1, file_text(outcome_json(outcome))) if outcome.faults else (0, "")
            self._answers[outcome.file] = said
            self._answers.move_to_end(outcome.file)
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
            for caller in self._callers.pop(outcome.file, ()):
                reply(caller, said)
            reached("answered")
            if outcome.faults:
                log(said[1])
            if self._drift and any(change.key[0] == "unit" for change in outcome.plan.changes):
                self._drift.watch_daemons()
        if self._drift:
            self._drift.step()

    def _flush(self) -> None:
        """Write what was deferred; a disk that takes nothing is tried again a second later."""
        self._flush_at = time.monotonic() + _FLUSH_S
        try:
            self._router.keeper.flush()
        except VrouterError as error:
            log(f"cannot save yet: {error}")
