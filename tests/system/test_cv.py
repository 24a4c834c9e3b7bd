"""Convergence, by packets and counters (contract dataplane 1.4)."""

from __future__ import annotations

from tests.system.kit import ISOLATED, Router, example


def test_cv_2_the_same_file_twice_changes_nothing(fresh: Router) -> None:
    before = (fresh.generation(), fresh.pid(), fresh.state())
    for path in ISOLATED:
        done = fresh.update_config(example(f"isolated/{path.stem}"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (fresh.generation(), fresh.pid(), fresh.state()) == before
