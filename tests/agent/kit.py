"""A lab's router with its agent: started, killed, watched; and commands to send."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.system.commands import public
from tests.system.kit import Document, Router, eventually, example

CACHE = "/var/cache/cloud"
UPDATE = "/opt/cloud/bin/update_config.py"
BROKEN: Document = {"type": "forwardrules", "rules": [{"protocol": "tpc"}]}
_ENDS_S = 15.0


def forward(port: int, guest: str = "10.1.1.12", revoke: bool = False, address: str = "192.0.2.10") -> dict[str, Any]:
    """One rule of `forwardrules`: a TCP port to a guest's port 80."""
    return {
        "revoke": revoke, "protocol": "tcp", "source_ip_address": address, "source_port_range": f"{port}:{port}",
        "destination_ip_address": guest, "destination_port_range": "80:80", "source_cidr_list": "",
    }  # fmt: skip


def forwards(*rules: Document) -> Document:
    """The command `forwardrules`."""
    return {"type": "forwardrules", "rules": list(rules)}


def host(number: int, **fields: object) -> Document:
    """The command `dhcpentry` for guest `number` of the guest network, from 20 on."""
    mac = f"02:00:4c:02:{number >> 8:02x}:{number & 255:02x}"
    named = {"host_name": f"vm{number}", "mac_address": mac, "ipv4_address": f"10.1.1.{number}"}
    return {**example("isolated/10-dhcpentry-web1"), **named, **fields}


def address(number: int, **fields: object) -> Document:
    """The command `ips` for one more address of the first public range."""
    return {"type": "ips", "ip_address": [public(f"192.0.2.{number}", **fields)]}


def listed(router: Router, directory: str = "") -> list[str]:
    """The names in the cache directory, or in one of its own."""
    return router.sh("router", "ls", f"{CACHE}/{directory}").split()


def ports(router: Router) -> set[int]:
    """The public ports that single forwards have."""
    return {element[0]["concat"][2] for element in router.elements("forward_port")}


def pid(router: Router) -> int:
    """The agent's process as the router counts; 0 when none runs."""
    found = router.sh("router", "pgrep", "-f", "--", "-m vrouter agent$", ok=False).split()
    return int(found[0]) if found else 0


def outer_pid(router: Router) -> int:
    """The agent's process as the machine counts."""
    inner, box = pid(router), router.lab.pid("router")
    children = subprocess.run(["pgrep", "-P", str(box)], capture_output=True, text=True, check=True).stdout.split()
    for child in children:
        with open(f"/proc/{child}/status") as status:
            if next(line for line in status if line.startswith("NSpid:")).split()[-1] == str(inner):
                return int(child)
    raise AssertionError("no agent runs")


def ended(router: Router) -> bool:
    """Whether the agent is gone, or goes soon."""
    return bool(eventually(lambda: not pid(router), _ENDS_S))


def stop(router: Router, signal: str = "TERM") -> None:
    """End the agent, if one runs."""
    if number := pid(router):
        router.run("kill", f"-{signal}", str(number))
        assert ended(router), "the agent does not end"


def start(router: Router, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start an agent; returns when it serves, or has died before that."""
    settings = [f"VROUTER_{name.upper()}={value}" for name, value in environment.items()]
    return router.run("env", *settings, "vrouter", "agent", "--background")


def restart(router: Router, **environment: str) -> None:
    """Another agent in place of the one that runs."""
    stop(router)
    done = start(router, **environment)
    assert done.returncode == 0 and pid(router), done.stderr + log(router)


def log(router: Router) -> str:
    """What the agents of this router have said."""
    return router.sh("router", "cat", "/var/log/vrouter-agent.log")


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
