"""Text as people see it: golden at 80 and 200 columns and piped, with 0, 3 and 200 guests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.core import Core
from tests.unit.show.kit import NOW, empty, example, facts, large, refused, view, waits
from tests.unit.show.test_rows import FORWARD, RULESET, rows
from vrouter.model.observed import Process
from vrouter.show.layout import PLAIN, Column, Screen, ago, columns_text, size
from vrouter.show.status import status
from vrouter.show.status_text import status_text
from vrouter.show.table import table_text
from vrouter.show.tables import TABLES

GOLDEN = Path(__file__).parents[2] / "show"
ROUTERS = {"none": empty, "three": example, "many": large}
SCREENS = {"80": Screen(80), "200": Screen(200), "piped": PLAIN}
STOPPED = Process(pid=45, state="T", since=NOW - 7200, memory_bytes=3_700_000)


def all_tables(core: Core, screen: Screen) -> str:
    parts = []
    for name, table in TABLES.items():
        found = {"rows": rows(name, core, lost=[FORWARD])[:40], "notes": []}
        parts.append(f"== {name}\n{table_text(table, found, screen)}\n")
    return "\n".join(parts)


def both_states(core: Core, screen: Screen) -> str:
    """The status when all is well, and when much is wrong."""
    wrong = facts(
        daemons={"dnsmasq": STOPPED}, commands=(refused(), *facts().commands), waiting=(waits(300),), ruleset=RULESET,
        agent=None, answering=False,
    )  # fmt: skip
    well = status_text(status(view(core), facts(told=bool(core.bags["cmdline"]))), screen, NOW)
    return f"{well}\n\n====\n\n{status_text(status(view(core, lost=[FORWARD]), wrong), screen, NOW)}\n"


@pytest.mark.parametrize("width", SCREENS)
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("what", ["tables", "status"])
def test_text(what: str, router: str, width: str, pytestconfig: pytest.Config) -> None:
    core = ROUTERS[router]()
    text = (all_tables if what == "tables" else both_states)(core, SCREENS[width])
    golden = GOLDEN / f"{what}-{router}-{width}.txt"
    if pytestconfig.getoption("--update"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
    assert "\x1b" not in text and "\t" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("router", ROUTERS)
def test_nothing_is_wider_than_the_terminal(router: str, width: int) -> None:
    core = ROUTERS[router]()
    for text in (all_tables(core, Screen(width)), both_states(core, Screen(width))):
        assert not [line for line in text.splitlines() if len(line) > width]


def test_colour_changes_no_letter() -> None:
    core = example()
    for make in (all_tables, both_states):
        coloured = make(core, Screen(80, colour=True))
        assert "\x1b[31m" in coloured
        bare = re.sub(r"\x1b\[\d+m", "", coloured)
        assert [line.rstrip() for line in bare.splitlines()] == make(core, Screen(80)).splitlines()


def test_nothing_from_outside_moves_the_cursor() -> None:
    [_, line] = columns_text([Column("NAME", lambda row: row["name"])], [{"name": "a\x1b[2Jb\n"}], Screen(80))
    assert line == "a?[2Jb?"


def test_a_cell_is_cut_or_goes_on_in_the_next_line() -> None:
    columns = [Column("CUT", lambda row: row["a"], cuts=6), Column("ON", lambda row: row["b"], wraps=True)]
    lines = columns_text(columns, [{"a": "0123456789", "b": "one two three four"}], Screen(14))
    assert lines == ["CUT      ON", "012345…  one", "         two", "         three", "         four"]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (93_784, "1 d 2 h")])
def test_spans(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999 B"), (1500, "1.5 kB"), (250_000, "250 kB"), (5e12, "5.0 TB")])
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text
