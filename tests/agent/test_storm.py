"""Many callers at once, many commands one after the other: all answered rightly, nothing grows."""

from __future__ import annotations

import time

import pytest

from tests.agent import kit
from tests.agent.commands import BROKEN, address, forward, forwards, host
from tests.system.commands import egress, ingress, static_nat
from tests.system.kit import Document, Router, eventually
from vrouter.lab.rootfs import CHECKOUT

PUSHER = ("python3", "-S", f"{CHECKOUT}/tests/agent/pusher.py")
CLIENTS, COMMANDS = 50, 2000
TORN: Document = {"type": "dhcpentry", "mac_address": "nonsense", "ipv4_address": "10.1.1.300"}


def mixed(number: int) -> Document:
    """Commands that do not depend on each other's order; every tenth is broken."""
    if number % 10 == 9:
        return BROKEN if number % 20 == 9 else TORN
    if number % 10 < 5:
        return forwards(forward(20000 + number, f"10.1.1.{11 + number % 3}"))
    if number % 10 == 5:
        return host(20 + number // 10)
    if number % 10 == 6:
        return egress(90000 + number, "tcp", 1000 + number)
    if number % 10 == 7:
        return ingress(80000 + number, "192.0.2.11", "tcp", 2000 + number)
    return (
        static_nat(f"192.0.2.{20 + number // 10}", f"10.1.1.{20 + number // 10}")
        if number % 40 == 8
        else address(20 + number // 10)
    )


def test_fifty_callers_push_two_thousand_commands(served: Router, reference: Router) -> None:
    documents = [mixed(number) for number in range(COMMANDS)]
    agent = kit.outer_pid(served)
    reloads = log_of_dnsmasq(served)
    begin = time.monotonic()
    answers = kit.pushed(served, documents, CLIENTS, "storm")
    took = time.monotonic() - begin
    for number, (status, text) in enumerate(answers):
        if documents[number] is BROKEN:
            assert status == 1 and f"storm.json.{number} refused" in text and "'tpc' is not" in text
        elif documents[number] is TORN:
            assert status == 1 and "nonsense" in text and "10.1.1.300" in text
        else:
            assert (status, text) == (0, ""), (number, documents[number])
    assert eventually(lambda: kit.settled(served))
    assert kit.outer_pid(served) == agent and kit.descriptors(agent) < 40
    reference.send(*(document for document in documents if document not in (BROKEN, TORN)))
    assert served.state() == reference.state()
    told = log_of_dnsmasq(served) - reloads
    print(f"\n{COMMANDS} commands in {took:.1f} s, {told} reads of dnsmasq, {kit.resident_kib(agent)} KiB")
    assert told <= took + 2, "more than one reload a second"
    assert took < 120 and kit.resident_kib(agent) < 120 * 1024


def log_of_dnsmasq(router: Router) -> int:
    """How often the daemon has read its directories anew."""
    return int(router.sh("router", "sh", "-c", "grep -c 'cleared cache' /var/log/dnsmasq.log || true") or 0)


def test_guests_that_change_share_reloads(served: Router) -> None:
    """A changed MAC waits until the daemon has read it; those that wait together need one reload."""
    served.send(*(host(number) for number in range(20, 120)))
    before = log_of_dnsmasq(served)
    daemon = served.pid()
    begin = time.monotonic()
    moves = [host(number, mac_address=f"02:00:4c:03:00:{number:02x}") for number in range(20, 120)]
    assert set(map(tuple, kit.pushed(served, moves, 20, "move"))) == {(0, "")}
    took = time.monotonic() - begin
    reads = log_of_dnsmasq(served) - before
    print(f"\n{reads} reloads in {took:.1f} s")
    assert reads <= took + 1, "at most one a second"
    assert served.pid() == daemon


LEASES = "/var/lib/misc/dnsmasq.leases"


def leased(router: Router) -> set[str]:
    """The addresses in the daemon's lease file, which it may be writing."""
    lines = [line.split() for line in router.sh("router", "cat", LEASES).splitlines()]
    return {words[2] for words in lines if len(words) > 2}


@pytest.mark.parametrize("count", [60, 200])
def test_guests_that_go_together_leave_no_lease(served: Router, count: int) -> None:
    """DH-10. Few are told to the daemon; for many it is started anew."""
    guests = [host(number) for number in range(20, 20 + count)]
    addresses = {str(guest["ipv4_address"]) for guest in guests}
    served.send(*guests)
    given = [f"0 {guest['mac_address']} {guest['ipv4_address']} {guest['host_name']} *\n" for guest in guests]
    served.lab.put("router", LEASES, "".join(given).encode(), 0o644)
    served.sh("router", "kill", "-KILL", str(served.pid()))  # the next one begins with these leases
    assert eventually(lambda: bool(served.dig("guest1", "@10.1.1.1", str(guests[0]["host_name"]))))
    assert eventually(lambda: addresses <= leased(served))
    kit.push(served, *((f"gone.json.{n}", {**guest, "remove": True}) for n, guest in enumerate(guests)))
    assert eventually(lambda: kit.settled(served), 60)
    assert not leased(served) & addresses


def test_a_thousand_files_dropped_at_once(served: Router) -> None:
    named = [(f"drop.json.{number}", forwards(forward(20000 + number))) for number in range(1000)]
    begin = time.monotonic()
    kit.push(served, *named)
    assert eventually(lambda: kit.settled(served), 60)
    took = time.monotonic() - begin
    kept = kit.listed(served, "processed")
    assert all(f"{name}.gz" in kept for name, _ in named)
    print(f"\n1000 files in {took:.1f} s")
    assert took < 30  # 5 on a machine that does nothing else


PAIR = [forwards(forward(21000)), forwards(forward(21000, revoke=True))]
MOVED = {"mac_address": "02:00:4c:03:00:60"}
CYCLE: list[Document] = [*PAIR * 4, BROKEN, forwards(forward(21001)), *PAIR * 3, host(60), forwards(forward(20999)),
                         address(60), forwards(forward(20999, revoke=True))]  # fmt: skip
TOGETHER = 1000


def fed(router: Router, count: int, prefix: str) -> None:
    """Commands of all kinds: every tenth through the socket, the others dropped as files, many at once."""
    asked = count // 10
    kit.pushed(router, [CYCLE[number % len(CYCLE)] for number in range(asked)], 8, f"{prefix}-asked")
    for first in range(asked, count, TOGETHER):
        numbers = range(first, min(first + TOGETHER, count))
        kit.push(router, *((f"{prefix}.json.{number}", CYCLE[number % len(CYCLE)]) for number in numbers))
        assert eventually(lambda: kit.settled(router), 30)


def test_memory_does_not_grow(served: Router) -> None:
    """All answers that are remembered are there after the first 5 000 commands."""
    agent = kit.outer_pid(served)
    fed(served, 5_000, "warm")
    before, files, begin, begin_cpu = (
        kit.resident_kib(agent), kit.descriptors(agent), time.monotonic(), kit.cpu_s(agent),
    )  # fmt: skip
    fed(served, 20_000, "more")
    took, cpu, after = time.monotonic() - begin, kit.cpu_s(agent) - begin_cpu, kit.resident_kib(agent)
    print(f"\n{before} KiB, then {after} KiB; 20 000 commands in {took:.1f} s, {cpu:.1f} s of a processor")
    assert after - before < 3072, (
        f"{before} KiB grew to {after}"
    )  # it breathes by one; 160 bytes a command are too many
    assert kit.descriptors(agent) == files and kit.outer_pid(served) == agent
    assert len(kit.listed(served, "processed")) <= 2000 and len(kit.listed(served, "failed")) <= 500
    assert cpu < 45


def test_callers_that_leave_and_callers_that_stay_silent(served: Router) -> None:
    script = (
        "import socket,time\n"
        "held=[]\n"
        "for n in range(300):\n"
        " s=socket.socket(socket.AF_UNIX); s.connect('/run/vrouter/agent.sock'); held.append(s)\n"
        " if n%3: s.send(b'update_config\\0none.json\\0keep\\n' if n%3==1 else b'half')\n"
        " if n%2: s.close()\n"
        "print('up',flush=True); time.sleep(60)\n"
    )
    agent, number = kit.pid(served), kit.outer_pid(served)
    files = kit.descriptors(number)
    process = served.lab.popen("router", ("python3", "-c", script), stdout=-1)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        for port in range(21100, 21110):
            assert served.update_config(forwards(forward(port))).returncode == 0
    finally:
        process.kill()
        process.communicate()
    assert eventually(lambda: kit.descriptors(number) <= files) and kit.pid(served) == agent
    assert "Traceback" not in kit.log(served)
    kit.restart(served)
