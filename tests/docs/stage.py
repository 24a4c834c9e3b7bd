"""Where examples run: this machine in a directory of its own, and the router of the lab `try`.

Labs get names of their own, so that those of a user and of other test runs stay what they are.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from tests.docs.pages import ROOT, Example, agrees
from tests.docs.shell import Shell
from vrouter.lab import lab as labs
from vrouter.lab.lab import Lab

ISOLATED = "vrouter/lab/files/isolated"
FILES = ROOT / "docs" / "examples"
_NAMES = re.compile(r"--name (\S+)")


class Stage:
    """One page's labs and shells; the lab `try` serves the isolated example from the first command for a router on."""

    def __init__(self, directory: Path) -> None:
        assert os.geteuid() == 0, "the examples need a lab: run them as root"
        self._own = f"-{uuid.uuid4().hex[:6]}"
        self._names = {"try"}
        self._router: Shell | None = None
        for name in ("vrouter", "docs", "tests"):
            (directory / name).symlink_to(ROOT / name)
        program = directory / ".bin" / "vrouter"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m vrouter "$@"\n')
        program.chmod(0o755)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{program.parent}:{os.environ['PATH']}"}
        self._machine = Shell(
            subprocess.Popen(["bash", "--norc"], stdin=-1, stdout=-1, stderr=-2, cwd=directory, env=environment)
        )

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for shell in filter(None, (self._machine, self._router)):
            shell.close()
        for name in labs.names():
            if self._own in name:
                labs.end(name)

    def lab(self, name: str) -> Lab:
        """A lab by the name that the page gives it."""
        return Lab.open(name + self._own)

    def play(self, found: Iterable[Example]) -> None:
        """Run examples one after the other; fails the test at the first that is not as it is shown."""
        known = list(found)
        for example, after in zip(known, [*known[1:], None], strict=True):
            status, output = self.run(example.command, example.inside)
            shows_status = after and after.command == "echo $?"
            assert status == 0 or shows_status, f"{example}\nexit status {status}\n{output}"
            if example.output:
                assert agrees(example.output, output), f"{example}\nprints\n{output}"

    def run(self, command: str, inside: bool) -> tuple[int, str]:
        """Exit status and output of a command in the router, or on the machine."""
        self._names.update(_NAMES.findall(command))
        if inside:
            status, output = self._shell().run(command)
        else:
            names = "|".join(map(re.escape, sorted(self._names)))
            status, output = self._machine.run(re.sub(rf"\b({names})\b", rf"\1{self._own}", command))
        return status, output.replace(self._own, "")

    def _shell(self) -> Shell:
        if self._router is None:
            if "try" + self._own not in labs.names():
                status, output = self.run(f"vrouter lab up --from {ISOLATED} --name try", inside=False)
                assert status == 0, output
            lab = self.lab("try")
            for path in sorted(FILES.iterdir()):
                lab.put("router", f"/root/{path.name}", path.read_bytes())
            self._router = Shell(lab.popen("router", ["bash", "--norc"], stdin=-1, stdout=-1, stderr=-2))
            self._router.run("cd /root")
        return self._router
