"""Commands that concern different things end in one state, whatever their order (design 4a)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import core
from tests.chance import examples
from tests.core import Core, Document
from tests.generators import DEVICES, GUESTS, MASK, NAMES, PORTS, PUBLIC, addresses, cmdlines, forward_rules, rules
from vrouter.model.machine import Machine

MACHINE = core.machine(DEVICES)
Documents = list[Document]


def state(on: Machine, documents: Sequence[Document]) -> tuple[Any, Any]:
    """Bags without the order of their lists, and resources."""
    found = Core(on)
    found.run(*documents)
    return _sorted(found.saved()), found.resources


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(item) for name, item in value.items()}
    return sorted(map(_sorted, value), key=json.dumps) if isinstance(value, list) else value


@st.composite
def independent(draw: st.DrawFn) -> tuple[Documents, Documents]:
    """Boot arguments first, and commands of which no two concern one thing; the same in another order."""
    made: Documents = []
    for place, public_ip in enumerate(PUBLIC):
        flagged = public_ip in (PUBLIC[0], PUBLIC[3])
        number = 2 if place < 3 else 3
        own = {"public_ip": public_ip, "source_nat": flagged, "add": True, "vif_mac_address": DEVICES[f"eth{number}"]}
        gateway = f"{public_ip.rpartition('.')[0]}.1"
        made.append(
            {
                "type": "ips",
                "ip_address": [draw(addresses) | own | {"gateway": gateway, "nw_type": "public", "mtu": 1500}],
            }
        )
    for place, guest in enumerate(GUESTS):
        host = {
            "host_name": draw(st.sampled_from(NAMES)),
            "default_gateway": draw(st.sampled_from(["0.0.0.0", "10.1.1.9"])),
        }
        made.append({"type": "dhcpentry", "mac_address": f"02:00:4c:01:00:{place:02x}", "ipv4_address": guest} | host)
    for id, rule in enumerate(draw(st.lists(rules, max_size=6))):
        made.append({"type": "firewallrules", "rules": [rule | {"id": id}]})
    taken = set()
    for rule in draw(st.lists(forward_rules, max_size=6)):
        port = (rule["source_ip_address"], rule["protocol"], rule["source_port_range"])
        if port not in taken and rule["source_ip_address"] != PUBLIC[0]:
            made.append({"type": "forwardrules", "rules": [rule]})
        taken.add(port)
    for public_ip in (PUBLIC[0], PUBLIC[3], PUBLIC[4]):
        rule = {"source_ip_address": public_ip, "destination_ip_address": draw(st.sampled_from(GUESTS[:2]))}
        made.append({"type": "staticnatrules", "rules": [rule]})
    for address in ("10.3.2.2", "10.3.1.2"):
        made.append({"type": "ipaliases", "aliases": [{"ip_address": address, "netmask": MASK}]})
    tier = {"router_guest_ip": "10.8.1.1", "router_guest_gateway": "10.8.1.1", "router_guest_netmask": MASK}
    made.append({"type": "guestnetwork", "device": "eth4", "mac_address": DEVICES["eth4"]} | tier)
    boot = draw(cmdlines)
    return [boot, *made], [boot, *draw(st.permutations(made))]


@examples(100)
@given(independent())
def test_the_order_of_independent_commands_does_not_count(orders: tuple[Documents, Documents]) -> None:
    assert state(MACHINE, orders[0]) == state(MACHINE, orders[1])


EXAMPLES = Path(__file__).parents[1] / "cases" / "isolated"


@examples(60)
@given(st.permutations(core.documents(EXAMPLES / "commands")))
@example(list(reversed(core.documents(EXAMPLES / "commands"))))
def test_the_isolated_example_in_any_order(order: Documents) -> None:
    on = core.machine(json.loads((EXAMPLES / "machine.json").read_text())["devices"])
    assert state(on, order) == state(on, core.documents(EXAMPLES / "commands"))


@pytest.mark.parametrize("ports", PORTS)
def test_of_two_forwards_that_overlap_the_order_does_not_count(ports: str) -> None:
    def forward(public: str, guest: str, cidrs: str) -> Document:
        rule = {
            "protocol": "tcp",
            "source_ip_address": PUBLIC[0],
            "source_port_range": public,
            "source_cidr_list": cidrs,
        }
        return {
            "type": "forwardrules",
            "rules": [rule | {"destination_ip_address": guest, "destination_port_range": public}],
        }

    for cidrs in ("", "203.0.113.0/24"):
        one, other = forward("80:90", GUESTS[0], ""), forward(ports, GUESTS[1], cidrs)
        assert state(MACHINE, [one, other]) == state(MACHINE, [other, one])
