"""Labs whose router has its agent: real kernel, daemons and packets; without root they fail, they never skip."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.kit import Router, isolated


@pytest.fixture
def idle() -> Iterator[Router]:
    """A router whose agent was told nothing yet."""
    with isolated(agent=True, told=False) as router:
        yield router


@pytest.fixture
def served() -> Iterator[Router]:
    """A router of its own whose agent serves the isolated example."""
    with isolated(agent=True) as router:
        yield router


@pytest.fixture(scope="module")
def shared() -> Iterator[Router]:
    """As `served`, for all tests of a module, each with ports, guests and names of its own."""
    with isolated(agent=True) as router:
        yield router


@pytest.fixture(scope="module")
def reference() -> Iterator[Router]:
    """A router that got the same without an agent: what `shared` must be equal to."""
    with isolated() as router:
        yield router


@pytest.fixture
def embedded() -> Iterator[Router]:
    """As `reference`, for one test."""
    with isolated() as router:
        yield router
