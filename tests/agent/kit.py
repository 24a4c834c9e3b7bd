"""A lab's router with its agent: started, killed, watched."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.system.kit import Document, Router, eventually
from vrouter.lab.rootfs import CHECKOUT

CACHE = "/var/cache/cloud"
UPDATE = "/opt/cloud/bin/update_config.py"
LOG = "/var/log/vrouter-agent.log"
PUSHER = ("python3", "-S", f"{CHECKOUT}/tests/agent/pusher.py")
_ENDS_S = 15.0


def listed(router: Router, directory: str = "") -> list[str]:
    """The names in the cache directory, or in one of its own; none that begins with a dot."""
    return sorted(name for name in os.listdir(inside(router, f"{CACHE}/{directory}")) if not name.startswith("."))


def ports(router: Router) -> set[int]:
    """The public ports that single forwards have."""
    return {element[0]["concat"][2] for element in router.elements("forward_port")}


def pid(router: Router) -> int:
    """The agent's process as the router counts; 0 when none runs."""
    return next((inner for inner, _, argv in _daemons(router) if argv.endswith("-m vrouter agent")), 0)


def outer_pid(router: Router, program: str = "-m vrouter agent") -> int:
    """A process of the router as the machine counts: the agent, or that with a word in its command line."""
    return next(outer for _, outer, argv in _daemons(router) if program in argv)


def _daemons(router: Router) -> Iterator[tuple[int, int, str]]:
    """What its PID 1 has taken over: the process as the router and as the machine counts, and its command line."""
    box = router.lab.pid("router")
    for child in Path(f"/proc/{box}/task/{box}/children").read_text().split():
        with suppress(OSError):  # it ends
            argv = Path(f"/proc/{child}/cmdline").read_bytes().decode().strip("\0").replace("\0", " ")
            numbers = Path(f"/proc/{child}/status").read_text().partition("NSpid:")[2].splitlines()[0].split()
            yield int(numbers[-1]), int(child), argv


def ended(router: Router) -> bool:
    """Whether the agent is gone, or goes soon."""
    return bool(eventually(lambda: not pid(router), _ENDS_S))


def stop(router: Router, signal: str = "TERM") -> None:
    """End the agent, if one runs."""
    if number := pid(router):
        router.run("kill", f"-{signal}", str(number))
        assert ended(router), "the agent does not end"


def start(router: Router, *, launcher: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Start an agent; returns when it serves, or has died before that.

    launcher: Python that the agent's process runs before anything of vrouter's, and nobody else.
    """
    settings = [f"VROUTER_{name.upper()}={value}" for name, value in environment.items()]
    if launcher:
        text = f"import sys\nif sys.orig_argv[-2:] == ['vrouter', 'agent']:\n exec({launcher!r})\n"
        router.lab.put("router", "/tmp/launcher/sitecustomize.py", text.encode())
        settings.append("PYTHONPATH=/tmp/launcher")
    return router.run("env", *settings, "vrouter", "agent", "--background")


def restart(router: Router, *, launcher: str = "", **environment: str) -> None:
    """Another agent in place of the one that runs."""
    stop(router)
    done = start(router, launcher=launcher, **environment)
    assert done.returncode == 0 and pid(router), done.stderr + log(router)


def inside(router: Router, path: str) -> Path:
    """A file of the router as this process sees it, without starting another."""
    return Path(f"/proc/{router.lab.pid('router')}/root{path}")


def log(router: Router) -> str:
    """What the agents of this router have said."""
    return inside(router, LOG).read_text()


@contextmanager
def logged(router: Router) -> Iterator[list[str]]:
    """What the agent says while the block runs; the list is filled at its end."""
    before = len(log(router))
    lines: list[str] = []
    yield lines
    lines += log(router)[before:].splitlines()


def differences(one: Router, other: dict[str, Any]) -> dict[str, Any]:
    """The parts of a router's state that are not as in another state, each with both."""
    state = one.state()
    return {part: (state[part], other[part]) for part in state if state[part] != other[part]}


def settled(router: Router) -> bool:
    """Whether no command waits and none is claimed."""
    names = [name for name in listed(router) if name not in ("claimed", "failed", "processed")]
    return not names and not listed(router, "claimed")


def push(router: Router, *documents: tuple[str, Document]) -> None:
    """Drop named command files one right after the other, as one program that renames them into the cache."""
    script = (
        "import json,os,sys\n"
        "for name,document in json.load(sys.stdin):\n"
        f" path='{CACHE}/'+name\n"
        f" with open('{CACHE}/.pushed','w') as file: json.dump(document,file)\n"
        f" os.rename('{CACHE}/.pushed',path)\n"
    )
    done = router.lab.run("router", ["python3", "-c", script], stdin=json.dumps(documents).encode(), timeout_s=60)
    assert done.returncode == 0, done.stderr


def pushed(router: Router, documents: list[Document], clients: int, prefix: str) -> list[tuple[int, str]]:
    """The answers to documents that some clients push, in their order."""
    argv = (*PUSHER, str(clients), prefix)
    done = router.lab.run("router", argv, stdin=json.dumps(documents).encode(), timeout_s=200)
    assert done.returncode == 0, done.stderr
    return [(status, text) for status, text in json.loads(done.stdout)]


def within(probe: Callable[[], object], limit_s: float = 10.0) -> float:
    """Seconds until the probe is true; it looks as often as it can."""
    begin = time.monotonic()
    while not probe():
        assert time.monotonic() - begin < limit_s, "never"
        time.sleep(0.005)
    return time.monotonic() - begin


def resident_kib(number: int) -> int:
    """The memory of a process."""
    status = Path(f"/proc/{number}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def cpu_s(number: int) -> float:
    """The time that a process has run on a processor, its own and not what it waited for one (proc(5), schedstat)."""
    return (
        sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{number}/task").iterdir()) / 1e9
    )


def descriptors(number: int) -> int:
    """How many a process holds open."""
    return len(os.listdir(f"/proc/{number}/fd"))
