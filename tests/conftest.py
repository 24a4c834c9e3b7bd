"""Options of the test run."""

from __future__ import annotations

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what runs in the background so, and programs under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` writes what the golden cases should have found; read the difference before you keep it."""
    parser.addoption("--update", action="store_true", help="write the expected files of tests/cases anew")
