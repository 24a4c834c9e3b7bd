"""Power loss, full and dying disks: bags, archive and journal, over every state that a cut may leave (fsync(2))."""

from __future__ import annotations

import errno
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.disk import Cut, Disk
from vrouter import keeper as module
from vrouter.errors import BagError, VrouterError
from vrouter.features import BAGS
from vrouter.intake import Claimed, Intake
from vrouter.keeper import Keeper
from vrouter.model.bag import Entry, replaced
from vrouter.model.history import Edit
from vrouter.model.settings import Settings
from vrouter.store import Store

RULES = BAGS["firewallrules"]
BAG, FILE = "bags", f"{RULES.name}.json"
HELD = 1  # the rule that the bag holds from the start


def rule(number: int) -> dict[str, Entry]:
    """A rule as the bag holds it; two whole blocks of text, so that a part of it may be lost."""
    return dict(RULES.load({str(number): {"id": number, "purpose": "x" * 100}}))


@dataclass(frozen=True)
class Order:
    """A command of this test: it sets a rule, or drops it."""

    name: str
    number: int
    revoke: bool = False
    keep: bool = True
    refused: bool = False

    @property
    def content(self) -> bytes:
        return f"{self.name} {self.number} {self.revoke}".encode()


ORDERS = (
    Order("a.json.1", 2),
    Order("b.json.1", 3),
    Order("c.json.1", 9, refused=True),
    Order("d.json.1", 2, revoke=True),
    Order("e.json.1", 4, keep=False),
)


@dataclass
class Machine:
    """The parts of an agent that touch the disk, on a disk of their own."""

    root: Path
    defer: bool
    answered: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(
            cache_dir=f"{self.root}/cache", bag_dir=f"{self.root}/{BAG}", run_dir=f"{self.root}-run",
            history_dir=f"{self.root}-history",
        )  # fmt: skip
        self.intake = Intake(settings)
        self.keeper = Keeper(settings, {RULES.name: RULES}, self.defer)

    @contextmanager
    def running(self) -> Iterator[None]:
        """As a router that has run for long: directories and a bag are there, the commands are pushed."""
        with self.intake.locked():
            Store(str(self.root / BAG)).save(RULES, rule(HELD))
            for order in ORDERS:
                (self.root / "cache" / order.name).write_bytes(order.content)
            self.bag = self.keeper.load()[RULES.name]
            yield

    def take(self, order: Order, say: Callable[[str], None] = lambda _: None) -> None:
        """One command, as the pipeline takes it. Raises nothing but VrouterError."""
        claimed = self.intake.claim(order.name, order.keep)
        assert claimed
        if order.refused:
            self.keeper.refuse(claimed, BagError("it is to be refused"))
        elif self._saved(order, claimed):
            self.keeper.finish({claimed: ("firewallrules", {(RULES.name, str(order.number)): Edit(None, None)})})
            self.answered.append(order)
        say(order.name)

    def _saved(self, order: Order, claimed: Claimed) -> bool:
        before = replaced(self.bag, {str(order.number): None} if order.revoke else {**rule(order.number)})
        try:
            self.keeper.save([RULES.name], [claimed])
        except VrouterError as error:
            replaced(self.bag, before)
            with suppress(VrouterError):
                self.keeper.save_again()
            self.keeper.refuse(claimed, error)
            return False
        return True


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a disk; every bag counts as a large one, whose writing is deferred where that is allowed."""
    monkeypatch.setattr(module, "_LARGE", -1)
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def rules_of(cut: Cut) -> set[int]:
    """The rules of the bag on the disk. Raises ValueError where it is not whole."""
    return {int(key) for key in json.loads(cut.below(BAG)[FILE]) if key != "id"}


def found_in(directory: str, cut: Cut) -> list[Order]:
    """The commands that are whole in a directory, in their order."""
    there = cut.below(directory)
    return [order for order in ORDERS if there.get(order.name) == order.content]


def is_somewhere(order: Order, cut: Cut) -> bool:
    """Whether a command is whole where it waits, is worked on, or is kept."""
    if any(order in found_in(directory, cut) for directory in ("cache", "cache/claimed", "cache/failed")):
        return True
    archived = cut.below("cache/processed").get(f"{order.name}.gz")
    return archived is not None and gzip.decompress(archived) == order.content


def after(rules: set[int], orders: list[Order]) -> set[int]:
    """What commands make of rules, one after the other."""
    for order in [order for order in orders if not order.refused]:
        rules = rules - {order.number} if order.revoke else rules | {order.number}
    return rules


@pytest.mark.parametrize("fresh", [False, True])
def test_a_bag_is_the_old_text_or_the_new_one_and_stays_when_save_has_returned(root: Path, fresh: bool) -> None:
    """fresh: not even its directory is there."""
    store = Store(str(root / "etc" / BAG))
    old = None
    if not fresh:
        store.save(RULES, rule(1))
        old = (root / "etc" / BAG / FILE).read_bytes()
    disk = Disk(root)
    with disk.recording():
        store.save(RULES, rule(2))
        disk.mark("saved")
    new = (root / "etc" / BAG / FILE).read_bytes()
    found = [(cut.marks, cut.below(f"etc/{BAG}").get(FILE)) for cut in disk.cuts()]
    assert {text for _, text in found} == {old, new}
    assert {text for marks, text in found if marks} == {new}


def run(root: Path, defer: bool) -> Disk:
    """All commands on a disk that remembers; then what was deferred is written."""
    machine, disk = Machine(root, defer), Disk(root)
    with machine.running(), disk.recording():
        for order in ORDERS:
            machine.take(order, disk.mark)
        machine.keeper.flush()
        disk.mark("flushed")
    return disk


@pytest.mark.parametrize("defer", [False, True])
def test_no_power_cut_loses_a_bag_a_command_or_an_answer(root: Path, defer: bool) -> None:
    cuts = 0
    for cut in run(root, defer).cuts():
        rules, cuts = rules_of(cut), cuts + 1
        journal = [order.number for order in found_in("cache/claimed", cut)]
        for order in ORDERS:
            if order.name in cut.marks and order.number in (3, 4):  # 2 is set and dropped again
                assert order.number in rules or order.number in journal, (order, cut)
            assert is_somewhere(order, cut) or (not order.keep and order.number in rules), (order, cut)
        if "flushed" in cut.marks:
            assert rules == {HELD, 3, 4}
    assert cuts > 100


@pytest.mark.parametrize("defer", [False, True])
def test_after_a_power_cut_the_next_agent_comes_to_the_same(root: Path, defer: bool) -> None:
    """It takes up what is claimed, then what waits; some of it for the second time."""
    for cut in run(root, defer).cuts(in_order=True):
        found = after(rules_of(cut), [*found_in("cache/claimed", cut), *found_in("cache", cut)])
        assert found == after({HELD}, list(ORDERS)), cut


def test_the_journal_lasts_before_a_deferred_command_is_answered(root: Path) -> None:
    """Its bag is still the old one then."""
    for cut in run(root, defer=True).cuts():
        if ORDERS[0].name in cut.marks and ORDERS[1].name not in cut.marks:
            assert cut.below("cache/claimed")[ORDERS[0].name] == ORDERS[0].content
            assert rules_of(cut) == {HELD}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("defer", [False, True])
def test_an_operation_that_fails_leaves_the_old_text_and_nothing_else(
    root: Path, tmp_path: Path, defer: bool, error: int
) -> None:
    """Each in turn; a full disk stays full. Whatever it was, commands are answered, and the next start finds all."""
    for number in range(run(root, defer).operations):
        place = tmp_path / str(number)
        place.mkdir()
        machine, disk = Machine(place, defer), Disk(place, number, error)
        with machine.running():
            with disk.recording():
                for order in ORDERS:
                    with suppress(VrouterError):
                        machine.take(order)
                with suppress(VrouterError):
                    machine.keeper.flush()
            machine.keeper.flush()  # there is room again
            rules = {int(key) for key in Store(str(place / BAG)).load(RULES)}
        files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        cut = Cut((), files)
        assert rules == after({HELD}, machine.answered), (number, error)
        assert not [path for path in files if path.endswith(".new")], (number, error)
        for order in ORDERS:
            kept = is_somewhere(order, cut) or order in machine.answered
            assert kept, (order, number, error, sorted(files))
