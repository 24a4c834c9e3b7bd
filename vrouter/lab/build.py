"""Starts the boxes of a lab, wires them and starts what they run: many at a time, never all of a large lab."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from vrouter.lab import box, links, services
from vrouter.lab.topology import SWITCH, Node, Topology
from vrouter.model.values import HostName

AT_ONCE = max(8, 4 * (os.cpu_count() or 1))
"""Boxes or commands in flight: enough for the processors, few enough that none waits for its turn past its limit."""

_PORTS_AT_ONCE = 64  # of one `ip -batch`, which has a limit of time

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


class _Begun(Protocol):
    def finish(self) -> None: ...


def start(name: str, topology: Topology, directory: Path, agent: bool) -> dict[str, int]:
    """Start all boxes, then wire them and start their services. The process id of each node's PID 1.

    directory: of the lab. agent: start the routers' resident agents, too. Raises LabError.
    """
    switch = Node(name=SWITCH, hostname=HostName(SWITCH))
    nodes = (switch, *topology.nodes)
    started = _ahead(nodes, lambda node: box.Start(name, node, directory), lambda start: (start.node.name, start.pid()))
    pids = dict(started)
    links.Batch(SWITCH, pids[SWITCH], links.bridges(topology)).finish()
    wire(pids[SWITCH], topology.nodes, pids)
    routers = [node for node in topology.nodes if node.router and agent]
    _run(routers, lambda node: services.Launch(node.name, pids[node.name], services.AGENT))
    return {node.name: pids[node.name] for node in (*topology.nodes, switch)}


def wire(switch: int, nodes: Sequence[Node], pids: Mapping[str, int]) -> None:
    """Plug the nodes' NICs in and start what they run. switch: the PID 1 of the switch. Raises LabError.

    Servers need no links and the longest time, so they are started first.
    """
    servers = [(node, argv) for node in nodes for argv in services.servers(node)]
    _run(servers, lambda each: services.Launch(each[0].name, pids[each[0].name], each[1]))
    ports = [links.port(node.name, nic, pids[node.name]) for node in nodes for nic in node.nics]
    for place in range(0, len(ports), _PORTS_AT_ONCE):
        links.Batch(SWITCH, switch, ports[place : place + _PORTS_AT_ONCE]).finish()
    _run(nodes, lambda node: links.Batch(node.name, pids[node.name], links.configuration(node)))
    clients = [(node, argv) for node in nodes for argv in services.clients(node)]
    _run(clients, lambda each: services.Launch(each[0].name, pids[each[0].name], each[1]))


def _run(items: Iterable[T], begin: Callable[[T], _Begun]) -> None:
    deque(_ahead(items, begin, lambda begun: begun.finish()), maxlen=0)


def _ahead(items: Iterable[T], begin: Callable[[T], U], finish: Callable[[U], V]) -> Iterator[V]:
    """Begin some ahead of the one that is finished; what `finish` gives, in the order of the items."""
    begun: deque[U] = deque()
    for item in items:
        begun.append(begin(item))
        if len(begun) >= AT_ONCE:
            yield finish(begun.popleft())
    while begun:
        yield finish(begun.popleft())
