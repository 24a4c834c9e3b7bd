"""Labs whose router has its agent: real kernel, daemons and packets; without root they fail, they never skip."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from tests.system.kit import ISOLATED, Router, example
from vrouter.lab.lab import Lab


def _lab(agent: bool = True) -> Lab:
    assert os.geteuid() == 0, "the agent's tests build network namespaces: run them as root"
    return Lab.up("isolated", f"a{uuid.uuid4().hex[:10]}", agent=agent)


def _built(lab: Lab) -> Router:
    router = Router(lab)
    router.send(*(example(f"isolated/{path.stem}") for path in ISOLATED))
    return router


@pytest.fixture
def idle() -> Iterator[Router]:
    """A router whose agent was told nothing yet."""
    with _lab() as lab:
        yield Router(lab)


@pytest.fixture
def served() -> Iterator[Router]:
    """A router of its own whose agent serves the isolated example."""
    with _lab() as lab:
        yield _built(lab)


@pytest.fixture(scope="module")
def shared() -> Iterator[Router]:
    """As `served`, for all tests of a module, each with ports, guests and names of its own."""
    with _lab() as lab:
        yield _built(lab)


@pytest.fixture(scope="module")
def reference() -> Iterator[Router]:
    """A router that got the same without an agent: what `shared` must be equal to."""
    with _lab(agent=False) as lab:
        yield _built(lab)


@pytest.fixture
def embedded() -> Iterator[Router]:
    """As `reference`, for one test."""
    with _lab(agent=False) as lab:
        yield _built(lab)
