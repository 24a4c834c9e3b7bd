"""The kernel against `explain`: whatever is configured, what a packet experiences is what is said of it.

VROUTER_ORACLE_PACKETS says how many packets are judged, 2 000 if not told; they are the same in every run, or drawn
afresh (tests/chance.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.chance import SEARCH, examples
from tests.system import draws
from tests.system.kit import Router
from tests.system.oracle import Difference, Judge, judging
from vrouter.explain.packet import Packet

Commands = Sequence[draws.Command]

PACKETS = int(os.environ.get("VROUTER_ORACLE_PACKETS", "2000"))


def smallest(judge: Judge, before: Commands, commands: Commands, found: Difference) -> list[str]:
    """The difference with one packet alone, and as few commands as it takes, a rule or an address each; also what was
    configured before, where it takes that.

    Quicker than hypothesis, which looks for a smaller batch of packets too.
    """

    def shown(first: Commands, then: Commands) -> Difference | None:
        judge.configure(first)
        return judge.judge(judge.configure(then), [found.packet])

    before = [] if shown([], commands) else before
    for place in reversed(range(len(before))):
        if shown(fewer := [*before[:place], *before[place + 1 :]], commands):
            before = fewer
    for place in reversed(range(len(commands))):
        if still := shown(before, fewer := [*commands[:place], *commands[place + 1 :]]):
            commands, found = fewer, still
    behind = ["behind:", *map(json.dumps, before), "then:"] if before else []
    return [str(found), *behind, *map(json.dumps, commands)]


@pytest.fixture
def judge(empty: Router) -> Iterator[Judge]:
    """A router of its own."""
    with judging(empty) as found:
        yield found


@pytest.mark.timeout(900 + PACKETS // 10)
def test_the_kernel_does_what_explain_says(judge: Judge) -> None:
    wrong: list[str] = []

    @settings(examples(30), suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(draws.trials)
    def agree(trial: tuple[Commands, Sequence[Packet]]) -> None:
        commands, packets = trial
        before = judge.configured
        if not wrong and (found := judge.judge(judge.configure(commands), packets)):
            wrong.append("\n".join(smallest(judge, before, commands, found)))

    for number in count():
        if judge.packets >= PACKETS or wrong:
            break
        (agree if SEARCH else seed(number)(agree))()
    if wrong:
        pytest.fail(wrong[0], pytrace=False)
    print(f"{judge.packets} packets judged with {judge.bags} configurations; {judge.passed} of them pass; of those")
    print(f"{judge.forwarded} with another destination, {judge.hidden} with another source")
    assert judge.passed > judge.packets / 5
    assert min(judge.forwarded, judge.hidden) > judge.packets / 50
