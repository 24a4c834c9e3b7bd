"""The kernel against `explain`: whatever is configured, what a packet experiences is what is said of it.

VROUTER_ORACLE_PACKETS says how many packets are judged; 2 000 if not told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.system import draws
from tests.system.kit import Router
from tests.system.oracle import Difference, Judge, judging
from vrouter.explain.packet import Packet

PACKETS = int(os.environ.get("VROUTER_ORACLE_PACKETS", "2000"))


def smallest(judge: Judge, commands: Sequence[draws.Command], found: Difference) -> list[str | Difference]:
    """The difference with one packet alone, and as few commands as it takes, a rule or an address each.

    Quicker than hypothesis, which looks for a smaller batch of packets too.
    """
    place = 0
    while place < len(commands):
        fewer = [*commands[:place], *commands[place + 1 :]]
        if fewer and (still := judge.judge(judge.configure(fewer), [found.packet])):
            commands, found = fewer, still
        else:
            place += 1
    return [found, *map(json.dumps, commands)]


@pytest.fixture
def judge(empty: Router) -> Iterator[Judge]:
    """A router of its own."""
    with judging(empty) as found:
        yield found


@pytest.mark.timeout(900 + PACKETS // 10)
def test_the_kernel_does_what_explain_says(judge: Judge) -> None:
    wrong: list[str] = []

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(draws.commands(), draws.batches)
    def agree(commands: Sequence[draws.Command], packets: Sequence[Packet]) -> None:
        if not wrong and (found := judge.judge(judge.configure(commands), packets)):
            open("/tmp/dump","w").write(judge._router.sh("router","sh","-c","ip rule; ip route show table all; ip -4 addr; ip neigh; vrouter converge --dry-run") + "\n==".join(judge.log[-2:]))
            again=judge.judge(judge.configure(commands), packets)
            print("AGAIN", again)
            wrong.append("\n".join(map(str, smallest(judge, commands, found))))

    while judge.packets < PACKETS and not wrong:
        agree()
    if wrong:
        pytest.fail(wrong[0], pytrace=False)
    print(f"{judge.packets} packets judged with {judge.bags} configurations; {judge.passed} of them pass")
    assert judge.passed > judge.packets / 5
