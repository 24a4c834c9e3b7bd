"""Every example of README.md and docs/, run: it prints what the page shows, and exits as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, agrees, examples, indented
from tests.docs.stage import Stage

_SHOWN = {page: found for page in PAGES if (found := examples(page))}


@pytest.mark.parametrize("page", _SHOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_a_page(page: Path, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.play(_SHOWN[page])


def test_shell_blocks_name_targets_that_are_there() -> None:
    """Those that no test should run: what `make` is asked for exists."""
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    for page in PAGES:
        for line in indented(page.read_text()):
            words = line.split("#")[0].replace("sudo ", "").split()
            if words[0] == "make":
                assert set(words[1:]) <= targets, f"{page.name}: {line}"


def test_links_lead_to_pages_and_headings_that_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            name, _, place = target.partition("#")
            linked = page.parent / name if name else page
            assert linked.is_file(), f"{page.name}: {target}"
            assert not place or place in _anchors(linked.read_text()), f"{page.name}: {target}"


def _anchors(text: str) -> set[str]:
    """Of headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a  b", "c"], "a b\n\nc\n", True),
        (["a"], "a\nb\n", False),
        (["...", "c"], "a\nb\nc\n", True),
        (["a", "...", "c"], "a\nc\n", True),
        (["took 1.2 s", "x.json...: 1 changes"], "took 12 ms\nx.json.77: 1 changes\n", True),
        (["x.json...: 1 changes"], "x.json.77: 2 changes\n", False),
        (["192.0.2.1"], "192.0.2.2\n", False),
    ],
)
def test_what_is_shown_is_compared_loosely(shown: list[str], printed: str, same: bool) -> None:
    assert agrees(tuple(shown), printed) is same
