"""What a service tells systemd: ready, alive, stopping (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket


class Service:
    """Silent where no service manager listens."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        watchdog_us = os.environ.get("WATCHDOG_USEC", "")
        self._watchdog = watchdog_us.isdecimal()
        self.every_s = (
            int(watchdog_us) / 2_000_000 if self._watchdog else None
        )  # half the limit, as sd_watchdog_enabled(3)

    def ready(self) -> None:
        """The router is as its bags say, and the socket listens."""
        self._say("READY=1")

    def alive(self) -> None:
        """A turn of the loop was made."""
        if self._watchdog:
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """No more requests."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if self._address:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.sendto(text.encode(), self._address)
