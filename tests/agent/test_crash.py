"""The agent dies by SIGKILL at every step: nothing is lost, nothing is done twice, whoever finishes it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.agent import kit
from tests.agent.commands import BROKEN, address, forward, forwards, host
from tests.system.kit import Document, Router, eventually
from vrouter.faults import POINTS

AT_START = POINTS[POINTS.index("checked") : POINTS.index("bag written")]
"""Where an agent also comes when it starts and makes the router what the bags say."""

DIES_AT = [f"{point}#2" if point in AT_START else point for point in POINTS]
Named = tuple[str, Document]


def commands(number: int) -> list[Named]:
    """Commands of several kinds that wait together; the order of the first two counts, one is refused."""
    port, guest = 20000 + number, 30 + number
    return [
        (f"forwarding_rules.json.{number}-1", forwards(forward(port, "10.1.1.11"))),
        (f"forwarding_rules.json.{number}-0", forwards(forward(port, "10.1.1.12"), forward(port + 1000))),
        (f"forwarding_rules.json.{number}-9", BROKEN),
        (f"vm_dhcp_entry.json.{number}-2", host(guest)),
        (f"vm_dhcp_entry.json.{number}-4", host(guest - 1, remove=True)),
        (f"ip_associations.json.{number}-3", address(guest)),
        (f"ip_associations.json.{number}-5", address(guest - 1, add=False)),
    ]


def given(reference: Router, named: Sequence[Named]) -> None:
    """The reference router gets the good ones, one by one."""
    reference.send(*(document for _, document in named if document is not BROKEN))


@pytest.fixture
def number(request: pytest.FixtureRequest) -> int:
    """A number of its own for each point."""
    place: int = 1 + DIES_AT.index(request.node.callspec.params["point"])
    return place


@pytest.mark.parametrize("point", DIES_AT)
def test_commands_that_waited_together_are_finished_by_the_next_agent(
    shared: Router, reference: Router, point: str, number: int
) -> None:
    named = commands(number)
    kit.restart(shared, fault=point)
    kit.push(shared, *named)
    assert kit.ended(shared), f"the agent did not die where it is {point}"
    assert kit.start(shared).returncode == 0, kit.log(shared)
    assert eventually(lambda: kit.settled(shared)), kit.listed(shared)
    given(reference, named)
    assert shared.state() == reference.state()
    processed, failed = kit.listed(shared, "processed"), kit.listed(shared, "failed")
    for name, document in named:
        done = [kept for kept in processed if kept.startswith(name)]
        assert done == ([] if document is BROKEN else [f"{name}.gz"]), "once each"
        assert (name in failed) == (document is BROKEN)


@pytest.mark.parametrize("point", DIES_AT)
def test_a_caller_whose_agent_dies_gets_the_right_answer(
    shared: Router, reference: Router, point: str, number: int
) -> None:
    """The thin client finishes the work itself, under the same lock."""
    good, bad = (f"f.json.{number}", forwards(forward(22000 + number))), (f"g.json.{number}", BROKEN)
    for name, document in (good, bad):
        kit.restart(shared, fault=point)
        done = shared.update_config(document, name)
        if document is BROKEN:
            assert done.returncode == 1 and "'tpc' is not" in done.stderr
        else:
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            assert kit.ended(shared), f"the agent did not die where it is {point}"
            assert f"{name}.gz" in kit.listed(shared, "processed") and kit.listed(shared, "claimed") == []
    kit.restart(shared)
    assert shared.run(kit.UPDATE, good[0]).returncode == 0
    given(reference, [good])
    assert shared.state() == reference.state()


@pytest.mark.parametrize("point", DIES_AT)
def test_a_command_that_is_not_to_be_kept_leaves_no_copy(
    shared: Router, reference: Router, point: str, number: int
) -> None:
    """Also where the watcher had taken it before the caller said so."""
    kit.restart(shared, fault=point)
    name, document = f"gone.json.{number}", forwards(forward(24000 + number))
    done = shared.update_config(document, name, "false")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    kit.restart(shared)
    assert 24000 + number in kit.ports(shared)
    left = [kept for place in ("", "claimed", "processed", "failed") for kept in kit.listed(shared, place)]
    assert not [kept for kept in left if kept.startswith("gone.json")]
    given(reference, [(name, document)])


@pytest.mark.parametrize("point", AT_START)
def test_an_agent_that_dies_while_it_repairs_is_followed_by_one_that_does(served: Router, point: str) -> None:
    before = served.state()
    kit.stop(served)
    served.sh("router", "nft", "flush", "table", "ip", "vrouter")
    served.sh("router", "rm", "/etc/dnsmasq.d/cloud.conf", "/var/lib/vrouter/dnsmasq/leases/10.1.1.11")
    served.sh("router", "ip", "address", "del", "192.0.2.11/24", "dev", "eth2")
    assert kit.start(served, fault=point).returncode == 1 and not kit.pid(served)
    assert kit.start(served).returncode == 0
    assert served.state() == before


@pytest.mark.parametrize("point", ["", "applied#2", "saved", "archived", "answered"])
def test_a_large_bag_that_is_not_written_yet(served: Router, point: str) -> None:
    """The claimed files are the journal (design 3); also where two of them were taken within a tick of the clock."""
    many = [forward(port, "10.1.1.11") for port in range(30000, 32100)]
    assert served.update_config(forwards(*many)).returncode == 0
    assert eventually(lambda: kit.settled(served))
    if point:
        kit.restart(served, fault=point)
    named = [
        (f"f.json.{n:02}", forwards(forward(33000, f"10.1.1.{11 + n % 2}"), forward(33001 + n)))
        for n in range(9, -1, -1)
    ]
    named += [("r.json.1", forwards(forward(33005, revoke=True))), ("a.json.1", forwards(forward(30000, revoke=True)))]
    kit.push(served, *named)
    assert served.update_config(forwards(forward(33100)), "last.json.1").returncode == 0
    kit.stop(served, "KILL")
    if not point:
        assert "last.json.1" in kit.listed(served, "claimed")
        bag = served.sh("router", "cat", "/etc/cloudstack/forwardingrules.json")
        assert "33100:33100" not in bag
    served.sh("router", "nft", "flush", "ruleset")
    assert kit.start(served).returncode == 0
    assert eventually(lambda: kit.settled(served))
    wanted = {33000, *range(33001, 33011), 33100} - {33005}
    assert {port for port in kit.ports(served) if port >= 33000} == wanted and 30000 not in kit.ports(served)
    found = [element for element in served.elements("forward_port") if element[0]["concat"][2] == 33000]
    assert len(found) == 1 and "10.1.1.11" in str(found), "the last command decides"
    bag = served.sh("router", "cat", "/etc/cloudstack/forwardingrules.json")
    assert "33100:33100" in bag and "33005:33005" not in bag
    names = kit.listed(served, "processed")
    assert all(f"{name}.gz" in names for name, _ in named)
