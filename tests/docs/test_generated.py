"""The pages that are made from the code are as the code is now; `make docs` or `pytest --update` writes them."""

from __future__ import annotations

import pytest

from tests.docs.generate import filled, generated, write
from tests.docs.pages import ROOT
from vrouter.features import BAGS, COMMANDS


def test_generated_pages_are_as_the_code_is(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update"):
        write()
    for path, text in generated().items():
        assert path.read_text() == text, f"{path.name} is stale: make docs"


def test_every_command_type_and_databag_is_described() -> None:
    text = (ROOT / "docs" / "databags.md").read_text()
    for type in COMMANDS:
        assert f"\n## {type}\n" in text
    for bag in BAGS:
        assert f"\n### {bag}.json\n" in text


def test_a_value_without_a_place_and_a_place_without_a_value_are_told() -> None:
    page = "<!-- value: one -->\n```json\nold\n```\n"
    assert filled(page, {"one": "new"}) == "<!-- value: one -->\n```json\nnew\n```\n"
    with pytest.raises(AssertionError, match="two"):
        filled(page, {"one": "", "two": ""})
    with pytest.raises(KeyError):
        filled(page, {})
