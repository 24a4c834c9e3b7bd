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
from pathlib import Path
from types import FrameType

from vrouter.agent.client import SOCKET
from vrouter.agent.drift import KINDS, Drift, log
from vrouter.agent.questions import NO_REQUEST, question, reply
from vrouter.agent.queue import Queue
from vrouter.agent.sdnotify import Service
from vrouter.closed import close
from vrouter.command import READS, REGISTRY, VERBS, Session, answer
from vrouter.errors import BagError, HostError, VrouterError, unexpected
from vrouter.host.host import Host
from vrouter.host.notify import Notifications
from vrouter.host.watch import CLOSE_WRITE, MOVED_TO, Watch
from vrouter.intake import BOOT, Intake
from vrouter.model.settings import Settings
from vrouter.past.confirm import Unconfirmed
from vrouter.pipeline import Router
from vrouter.records import Recent

_LARGEST_REQUEST = 128 * 1024 * 1024  # an operator's files, escaped
_READ = 1 << 16
_SETTLED_FILE_S = 1.0  # a file that lies in the cache at start and is not being written any more


class Agent:
    """One router's agent. Use `run`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._intake = Intake(settings)
        self._selector = selectors.DefaultSelector()
        self._recent = Recent()
        self._partial: dict[socket.socket, bytes] = {}
        self._stopping = False
        self._scan_at: float | None = None
        self._service = Service()

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
            self._queue.drift = self._drift
            self._listen()
            self._service.ready()
            while not self._stopping:
                self._turn()
            self._service.stopping()
            self._queue.close()
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
        self._queue = Queue(self._intake, self._router, self._recent)
        self._queue.found([BOOT])
        unconfirmed = Unconfirmed(self._settings)
        if states := unconfirmed.orphaned():
            self._queue.work()
            answer(Session(self._router, self._intake), "revert", {"states": states})
            unconfirmed.close()
        if self._settings.watch:
            self._queue.found(self._intake.waiting(_SETTLED_FILE_S))
            self._scan_at = time.monotonic() + _SETTLED_FILE_S  # for those that are too young now
        self._queue.work()

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
        look_at = self._drift.due
        due = [*self._queue.due(), *(moment for moment in (look_at, self._scan_at) if moment)]
        timeout = max(0.0, min(due) - time.monotonic()) if due else self._service.every_s
        events = self._selector.select(timeout)
        while events:
            for key, _ in events:
                self._read(key)
            events = [] if self._queue.is_full() else self._selector.select(0)
        if self._scan_at and time.monotonic() >= self._scan_at:
            self._scan_at = None
            self._queue.found(self._intake.waiting(_SETTLED_FILE_S))
        if not self._queue.turn() and look_at and time.monotonic() >= look_at:
            self._drift.look()
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
                self._queue.found([name] if directory else self._intake.waiting(0))
        elif key.data in KINDS:
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
            self._queue.asked(caller, words[1], keep=words[2] != "delete")
        elif words[0] in VERBS and len(words) == 2:
            self._operator(caller, words[0], words[1])
        else:
            reply(caller, (1, NO_REQUEST))

    def _operator(self, caller: socket.socket, verb: str, text: str) -> None:
        """A question that is answered at once, after what waits."""
        self._queue.work()
        try:
            self._drift.agree()
            session = Session(self._router, self._intake, recent=self._recent)
            found = answer(session, verb, question(verb, text))
            if verb not in READS:
                self._drift.step()
                self._drift.watch_daemons()
            reply(caller, (0, json.dumps(found)))
        except VrouterError as error:
            reply(caller, (1, str(error)))
