"""The databag `cmdline`: boot arguments (contract commands 4.1). Command `cmdline`, which also writes `ips`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from vrouter.contracts import Bag, Bags, Command
from vrouter.errors import Fault, Refused
from vrouter.model import addresses
from vrouter.model.addresses import AddressEntry
from vrouter.model.bag import Changes, Entries
from vrouter.model.intents import RouterFacts
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine
from vrouter.model.values import HostName

KEY = "config"
DEFAULT_DOMAIN = "cloudnine.internal"  # contract commands 7.1, K13
_ABSENT = ("", "null", "None")
_ROLES = {0: "guest", 1: "control", 2: "public"}  # NICs of the kind `router`, contract dataplane 1.1


@dataclass(frozen=True, slots=True)
class BootArguments:
    """All members of `cmd_line`, texts; absent, empty and the literal `null` are the same."""

    raw: JsonObject

    def get(self, member: str) -> str:
        value = self.raw.get(member)
        return value if isinstance(value, str) and value not in _ABSENT else ""

    def flag(self, member: str) -> bool:
        return self.get(member).lower() == "true"

    def address(self, member: str) -> IPv4Address | None:
        try:
            return IPv4Address(self.get(member))
        except ValueError:
            return None


def merge(document: JsonObject, bags: Bags, machine: Machine) -> Mapping[str, Changes]:
    """`cmdline.config` is replaced whole; each NIC with an address becomes an entry of `ips`.

    An address that `ips` knows better (its NAT flags, its MAC) is kept as it is, so that a repeat takes nothing away.
    Raises Refused for a router kind that waits for its issue, for a NIC address without its mask, and for
    one address on two NICs.
    """
    sent = document["cmd_line"]
    assert isinstance(sent, dict)  # the schema says so
    boot = BootArguments({**sent, "redundant_router": "true" if "redundant_router" in sent else "false"})
    faults = _unsupported(boot) + _incomplete(boot) + _repeated(boot)
    if faults:
        raise Refused(faults)
    elements = [(fields, True) for fields in _nics(boot) if not _known(bags["ips"], fields)]
    return {"cmdline": {KEY: boot}, "ips": addresses.placed(bags["ips"], elements, machine)}


def _unsupported(boot: BootArguments) -> list[Fault]:
    faults = []
    kind = boot.get("type")
    if kind != "router":
        faults.append(Fault("cmd_line.type", "", f"not supported yet: router kind {kind!r}"))
    if boot.flag("redundant_router"):
        faults.append(Fault("cmd_line.redundant_router", "", "not supported yet: redundant routers"))
    if boot.flag("is_routed"):
        faults.append(Fault("cmd_line.is_routed", "", "not supported yet: routed mode"))
    return faults


def _incomplete(boot: BootArguments) -> list[Fault]:
    return [
        Fault(f"cmd_line.eth{number}mask", "", f"the netmask of eth{number}ip is missing", "send a dotted mask")
        for number in _ROLES
        if boot.get(f"eth{number}ip") and not boot.get(f"eth{number}mask")
    ]


def _repeated(boot: BootArguments) -> list[Fault]:
    sent = [boot.get(f"eth{number}ip") for number in _ROLES]
    return [
        Fault(f"cmd_line.eth{number}ip", repr(address), "an address that no other NIC has")
        for number, address in enumerate(sent)
        if address and address in sent[:number]
    ]


def _nics(boot: BootArguments) -> Iterator[JsonObject]:
    for number, role in _ROLES.items():
        if boot.get(f"eth{number}ip"):
            yield {
                "public_ip": boot.get(f"eth{number}ip"), "netmask": boot.get(f"eth{number}mask"),
                "gateway": boot.get("gateway" if role == "public" else "localgw"), "nic_dev_id": str(number),
                "nw_type": role, "add": True, "source_nat": False, "one_to_one_nat": False,
            }  # fmt: skip


def _known(ips: Entries, fields: JsonObject) -> bool:
    entry = ips.get(str(fields["public_ip"]))
    same = ("netmask", "gateway")
    return (
        isinstance(entry, AddressEntry)
        and entry.nw_type == fields["nw_type"]
        and all((entry.raw.get(name) or "") == fields[name] for name in same)
    )


def desired(boot: BootArguments, _: Machine) -> Iterator[RouterFacts]:
    """The facts that other bags are read against. Members that cannot be read are as absent ones."""
    if boot.get("type") != "router":
        return
    resolvers = [boot.address(name) for name in ("internaldns1", "internaldns2", "dns1", "dns2")]
    offered = [boot.address(name) for name in ("dns1", "dns2")]
    mtus = [(device, boot.get(name)) for device, name in (("eth0", "privateMtu"), ("eth2", "publicMtu"))]
    yield RouterFacts(
        origin="cmdline",
        name=_name(boot.get("name")) or HostName("router"),
        domain=_name(boot.get("domain")) or HostName(DEFAULT_DOMAIN),
        resolvers=tuple(dict.fromkeys(address for address in resolvers if address)),
        offered=tuple(dict.fromkeys(address for address in offered if address)),
        search=tuple(name for text in boot.get("dnssearchorder").split(",") if (name := _name(text.strip()))),
        external_dns_only=boot.flag("useextdns"),
        expose_dns=boot.flag("exposedns"),
        check_source=not boot.flag("disable_rp_filter"),
        gateway=boot.address("gateway"),
        boot_public=boot.address("eth2ip"),
        local_gateway=boot.address("localgw"),
        management=tuple(network for text in boot.get("mgmtcidr").split(",") if (network := _network(text.strip()))),
        mtu=tuple((device, int(text)) for device, text in mtus if text.isdecimal()),
    )


def _name(text: str) -> HostName | None:
    try:
        return HostName(text)
    except ValueError:
        return None


def _network(text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None


def load(text: JsonObject) -> dict[str, BootArguments]:
    """The one entry `config`. Raises ValueError where it is not an object."""
    config = text.get(KEY)
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise ValueError("config is not an object")
    return {KEY: BootArguments(config)}


def dump(entries: Mapping[str, BootArguments]) -> JsonObject:
    """In the reference's shape, one member a line (contract commands 4.1, the last quirk)."""
    return {key: entry.raw for key, entry in entries.items()} | {"id": "cmdline"}


BAG = Bag(name="cmdline", entry=BootArguments, load=load, dump=dump, desired=desired)
COMMANDS = (Command(type="cmdline", bags=("cmdline", "ips"), merge=merge),)
