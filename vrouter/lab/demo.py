"""`vrouter lab demo`: the isolated example on a router of its own, proven with packets."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

from vrouter.answers import changes_text
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab

TOPOLOGY = "isolated"
NAME = "demo"
_SHOWN = 8  # plans up to this long are shown line by line
_GUESTS = {"guest1": ("web1", "10.1.1.11"), "guest2": ("web2", "10.1.1.12"), "guest3": ("db1", "10.1.1.13")}
_ONE_LINE_SERVER = (
    "import socket,sys\n"
    "s=socket.create_server(('',int(sys.argv[1])));print('up',flush=True)\n"
    "while True:\n c,a=s.accept();c.sendall((a[0]+'\\n').encode());c.close()\n"
)


@dataclass(frozen=True)
class Proof:
    """One claim of the example, what was seen in the lab, and whether that is what has to be."""

    claim: str
    seen: str
    holds: bool


def run(say: Callable[[str], None]) -> bool:
    """Start the lab, feed it, prove it, take it down. Whether every proof held. Raises LabError."""
    say("A cloud corner on this machine: one virtual router, three guests, a DNS server, hosts on two public ranges.\n")
    begin = time.monotonic()
    with Lab.up(TOPOLOGY, NAME) as lab:
        say(f"lab up after {time.monotonic() - begin:.1f} s: {' '.join(lab.nodes)}\n")
        say("The orchestrator's commands, one by one, as it sends them (update_config FILE):\n")
        _feed(lab, say)
        say("\nWhat the packets say:\n")
        proofs = list(_proofs(lab))
    width = max(len(proof.claim) for proof in proofs)
    for proof in proofs:
        say(f"  {'ok  ' if proof.holds else 'FAIL'}  {proof.claim:{width}}  {proof.seen}")
    good = sum(proof.holds for proof in proofs)
    say(f"\n{good} of {len(proofs)} proven; the lab is down, nothing of it is left.")
    return good == len(proofs)


def _feed(lab: Lab, say: Callable[[str], None]) -> None:
    for file in sorted((resources.files("vrouter.lab") / "files" / "isolated").iterdir(), key=lambda file: file.name):
        path = f"/root/{file.name}"  # the agent takes what it finds in the cache directory at once
        lab.put("router", path, file.read_bytes())
        planned = lab.run("router", ["vrouter", "plan", "--json", path])
        if planned.returncode not in (0, 2):
            raise LabError(f"{file.name} was refused: {planned.stderr or planned.stdout}")
        lab.run("router", ["cp", path, f"/var/cache/cloud/{file.name}"], check=True)
        begin = time.monotonic()
        lab.run("router", ["update_config", file.name], check=True)
        took_ms = (time.monotonic() - begin) * 1000
        changes = json.loads(planned.stdout)["changes"]
        kinds = Counter(change["kind"] for change in changes)
        plan = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing to change"
        say(f"  {file.name:32} {took_ms:5.0f} ms   {plan}")
        for line in changes_text(changes) if len(changes) <= _SHOWN else ():
            say(f"  {line}")


def _proofs(lab: Lab) -> Iterator[Proof]:
    yield from _guests(lab)
    yield _same("DNS: a name of the world", _out(lab, "guest2", "dig", "+short", "www.example.com"), "203.0.113.11")
    nothing = _out(lab, "guest2", "dig", "+short", "nobody.tenant1.example.com")
    yield _same("DNS: an unknown local name stays here", nothing, "")
    yield _same("source NAT: the address that the web host sees", _http(lab, "guest2", "203.0.113.11"), "192.0.2.10")
    yield _same("port forward on the second range, source kept", _http(lab, "public1", "198.51.100.10:8443"),
                "203.0.113.11")  # fmt: skip
    with _server(lab, "guest2", "22"):
        yield _same("port forward 2222 to 22, source kept", _line(lab, "public1", "192.0.2.10", "2222"), "203.0.113.11")
        refused = _line(lab, "public2", "192.0.2.10", "2222")
        yield _same("ingress denied: a source outside the rule's network", refused, "")
    yield _same("static NAT inwards, source kept", _http(lab, "public1", "192.0.2.11:443"), "203.0.113.11")
    yield _same(
        "static NAT outwards: the address that the host sees", _http(lab, "guest1", "203.0.113.11"), "192.0.2.11"
    )
    yield _same("hairpin: a guest reaches a guest by the public address", _http(lab, "guest2", "198.51.100.10:8443"),
                "10.1.1.1")  # fmt: skip
    yield _ping("ingress allowed: ping of the source NAT address", lab, "public1", "192.0.2.10", True)
    yield _ping("ingress denied: ping of an address without a rule", lab, "public1", "192.0.2.12", False)
    yield _ping("egress allowed: ping of a host outside", lab, "guest2", "203.0.113.11", True)
    with _server(lab, "public1", "8080"):
        yield _same("egress denied: a port without a rule", _line(lab, "guest2", "203.0.113.11", "8080"), "")


def _guests(lab: Lab) -> Iterator[Proof]:
    for node, (name, address) in _GUESTS.items():
        lab.run(node, ["dhcp-renew"])
        held = _out(lab, node, "ip", "-4", "-brief", "addr", "show", "eth0").split()[2:3]
        yield _same(f"DHCP: the lease of {name}", " ".join(held), f"{address}/24")
    for name, address in _GUESTS.values():
        yield _same(f"DNS: {name}", _out(lab, "guest1", "dig", "+short", name), address)
    back = _out(lab, "guest1", "dig", "+short", "-x", "10.1.1.12")
    yield _same("DNS: the name of 10.1.1.12", back, "web2.tenant1.example.com.")


@contextmanager
def _server(lab: Lab, node: str, port: str) -> Iterator[None]:
    """A TCP server that says the client's address."""
    process = lab.popen(node, ["python3", "-c", _ONE_LINE_SERVER, port], stdout=subprocess.PIPE)
    try:
        if process.stdout is None or not process.stdout.readline():
            raise LabError(f"{node}: cannot listen on TCP {port}")
        yield
    finally:
        process.kill()
        process.wait()


def _same(claim: str, seen: str, wanted: str) -> Proof:
    return Proof(claim, seen or "no answer", seen == wanted)


def _ping(claim: str, lab: Lab, node: str, address: str, wanted: bool) -> Proof:
    answered = lab.run(node, ["ping", "-c", "1", "-W", "1", address]).returncode == 0
    return Proof(claim, "answered" if answered else "no answer", answered == wanted)


def _http(lab: Lab, node: str, where: str) -> str:
    return _out(lab, node, "curl", "-s", "--max-time", "2", f"http://{where}/")


def _line(lab: Lab, node: str, address: str, port: str) -> str:
    return _out(lab, node, "nc", "-w", "2", address, port)


def _out(lab: Lab, node: str, *argv: str) -> str:
    return lab.run(node, argv).stdout.strip()
