"""Labs for the system tests: real kernel, daemons and packets; without root they fail, they never skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.system.kit import Router, isolated
from tests.system.probes import warm


@pytest.fixture
def bare() -> Iterator[Router]:
    """A router of its own to which nothing was sent."""
    with isolated(told=False) as router:
        yield router


@pytest.fixture
def fresh() -> Iterator[Router]:
    """A router of its own that serves the isolated example, for tests that change it."""
    with isolated() as router:
        yield router


@pytest.fixture(scope="module")
def built() -> Iterator[Router]:
    """A router that serves the isolated example, shared by a module's tests that change nothing."""
    with isolated() as router:
        for guest in ("guest1", "guest2", "guest3"):
            assert router.lease(guest), f"{guest} got no lease"
        yield router


@pytest.fixture(scope="session")
def router() -> Iterator[Router]:
    """One router that serves the isolated example, for all tests that use ports, ids and names of their own, and take
    them away again."""
    with isolated() as built, warm(built) as router:
        for guest in ("guest1", "guest2", "guest3"):
            assert router.lease(guest), f"{guest} got no lease"
        yield router


@pytest.fixture
def own(fresh: Router) -> Iterator[Router]:
    """As `fresh`, with quick commands."""
    with warm(fresh) as router:
        yield router


@pytest.fixture
def empty(bare: Router) -> Iterator[Router]:
    """As `bare`, with quick commands."""
    with warm(bare) as router:
        yield router


@pytest.fixture(scope="session")
def lone() -> Callable[[], AbstractContextManager[Router]]:
    """Starts a router of its own to which nothing was sent, for a fixture that builds one for its module."""

    @contextmanager
    def start() -> Iterator[Router]:
        with isolated(told=False) as router:
            yield router

    return start
