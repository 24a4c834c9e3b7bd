"""Files that appear or change, by inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Collection, Iterator

from vrouter.errors import HostError

CLOSE_WRITE, MOVED_FROM, MOVED_TO, DELETE = 0x8, 0x40, 0x80, 0x200
_IGNORED = 0x8000
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 16


class Watch:
    """One inotify descriptor over some directories."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise HostError(f"cannot watch files: {os.strerror(ctypes.get_errno())}")
        self._paths: dict[int, str] = {}

    def fileno(self) -> int:
        """What to wait on."""
        return int(self.descriptor)

    def add(self, directory: str, events: int) -> bool:
        """Watch a directory; False where it is not there."""
        number = self._libc.inotify_add_watch(self.descriptor, os.fsencode(directory), events)
        if number >= 0:
            self._paths[number] = directory
        return bool(number >= 0)

    def directories(self) -> Collection[str]:
        """Those that are watched."""
        return self._paths.values()

    def events(self) -> Iterator[tuple[str, str]]:
        """Directory and name of everything that happened; an empty directory when events were lost, or one is gone."""
        while True:
            try:
                data = os.read(self.descriptor, _BUFFER)
            except BlockingIOError:
                return
            offset = 0
            while offset < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, offset)
                name = data[offset + _EVENT.size : offset + _EVENT.size + length].rstrip(b"\0")
                offset += _EVENT.size + length
                if mask & _IGNORED:  # the directory is gone
                    del self._paths[number]
                yield self._paths.get(number, ""), os.fsdecode(name)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)
