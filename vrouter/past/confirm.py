"""Changes that go back by themselves unless somebody confirms them, also when the operator's connection is cut.

A process of its own, apart from the operator's session, applies them, waits and takes them back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from vrouter.answers import Answer
from vrouter.errors import HistoryError, VrouterError
from vrouter.model.settings import Settings

Ask = Callable[[str, Answer], Answer]  # a verb and its question to the agent or the pipeline
_POLL_S, _AGAIN_S = 0.1, 1.0


class Unconfirmed:
    """One file: the states that wait for a confirmation, and the process that waits."""

    def __init__(self, settings: Settings) -> None:
        self._path = Path(settings.history_dir) / "unconfirmed.json"

    def open(self) -> None:
        """Begin. Raises HistoryError where another change waits already."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self.write([])
        except FileExistsError as error:
            raise HistoryError("another change waits: vrouter confirm keeps it") from error
        except OSError as error:
            raise HistoryError(f"cannot write {self._path}: {error.strerror}") from error

    def write(self, states: list[int]) -> None:
        """Note what is to be taken back, and who does it."""
        self._path.write_text(json.dumps({"states": states, "process": os.getpid()}))

    def waits(self) -> bool:
        """Whether nobody has confirmed yet."""
        return self._path.exists()

    def close(self) -> bool:
        """Confirmed, or taken back; False where nothing waited."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def orphaned(self) -> list[int]:
        """States whose process died before it could take them back."""
        try:
            found = json.loads(self._path.read_text())
            states, process = [int(number) for number in found["states"]], int(found["process"])
            name = Path(f"/proc/{process}/cmdline").read_bytes() if process else b""
        except FileNotFoundError as error:
            return states if error.filename != str(self._path) else []
        except (OSError, ValueError, LookupError, TypeError):
            return []
        return [] if b"vrouter" in name else states


def start(question: Answer, seconds: float) -> Answer:
    """Have a process apply files and wait; what applying came to. Raises VrouterError with its words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vrouter", "confirm", "--wait", str(seconds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    process.stdin.close()
    said = json.loads(process.stdout.readline() or b"{}")
    if "answer" not in said:
        raise VrouterError(said.get("error", "the change was not applied"))
    found: Answer = said["answer"]
    return found


def apply_and_wait(settings: Settings, seconds: float, ask: Ask) -> None:
    """The process itself: one question from stdin, one answer to stdout."""
    waiting = Unconfirmed(settings)
    states: list[int] = []
    try:
        waiting.open()
        try:
            found = ask("apply", json.loads(sys.stdin.readline()))
            states = [file["state"] for file in found["files"] if file["state"]]
            waiting.write(states)
        except BaseException:
            waiting.close()
            raise
        said: Answer = {"answer": found}
    except VrouterError as error:
        said = {"error": str(error)}
    try:
        print(json.dumps(said), flush=True)
    except BrokenPipeError:  # the operator is gone already
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # python flushes it at its end
    end = time.monotonic() + seconds
    while states and waiting.waits():
        time.sleep(_POLL_S)
        if time.monotonic() >= end:
            try:
                ask("revert", {"states": states})
            except VrouterError:  # somebody holds the machine up; a change that nobody confirmed must not stay
                end += _AGAIN_S
            else:
                waiting.close()
    if not states and "answer" in said:
        waiting.close()
