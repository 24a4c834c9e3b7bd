"""What was needed for a moment goes back to the system (mallopt(3))."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 128 * 1024


def returned() -> None:
    """Hold the allocator to its first limits: left alone it raises them with what it meets, and keeps megabytes."""
    libc = ctypes.CDLL(None)
    for limit in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
        libc.mallopt(limit, _KEPT_BYTES)
