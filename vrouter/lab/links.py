"""Wires boxes: the text of `ip -batch` for bridges, ports, addresses and routes, and its run in a box's namespace.

Ports of a bridge are one end of a veth pair, named NODE-DEVICE; the other end is created right in the node, so that no
link ever exists outside the boxes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from vrouter.lab.errors import LabError
from vrouter.lab.rootfs import ENVIRONMENT
from vrouter.lab.topology import Nic, Node, Topology

IP_S = 20.0
"""Seconds one batch may take; it takes some milliseconds."""

_PORT_LENGTH = 15  # IFNAMSIZ - 1


def bridges(topology: Topology) -> Iterator[str]:
    """One bridge per segment. It forwards at once and passes multicast to every port."""
    yield "link set lo up"
    for segment in topology.segments:
        yield f"link add {segment} up type bridge stp_state 0 forward_delay 0 mcast_snooping 0"


def port(node: str, nic: Nic, pid: int) -> str:
    """A port of the NIC's segment that is up, and the NIC in the node's namespace, down.

    pid: the PID 1 of the node. Raises LabError for names that are too long together.
    """
    name = port_name(node, nic)
    if len(name) > _PORT_LENGTH:
        raise LabError(f"the port name {name} has more than {_PORT_LENGTH} characters")
    peer = f"peer name {nic.device} address {nic.mac} netns /proc/{pid}/ns/net"
    return f"link add {name} master {nic.segment} up type veth {peer}"


def port_name(node: str, nic: Nic) -> str:
    """Of the link in the switch."""
    return f"{node}-{nic.device}"


def configuration(node: Node) -> Iterator[str]:
    """Links up, addresses, routes; of a router nothing but the loopback: the rest is what is to be tested."""
    yield "link set lo up"
    if node.router:
        return
    for nic in node.nics:
        yield f"link set {nic.device} up"
        for address in nic.addresses:
            yield f"addr add {address} brd + dev {nic.device}"
    for route in node.routes:
        yield f"route add {route.to} via {route.via}"


class Batch:
    """`ip -batch` in the network namespace of a box, started; `finish` waits. Several run at the same time."""

    def __init__(self, node: str, pid: int, lines: Iterator[str] | list[str]) -> None:
        """pid: the PID 1 of the node."""
        self._node = node
        self._process = subprocess.Popen(
            ["nsenter", "-t", str(pid), "--net", "--", "ip", "-batch", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(ENVIRONMENT),
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it ended with a message that `finish` reads
        self._process.stdin = None

    def finish(self) -> None:
        """Raises LabError with the message of `ip` when a line failed."""
        try:
            _, errors = self._process.communicate(timeout=IP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise LabError(f"ip did not answer in node {self._node} within {IP_S:g} s") from None
        if self._process.returncode != 0:
            raise LabError(f"cannot wire node {self._node}: ip: {errors.decode(errors='replace').strip()}")
