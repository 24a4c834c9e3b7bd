"""What would let a packet pass that does not, in a line for people. Pure; words for rules by what they say.

It explains the verdict and takes no part in it: a rule that is not known here is told by the sets it looked into.
"""

from __future__ import annotations

from ipaddress import IPv4Address, summarize_address_range

from vrouter.explain.packet import Packet
from vrouter.explain.walk import NO_RULE, Kernel, Walk

_MOST = 3  # rules that are named

_WORDS = {
    "FI-1 else nothing": "no ingress rule for {destination} {asked} from {source}",
    "FE-5": "no egress rule for {asked} from {source} to {destination}, and the network denies by default",
    "FE-2 block": "an egress rule blocks {asked} from {source} to {destination}; take it away to let it pass",
    "FI-8": "{destination} is no public address of this router, so nothing from outside may be sent to it",
    "RP-5": "{source} is of a guest network and cannot come from outside",
    "RP-3 strict": "the way back to {source} is not {device}; the boot argument disable_rp_filter=true lets it in",
    "PO-2": "nothing is forwarded to or from the control network",
    "PO-5": "conntrack knows no connection that it belongs to",
}
_POLICIES = {
    "input": "nothing translates {to}, and the router itself serves nothing there: add a port forward or static NAT",
    "forward": "nothing lets it from {device} to {out}: from outside only what a forward or static NAT translates, "
    "from guests only what leaves for a public network",
}


def hint(kernel: Kernel, packet: Packet, walk: Walk) -> str:
    """Empty where it passes, or where the last step says all there is to say."""
    if walk.verdict != "dropped":
        return ""
    last = walk.steps[-1]
    if last.rule == NO_RULE:
        words = _POLICIES.get(last.chain)
    else:
        words = next((text for start, text in _WORDS.items() if last.rule.startswith(start)), None)
    if words is None:
        return _missing(kernel, walk, last.chain)
    ends = walk.flow.ends
    asked = f"type {packet.icmp_type} code {packet.icmp_code}" if packet.protocol == "icmp" else packet.destination_port
    port = "" if packet.protocol == "icmp" else f":{ends.destination_port}"
    said = words.format(
        source=packet.source, destination=packet.destination, asked=f"{packet.protocol} {asked}",
        to=f"{packet.protocol} {ends.destination}{port}", device=packet.device, out=walk.flow.oif,
    )  # fmt: skip
    return said + (_elsewhere(kernel, walk, last.chain) if last.rule.startswith("FI-1") else "")


def _elsewhere(kernel: Kernel, walk: Walk, chain: str) -> str:
    """The rules that let the same in from other sources: one of them may be wrong."""
    keys = [(name, key) for _, name, key in kernel.policy.missed(chain, walk.flow)]
    found = [element for name, key in keys for element in kernel.policy.others(name, key)]
    if not found:
        return ""
    texts = [f"{_network(element.atoms[-1])} ({element.origin})" for element in found[:_MOST]]
    more = f" and {len(found) - _MOST} others" if len(found) > _MOST else ""
    return f"; it is let in only from {', '.join(texts)}{more}"


def _network(atom: str) -> str:
    """A range as networks, where it is one."""
    low, _, high = atom.partition("-")
    nets = list(summarize_address_range(IPv4Address(low), IPv4Address(high or low)))
    return str(nets[0]) if len(nets) == 1 else atom


def _missing(kernel: Kernel, walk: Walk, chain: str) -> str:
    """The sets in which an element would have let it pass."""
    wanted = [f"{' . '.join(key)} in {name}" for _, name, key in kernel.policy.missed(chain, walk.flow)]
    return f"it would pass with {' or '.join(wanted)}" if wanted else ""
