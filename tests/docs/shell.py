"""A shell that stays open, so that directories, files and `$?` last from one example to the next."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import Any

_MARK = "-- this was the output of a command of the documentation, exit status"
_LIMIT_S = 60.0


class Shell:
    """Use one process of bash, with pipes as input and output."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self._process = process
        self._left = ""

    def run(self, command: str) -> tuple[int, str]:
        """Exit status, and what was printed on both outputs. Fails the test when it takes longer than a minute."""
        assert self._process.stdin is not None
        script = f'{{ {command}\n}} </dev/null 2>&1; s=$?; printf "\\n%s %s\\n" "{_MARK}" $s; (exit $s)\n'
        self._process.stdin.write(script.encode())
        self._process.stdin.flush()
        end = time.monotonic() + _LIMIT_S
        while f"{_MARK} " not in self._left or not self._left.endswith("\n"):
            self._left += self._read(command, end - time.monotonic())
        output, _, status = self._left.rpartition(f"\n{_MARK} ")
        self._left = ""
        return int(status), output

    def _read(self, command: str, limit_s: float) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, limit_s))
        assert ready, f"{command}: not done after {_LIMIT_S:g} s; it printed {self._left}"
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        assert data, f"{command}: the shell has ended; it printed {self._left}"
        return data.decode(errors="replace")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
