"""How the laws are tried: on the same examples in every run, or, to look for new ones, on many that are drawn afresh.

A run that decides about a change must not depend on luck; a search must. `make laws` and `make oracle` search.
VROUTER_SEARCH says how many times as many examples are drawn then.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SEARCH = int(os.environ.get("VROUTER_SEARCH", "0"))


def examples(number: int = 100) -> settings:
    """A law that is tried on so many examples."""
    return settings(
        max_examples=number * max(SEARCH, 1),
        deadline=None,
        derandomize=not SEARCH,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no mistake
    )
