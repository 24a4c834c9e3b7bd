"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` writes what the golden cases should have found; read the difference before you keep it."""
    parser.addoption("--update", action="store_true", help="write the expected files of tests/cases anew")
