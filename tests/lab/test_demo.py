"""`vrouter lab demo`: every proof holds, and it shows what README.md shows of it."""

from __future__ import annotations

import uuid

import pytest

from tests.docs.pages import ROOT, agrees
from vrouter.lab import demo


def test_the_demo_shows_what_the_readme_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text().partition("what they promise:\n\n")[2].partition("\n\n")[0]
    lines: list[str] = []
    monkeypatch.setattr(demo, "NAME", f"demo-{uuid.uuid4().hex[:6]}")
    assert demo.run(lines.append)
    assert text.startswith("      07-") and agrees(("...", *text.splitlines()), "\n".join(lines)), "\n".join(lines)
