"""A lab as the judge of `explain`: packets are put on the router's wires, and what comes of them is compared.

The wires are the ports of the segments' bridges. Whoever a packet is sent on to has a MAC address that no node has, so
that nobody answers but this test.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from tests import core
from tests.core import Core
from tests.system import draws
from tests.system.kit import Router, example
from tests.system.packets import ACK, SYN, SYN_ACK, Seen, packet, read
from tests.system.rules import ETH4
from vrouter.errors import Refused
from vrouter.explain.answer import as_json, explain
from vrouter.explain.flow import Ends, flow_of
from vrouter.explain.packet import LOCAL, Packet
from vrouter.explain.text import explanation_text
from vrouter.explain.walk import Kernel, Walk
from vrouter.features import BAGS
from vrouter.lab.rootfs import CHECKOUT
from vrouter.lab.topology import SWITCH
from vrouter.model.resources import IpAddress

BASE = ("isolated/01-cmdline", "isolated/02-ips-source-nat", "isolated/03-ips-second-vlan")
NEIGHBOUR, SENDER = "02:00:4c:ee:00:99", "02:00:4c:ee:00:98"
FIRST_PORT = 20_000

Outcome = frozenset[tuple[str, str]]
"""Where a packet was seen, `local` or an interface, and its ends there."""


@dataclass
class Trial:
    """One packet that is sent, and what explain says of it."""

    packet: Packet
    device: str
    ends: Ends
    walk: Walk
    what: str = "new"
    data: dict[str, int] = field(default_factory=dict)

    def expected(self) -> Outcome:
        match self.walk.verdict:
            case "accepted":
                return frozenset({(self.walk.device, str(self.walk.flow.ends))})
            case "delivered":
                return frozenset({(LOCAL, str(self.walk.flow.ends))})
        return frozenset()


@dataclass(frozen=True)
class Difference:
    """What the kernel did with a packet, and what explain says it does."""

    trial: Trial
    found: Outcome
    explanation: str

    @property
    def packet(self) -> Packet:
        """The first one of its connection."""
        return self.trial.packet

    def __str__(self) -> str:
        kernel, said = (
            ", ".join(f"{device}: {ends}" for device, ends in sorted(outcome)) or "nothing"
            for outcome in (self.found, self.trial.expected())
        )
        sent = f"{self.trial.what} packet in {self.trial.device}, {self.trial.ends}"
        return f"{sent}: the kernel sends {kernel}; explain says {said}\n{self.explanation}"


class Judge:
    """A lab's router in its base state, and the two programs that send and see."""

    def __init__(self, router: Router, wire: subprocess.Popen[bytes], own: subprocess.Popen[bytes]) -> None:
        self._router, self._wire, self._own = router, wire, own
        nics = next(node for node in router.lab.topology.nodes if node.name == "router").nics
        self._macs = {nic.device: str(nic.mac) for nic in nics} | {"eth4": ETH4}
        base = Core(core.machine(self._macs))
        base.run(*map(example, BASE))
        self._machine, self._saved = base.machine, base.saved()
        self._bags = router.files("/etc/cloudstack")
        self._tag = 0
        self.configured: Sequence[draws.Command] = []
        self.packets, self.passed, self.bags = 0, 0, 0
        self.forwarded, self.hidden = 0, 0

    # -- the router ---------------------------------------------------------------------------------------------------

    def configure(self, commands: Sequence[draws.Command]) -> Core:
        """The base state and these commands, in the router and in a core of its own. Refused ones are left out."""
        wanted = Core(self._machine, self._saved)
        taken = []
        for command in commands:
            try:
                wanted.run(command)
                taken.append(command)
            except Refused:
                continue
        files = {f"/tmp/c{place:03d}.json": json.dumps(command) for place, command in enumerate(taken)}
        gone = [path for path in (f"/etc/cloudstack/{name}.json" for name in BAGS) if path not in self._bags]
        self._ask(write=self._bags | files, remove=gone)
        done = self._router.run("vrouter", *(("apply", "--json", *files) if files else ("converge",)))
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        self._ask(run=[(["ip", "-force", "-batch", "-"], self._neighbours()), (["conntrack", "-F"], "")])
        self.bags += 1
        self.configured = commands
        return wanted

    @staticmethod
    def _neighbours() -> str:
        found = dict.fromkeys((*draws.GUESTS[:4], "10.1.1.200"), "eth0") | {draws.GUESTS[4]: "eth4"}
        found |= {"192.0.2.1": "eth2", "192.0.2.53": "eth2", "192.0.2.0": "eth2", "169.254.0.1": "eth1"}
        found |= {"198.51.100.1": "eth3", "198.51.100.12": "eth3"}
        found |= {address: "eth2" if address.startswith("192") else "eth3" for address in draws.PUBLIC}
        return "".join(
            f"neigh replace {address} lladdr {NEIGHBOUR} dev {device} nud permanent\n"
            for address, device in found.items()
        )

    # -- packets ------------------------------------------------------------------------------------------------------

    def judge(self, wanted: Core, packets: Sequence[Packet]) -> Difference | None:
        """Send packets as the first ones of their connections, then the answers to those that pass, then one more of
        each. The first difference; None where both agree on all.

        Left out are packets of the router itself from others' addresses, and those in an interface on which nothing is
        wanted: it may be up from before.
        """
        kernel = Kernel(wanted.resources)
        own = {address.address for address in wanted.resources.values() if isinstance(address, IpAddress)}
        sent = [
            one for one in packets if (one.source in own if one.device == LOCAL else one.device in kernel.fib.links)
        ]
        first = [self._first(kernel, place, packet) for place, packet in enumerate(sent)]
        if differs := self._differs(wanted, first):
            return differs
        answers = [(one, answer) for one in first if (answer := self._answer(kernel, one))]
        if differs := self._differs(wanted, [answer for _, answer in answers]):
            return differs
        return self._differs(wanted, [self._again(kernel, one) for one, answer in answers if answer.walk.passes])

    def _first(self, kernel: Kernel, place: int, asked: Packet) -> Trial:
        asked = replace(asked, source_port=FIRST_PORT + place)
        walk = kernel.first(asked)
        return Trial(asked, asked.device, flow_of(asked).ends, walk, data={"flags": SYN, "seq": 1000})

    @staticmethod
    def _answer(kernel: Kernel, one: Trial) -> Trial | None:
        walk = kernel.answer(one.packet, one.walk)
        connection = one.walk.flow.connection
        if walk is None or connection is None:
            return None
        data = {"flags": SYN_ACK, "seq": 5000, "ack": 1001}
        return Trial(one.packet, one.walk.device, connection.reply, walk, "answer", data)

    @staticmethod
    def _again(kernel: Kernel, one: Trial) -> Trial:
        walk = kernel.next(replace(one.packet, state="established"), one.walk.flow.connection)
        return Trial(one.packet, one.device, one.ends, walk, "established", {"flags": ACK, "seq": 1009, "ack": 5009})

    def _differs(self, wanted: Core, trials: Sequence[Trial]) -> Difference | None:
        if not trials:
            return None
        seen = self._send(trials)
        self.packets += len(trials)
        passed = [trial for trial in trials if trial.walk.passes]
        self.passed += len(passed)
        self.forwarded += sum(trial.ends[2:] != trial.walk.flow.ends[2:] for trial in passed)
        self.hidden += sum(trial.ends[:2] != trial.walk.flow.ends[:2] for trial in passed)
        for trial, found in zip(trials, seen, strict=True):
            if found != trial.expected():
                explanation = explanation_text(as_json(explain(Kernel(wanted.resources), trial.packet)))
                return Difference(trial, found, explanation)
        return None

    def _send(self, trials: Sequence[Trial]) -> list[Outcome]:
        tags = {self._tag + 1 + place: place for place in range(len(trials))}
        frames, own = [], []
        for tag, place in tags.items():
            trial = trials[place]
            data = self._bytes(trial, tag)
            if trial.device == LOCAL:
                own.append((str(trial.ends.source), data.hex()))
            else:
                frames.append((f"router-{trial.device}", self._frame(trial.device, data)))
        self._tag += len(trials) + 1
        guest, gateway = IPv4Address("10.1.1.13"), IPv4Address("10.1.1.1")
        fence = packet("icmp", Ends(guest, 0, gateway, 0), self._tag, id=self._tag & 0xFFFF)
        frames.append(("router-eth0", self._frame("eth0", fence)))
        local = self._ask(send=own)
        out = self._line(self._wire, frames)
        local += self._ask()
        found: list[set[tuple[str, str]]] = [set() for _ in trials]
        where = [(LOCAL, data) for data in local] + [(port.removeprefix("router-"), data) for port, data in out]
        for device, data in where:
            seen = read(bytes.fromhex(data))
            if seen and seen.tag in tags and self._is(trials[tags[seen.tag]], seen):
                found[tags[seen.tag]].add((device, str(seen.ends)))
        return [frozenset(outcomes) for outcomes in found]

    @staticmethod
    def _is(trial: Trial, seen: Seen) -> bool:
        """Not the router's own echo of what it was sent."""
        return seen.protocol != "icmp" or seen.kind == trial.walk.flow.icmp_type

    @staticmethod
    def _bytes(trial: Trial, tag: int) -> bytes:
        flow = trial.walk.flow
        return packet(
            flow.protocol, trial.ends, tag, kind=flow.icmp_type, code=flow.icmp_code,
            id=trial.packet.source_port, **trial.data,
        )  # fmt: skip

    def _frame(self, device: str, data: bytes) -> str:
        return f"{self._macs[device]}{SENDER}".replace(":", "") + "0800" + data.hex()

    def _ask(self, **asked: Any) -> list[str]:
        found: list[str] = self._line(self._own, asked)
        return found

    @staticmethod
    def _line(process: subprocess.Popen[bytes], asked: object) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "the program in the lab has ended"
        return json.loads(line)


@contextmanager
def judging(router: Router) -> Iterator[Judge]:
    """A judge over a fresh router."""
    router.lab.add_link("router", "eth4", "internet", ETH4)
    router.send(*map(example, BASE))
    peer = ("python3", "-S", f"{CHECKOUT}/tests/system/oracle_peer.py")
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        started = []
        for node, argv in (
            (SWITCH, ("wire", *(f"router-{device}" for device in draws.DEVICES))),
            ("router", ("router",)),
        ):
            process = router.lab.popen(node, (*peer, *argv), stdin=pipe, stdout=pipe)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            started.append(process)
        yield Judge(router, *started)
