"""Daemons: run by systemd on the appliance, by this module where no service manager runs (design 5)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from vrouter.errors import HostError
from vrouter.host import files, programs
from vrouter.model.resources import File, Key, Resource, Unit
from vrouter.model.settings import Settings

_UNITS = Path("/sys/fs/cgroup/system.slice")  # systemd.slice(5); asking systemctl would cost a process a command
_STOP_S = 5.0
_POLL_S = 0.005
_SEEN_ASLEEP, _REST_S = 3, 0.002


class Units:
    """The daemons of one router. A stamp file beside the pid says which configuration the process has read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run = Path(settings.run_dir) / "units"
        self._commands: Mapping[str, list[str]] = {
            "dnsmasq": [settings.dnsmasq, f"--conf-file={settings.dnsmasq_conf}"]
        }

    def _program(self, command: list[str]) -> str:
        return programs.run(command, self._settings.program_limit_s)

    def observe(self) -> dict[Key, Resource]:
        """The daemons that run, each with the stamp it was started with."""
        found: dict[Key, Resource] = {}
        for name in self._commands:
            pid = self.pid(name)
            stamp = files.read(str(self._run / f"{name}.stamp"))
            if pid and stamp and stamp.text.startswith(f"{pid} "):
                unit = Unit(name=name, stamp=stamp.text.split()[1])
                found[unit.key] = unit
        return found

    def pid(self, name: str) -> int | None:
        """The process, if it is alive and still the program; a zombie is dead (contract lab-notes)."""
        for pid in self._candidates(name):
            with contextlib.suppress(OSError, IndexError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if os.path.basename(command[0]).decode() == os.path.basename(self._commands[name][0]):
                    return pid
        return None

    def _candidates(self, name: str) -> list[int]:
        """Processes that may be it: those of the unit's control group under systemd, else the one of the pid file."""
        systemd = self._settings.supervisor == "systemd"
        path = _UNITS / f"{name}.service" / "cgroup.procs" if systemd else self._run / f"{name}.pid"
        with contextlib.suppress(OSError, ValueError):
            return [int(word) for word in path.read_text().split()]
        return []

    def watched(self) -> list[int]:
        """A pidfd for each daemon that runs: readable when it dies (pidfd_open(2))."""
        found = []
        for name in self._commands:
            with contextlib.suppress(ProcessLookupError):
                if pid := self.pid(name):
                    found.append(os.pidfd_open(pid))
        return found

    def check(self, name: str, config: str) -> None:
        """Have the program read a configuration. Raises HostError with its words."""
        self._program([self._commands[name][0], "--test", f"--conf-file={config}"])

    def start(self, unit: Unit) -> None:
        """Run the daemon with its present configuration, instead of the process that runs. Raises HostError."""
        name = unit.name
        if self._settings.supervisor == "systemd":
            self._program(["systemctl", "restart", f"{name}.service"])
        else:
            self.stop(unit)
            self._run.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._program([*self._commands[name], f"--pid-file={self._run / f'{name}.pid'}"])
        pid = self.pid(name)
        if not pid:
            raise HostError(f"{name} was started and is not running")
        files.write(File(path=str(self._run / f"{name}.stamp"), text=f"{pid} {unit.stamp}\n"))

    def stop(self, unit: Unit) -> None:
        """End the daemon, by force where it does not go. Raises HostError."""
        if self._settings.supervisor == "systemd":
            self._program(["systemctl", "stop", f"{unit.name}.service"])
            return
        pid = self.pid(unit.name)
        if not pid:
            return
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + _STOP_S
        while not _ended(pid):
            if time.monotonic() > end:
                self.kill(unit.name)
                return
            time.sleep(_POLL_S)

    def kill(self, name: str) -> None:
        """End a daemon that does not act any more. Raises HostError when not even that ends it."""
        pid = self.pid(name)
        if not pid:
            return
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + _STOP_S
        while not _ended(pid):
            if time.monotonic() > end:
                raise HostError(f"{name} (process {pid}) does not end, not even by SIGKILL")
            time.sleep(_POLL_S)

    def comes_to_rest(self, name: str, limit_s: float) -> bool:
        """Whether the daemon sleeps within the time. News wakes it before whoever made the news goes on, so one that
        sleeps in its loop has read all files that were written before."""
        end = time.monotonic() + limit_s
        seen = 0
        while seen < _SEEN_ASLEEP and time.monotonic() < end:
            pid = self.pid(name)
            if pid is None:
                return False
            seen = seen + 1 if _state(pid) == "S" else 0
            time.sleep(_REST_S)
        return seen == _SEEN_ASLEEP

    def is_stopped(self, name: str) -> bool:
        """Whether somebody has stopped the process (SIGSTOP), or traces it."""
        pid = self.pid(name)
        return pid is not None and _state(pid) in "Tt"

    def reload(self, name: str) -> None:
        """Have the daemon read its directories again; nothing when it does not run."""
        pid = self.pid(name)
        if pid:
            os.kill(pid, signal.SIGHUP)


def _ended(pid: int) -> bool:
    """Whether a process holds no socket any more: it is gone or a zombie. Its command line is empty before that."""
    return _state(pid) in "ZX"


def _state(pid: int) -> str:
    """One letter, as proc(5) says; X for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
