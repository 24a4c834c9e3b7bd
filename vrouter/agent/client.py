"""The thin client: one request to the agent, one answer. It imports next to nothing, because its start is its cost."""

from __future__ import annotations

import _socket  # socket itself imports selectors, enum and more
import os

SOCKET = "agent.sock"
RUN_DIR = "/run/vrouter"
_LARGEST = 1 << 16


def ask(run_dir: str, *words: str, limit_s: float | None = None) -> tuple[int, str] | None:
    """Exit status and text of the agent's answer; None when no agent listens, or it went away unanswered, or was silent
    for `limit_s`.

    A request is the words separated by NUL and ended by a newline; an answer is the status, a newline and the text.
    """
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(limit_s)
    try:
        connection.connect(os.path.join(run_dir, SOCKET))
        connection.sendall("\0".join(words).encode() + b"\n")
        answer = b""
        while data := connection.recv(_LARGEST):
            answer += data
    except OSError:
        return None
    finally:
        connection.close()
    status, newline, text = answer.partition(b"\n")
    return (int(status), text.decode(errors="replace")) if newline else None
