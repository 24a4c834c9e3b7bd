"""Labs for the system tests: real kernel, daemons and packets; without root they fail, they never skip."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.system.kit import ISOLATED, Router, example
from tests.system.probes import warm
from vrouter.lab.lab import Lab


def _lab() -> Lab:
    assert os.geteuid() == 0, "the system tests build network namespaces: run them as root"
    return Lab.up("isolated", f"t{uuid.uuid4().hex[:10]}", agent=False)


def _built(lab: Lab) -> Router:
    router = Router(lab)
    router.send(*(example(f"isolated/{path.stem}") for path in ISOLATED))
    return router


@pytest.fixture
def bare() -> Iterator[Router]:
    """A router of its own to which nothing was sent."""
    with _lab() as lab:
        yield Router(lab)


@pytest.fixture
def fresh() -> Iterator[Router]:
    """A router of its own that serves the isolated example, for tests that change it."""
    with _lab() as lab:
        yield _built(lab)


@pytest.fixture(scope="module")
def built() -> Iterator[Router]:
    """A router that serves the isolated example, shared by a module's tests that change nothing."""
    with _lab() as lab:
        router = _built(lab)
        for guest in ("guest1", "guest2", "guest3"):
            assert router.lease(guest), f"{guest} got no lease"
        yield router


@pytest.fixture(scope="session")
def router() -> Iterator[Router]:
    """One router that serves the isolated example, for all tests that use ports, ids and names of their own, and take
    them away again."""
    with _lab() as lab, warm(_built(lab)) as router:
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
        with _lab() as lab:
            yield Router(lab)

    return start
