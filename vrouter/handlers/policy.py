"""The fixed part of the packet policy: chains, sets and maps. Everything that commands change is an element of these.

Names of rules are the identifiers of the data-plane contract. The order of walks is its section 13.
"""

from __future__ import annotations

from collections.abc import Iterator

from vrouter.contracts import Handler, whole
from vrouter.model.intents import Intents
from vrouter.model.machine import Machine
from vrouter.model.resources import Resource
from vrouter.model.table import Field, Helper, Hook, Match, NamedSet, Rule, Verdict, chain

ACCEPT, DROP, RETURN = Verdict("accept"), Verdict("drop"), Verdict("return")
PORT: tuple[Field, ...] = ("ip daddr", "meta l4proto", "th dport")
EGRESS_PORT: tuple[Field, ...] = ("meta l4proto", "th dport", "ip saddr", "ip daddr")
ICMP: tuple[Field, ...] = ("icmp type", "icmp code")
EGRESS_ICMP: tuple[Field, ...] = (*ICMP, "ip saddr", "ip daddr")
TRANSPORT = Match(("meta l4proto",), ("tcp", "udp"))
FROM_PUBLIC = Match(("iifname",), within="public_if")
TO_PUBLIC = Match(("oifname",), within="public_if")
FROM_GUEST = Match(("iifname",), within="guest_if")
NEW = Match(("ct state",), ("new",))
KNOWN = Match(("ct state",), ("established", "related"))
INVALID = Match(("ct state",), ("invalid",))
TO_OURS = Match(("ip daddr",), within="public_addr")

SETS = (
    NamedSet(name="control_if", types=("ifname",)),
    NamedSet(name="guest_if", types=("ifname",)),
    NamedSet(name="public_if", types=("ifname",), value=("mark",)),
    NamedSet(name="public_strict", types=("ifname",)),
    NamedSet(name="public_addr", types=("ipv4_addr",)),
    NamedSet(name="guest_net", types=("ipv4_addr",), interval=True),
    NamedSet(name="guest_from", types=("ifname", "ipv4_addr"), interval=True),
    NamedSet(name="guest_dns", types=("ifname", "ipv4_addr"), interval=True),
    NamedSet(name="dns_exposed", types=("ipv4_addr",)),
    NamedSet(name="ingress_port", types=("ipv4_addr", "inet_proto", "inet_service")),
    NamedSet(name="ingress_from", types=("ipv4_addr", "inet_proto", "inet_service", "ipv4_addr"), interval=True),
    NamedSet(name="ingress_range", types=("ipv4_addr", "inet_proto", "inet_service", "ipv4_addr"), interval=True),
    NamedSet(name="ingress_icmp", types=("ipv4_addr", "icmp_type", "icmp_code", "ipv4_addr"), interval=True),
    NamedSet(name="ingress_all", types=("ipv4_addr", "ipv4_addr"), interval=True),
    *(
        NamedSet(name=f"egress_{verdict}_{shape}", types=(*first, "ipv4_addr", "ipv4_addr"), interval=True)
        for verdict in ("block", "permit")
        for shape, first in (
            ("port", ("inet_proto", "inet_service")),
            ("range", ("inet_proto", "inet_service")),
            ("icmp", ("icmp_type", "icmp_code")),
            ("all", ()),
        )
    ),
    NamedSet(name="egress_open", types=("ifname",)),
    NamedSet(name="static_dnat", types=("ipv4_addr",), value=("ipv4_addr",)),
    NamedSet(name="static_snat", types=("ipv4_addr",), value=("ipv4_addr",)),
    NamedSet(name="static_mark", types=("ipv4_addr",), value=("mark",)),
    NamedSet(
        name="forward_port",
        types=("ipv4_addr", "inet_proto", "inet_service"),
        value=("ipv4_addr", "inet_service"),
    ),
    NamedSet(
        name="forward_from",
        types=("ipv4_addr", "inet_proto", "inet_service", "ipv4_addr"),
        value=("ipv4_addr", "inet_service"),
        interval=True,
    ),
    NamedSet(
        name="forward_range",
        types=("ipv4_addr", "inet_proto", "inet_service"),
        value=("ipv4_addr",),
        interval=True,
    ),
    NamedSet(
        name="forward_range_from",
        types=("ipv4_addr", "inet_proto", "inet_service", "ipv4_addr"),
        value=("ipv4_addr",),
        interval=True,
    ),
    NamedSet(name="hairpin", types=("ifname", "ifname"), value=("ipv4_addr",)),
    NamedSet(name="source_nat", types=("ifname",), value=("ipv4_addr",)),
)

PREROUTING = chain(
    "prerouting",
    Hook("filter", "prerouting", -150),
    Rule("RP-5 no guest's source from outside", (FROM_PUBLIC, Match(("ip saddr",), within="guest_net")), DROP),
    Rule("FI-8 only public addresses from outside",
         (FROM_PUBLIC, Match(("ip daddr",), within="public_addr", negated=True),
          Match(("ip daddr",), within="dns_exposed", negated=True)), DROP),
    Rule("RP-3 the check looks into the interface's table", (Match(("iifname",), within="public_strict"),),
         Verdict("set mark", by=("iifname",), map="public_if")),
    Rule("RP-3 strict reverse path",
         (Match(("iifname",), within="public_strict"), Match(("fib saddr . mark . iif oif",), ("missing",))), DROP),
    Rule("RP-3 the mark was for the check", (Match(("iifname",), within="public_strict"),),
         Verdict("set mark", value="0")),
    Rule("RT-3 mark of the interface", (FROM_PUBLIC, NEW), Verdict("set ct mark", by=("iifname",), map="public_if")),
    Rule("RT-5 mark of a static NAT guest", (FROM_GUEST, NEW),
         Verdict("set ct mark", by=("ip saddr",), map="static_mark")),
    Rule("RT-3 restore the mark", (FROM_GUEST, Match(("ct mark",), ("0",), negated=True)),
         Verdict("set mark", value="ct mark")),
    Rule("SN-8 FTP", (Match(("tcp dport",), ("21",)), NEW), Verdict("helper", value="ftp")),
    Rule("FI-2 firewall of the address", (Match(("iifname",), ("lo",), negated=True), NEW, TO_OURS),
         Verdict("goto", chain="ingress")),
)  # fmt: skip

INGRESS = chain(
    "ingress", None,
    Rule("FI-1 port", (Match(PORT, within="ingress_port"),), RETURN),
    Rule("FI-1 port, from", (Match((*PORT, "ip saddr"), within="ingress_from"),), RETURN),
    Rule("FI-1 ports, from", (Match((*PORT, "ip saddr"), within="ingress_range"),), RETURN),
    Rule("FI-1 ICMP, from", (Match(("ip daddr", *ICMP, "ip saddr"), within="ingress_icmp"),), RETURN),
    Rule("FI-1 any protocol, from", (Match(("ip daddr", "ip saddr"), within="ingress_all"),), RETURN),
    Rule("FI-1 else nothing", (), DROP),
)  # fmt: skip

DSTNAT = chain("dstnat", Hook("nat", "prerouting", -100), Rule("PF-1", (TO_OURS,), Verdict("goto", chain="translate")))
DSTNAT_OUTPUT = chain(
    "dstnat_output", Hook("nat", "output", -100), Rule("PF-6", (TO_OURS,), Verdict("goto", chain="translate"))
)
TRANSLATE = chain(
    "translate", None,
    Rule("ST-1 ST-5", (), Verdict("dnat", by=("ip daddr",), map="static_dnat")),
    Rule("PF-5 port, from", (TRANSPORT,), Verdict("dnat", by=(*PORT, "ip saddr"), map="forward_from", ports=True)),
    Rule("PF-1 port", (TRANSPORT,), Verdict("dnat", by=PORT, map="forward_port", ports=True)),
    Rule("PF-5 ports, from", (TRANSPORT,), Verdict("dnat", by=(*PORT, "ip saddr"), map="forward_range_from")),
    Rule("PF-4 ports", (TRANSPORT,), Verdict("dnat", by=PORT, map="forward_range")),
)  # fmt: skip

INPUT = chain(
    "input", Hook("filter", "input", 0, "drop"),
    Rule("loopback", (Match(("iifname",), ("lo",)),), ACCEPT),
    Rule("PO-5", (INVALID,), DROP),
    Rule("PO-3", (KNOWN,), ACCEPT),
    Rule("SSH on control", (Match(("iifname",), within="control_if"), Match(("tcp dport",), ("3922",)), NEW), ACCEPT),
    Rule("FI-5 ping", (Match(("meta l4proto",), ("icmp",)),), ACCEPT),
    Rule("DH-3 DHCP of guests", (FROM_GUEST, Match(("udp dport",), ("67",))), ACCEPT),
    Rule("DN-8 DNS of guests", (Match(("iifname", "ip saddr"), within="guest_dns"), Match(("udp dport",), ("53",))),
         ACCEPT),
    Rule("DN-8 DNS of guests", (Match(("iifname", "ip saddr"), within="guest_dns"), Match(("tcp dport",), ("53",))),
         ACCEPT),
    Rule("DN-8 exposed DNS", (Match(("ip daddr",), within="dns_exposed"), Match(("udp dport",), ("53",))), ACCEPT),
    Rule("DN-8 exposed DNS", (Match(("ip daddr",), within="dns_exposed"), Match(("tcp dport",), ("53",))), ACCEPT),
    Rule("guest services", (Match(("iifname", "ip saddr"), within="guest_from"),
                            Match(("tcp dport",), ("80", "443", "8080")), NEW), ACCEPT),
)  # fmt: skip

FORWARD = chain(
    "forward", Hook("filter", "forward", 0, "drop"),
    Rule("PO-2 control is apart", (Match(("iifname",), within="control_if"),), DROP),
    Rule("PO-2 control is apart", (Match(("oifname",), within="control_if"),), DROP),
    Rule("PO-5", (INVALID,), DROP),
    Rule("PO-3", (KNOWN,), ACCEPT),
    Rule("PF-9 translated to a guest",
         (FROM_PUBLIC, Match(("oifname",), within="guest_if"), Match(("ct status",), ("dnat",))), ACCEPT),
    Rule("HP-1 within a guest network", (Match(("iifname", "oifname"), within="hairpin"),), ACCEPT),
    Rule("FE-1", (FROM_GUEST, TO_PUBLIC), Verdict("goto", chain="egress")),
)  # fmt: skip

EGRESS = chain(
    "egress", None,
    *(
        Rule(f"FE-2 {verdict} {shape}", (Match(fields, within=f"egress_{verdict}_{shape}"),), then)
        for verdict, then in (("block", DROP), ("permit", ACCEPT))
        for shape, fields in (("port", EGRESS_PORT), ("range", EGRESS_PORT), ("icmp", EGRESS_ICMP),
                              ("all", EGRESS_PORT[2:]))
    ),
    Rule("FE-4 allowed by default", (Match(("iifname",), within="egress_open"),), ACCEPT),
    Rule("FE-5 denied by default", (), DROP),
)  # fmt: skip

SRCNAT = chain(
    "srcnat", Hook("nat", "postrouting", 100),
    Rule("ST-2", (TO_PUBLIC,), Verdict("snat", by=("ip saddr",), map="static_snat")),
    Rule("HP-1", (Match(("ct status",), ("dnat",)),), Verdict("snat", by=("iifname", "oifname"), map="hairpin")),
    Rule("SN-1 SN-7", (TO_PUBLIC, Match(("ip saddr",), within="guest_net")),
         Verdict("snat", by=("oifname",), map="source_nat")),
)  # fmt: skip

FIXED: tuple[Resource, ...] = (
    Helper(name="ftp", protocol="tcp"),
    *SETS,
    INGRESS, EGRESS, TRANSLATE, PREROUTING, DSTNAT, DSTNAT_OUTPUT, INPUT, FORWARD, SRCNAT,
)  # fmt: skip


def resources(_: Intents, __: Machine) -> Iterator[Resource]:
    """The same table whatever is wanted; without an element it lets nothing in or through."""
    yield from FIXED


HANDLER = Handler(name="policy", takes=(), scope=whole, resources=resources)
