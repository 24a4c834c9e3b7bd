"""A topology as JSON and back, so that a later process knows what a lab was started from. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from vrouter.lab.topology import Nic, Node, Route, Service, Topology
from vrouter.model.values import HostName, Mac


def dumped(topology: Topology) -> dict[str, Any]:
    """What `loaded` reads."""
    return {
        "name": topology.name,
        "segments": list(topology.segments),
        "nodes": [_dumped_node(node) for node in topology.nodes],
    }


def loaded(tree: Any) -> Topology:
    """What `dumped` wrote. Raises ValueError, TypeError or LookupError for anything else."""
    return Topology(
        name=str(tree["name"]),
        segments=tuple(str(segment) for segment in tree["segments"]),
        nodes=tuple(_loaded_node(node) for node in tree["nodes"]),
    )


def _dumped_node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "hostname": node.hostname,
        "nics": [
            {"device": nic.device, "segment": nic.segment, "mac": nic.mac, "addresses": list(map(str, nic.addresses))}
            for nic in node.nics
        ],
        "routes": [[str(route.to), str(route.via)] for route in node.routes],
        "services": sorted(service.value for service in node.services),
        "forwards": node.forwards,
        "router": node.router,
        "names": [[name, str(address)] for name, address in node.names],
    }


def _loaded_node(tree: Any) -> Node:
    return Node(
        name=str(tree["name"]),
        hostname=HostName(tree["hostname"]),
        nics=tuple(
            Nic(
                device=str(nic["device"]),
                segment=str(nic["segment"]),
                mac=Mac(nic["mac"]),
                addresses=tuple(map(IPv4Interface, nic["addresses"])),
            )
            for nic in tree["nics"]
        ),
        routes=tuple(Route(to=IPv4Network(to), via=IPv4Address(via)) for to, via in tree["routes"]),
        services=frozenset(map(Service, tree["services"])),
        forwards=bool(tree["forwards"]),
        router=bool(tree["router"]),
        names=tuple((HostName(name), IPv4Address(address)) for name, address in tree["names"]),
    )
