"""Gives a lab's router the files that the lab was made from, and says what became of each."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from vrouter.answers import Answer, file_text
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab
from vrouter.lab.snapshot import HOME, restore
from vrouter.lab.source import Source

_TOGETHER = 200  # files that one process applies
_APPLY_S = 600.0  # as long as the orchestrator waits for one script (contract commands 1.1)


@dataclass(frozen=True)
class Fed:
    """What became of the files. files: as `vrouter apply --json` says it. failed: why the router could not go on."""

    files: tuple[Answer, ...] = ()
    failed: str = ""
    changes: int = 0
    pending: tuple[Mapping[str, str], ...] = field(default=())

    @property
    def good(self) -> bool:
        """Whether all was taken."""
        return not self.failed and not any(file["refused"] for file in self.files)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (f"  {line}" for file in self.files for line in file_text(file).splitlines())
        yield from (f"  pending: {item['origin']} waits for {item['needs']}" for item in self.pending)
        if self.failed:
            yield f"  the files are in place, but not in force: {self.failed}"
        elif not self.files:
            yield f"  the databags are in place; the router converged with {self.changes} changes"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"files": list(self.files), "failed": self.failed, "changes": self.changes,
                "pending": list(self.pending)}  # fmt: skip


def lay_out(lab: Lab, source: Source) -> None:
    """Put the files below HOME in every router. Raises LabError."""
    for node in lab.routers:
        lab.unpack(node, packed({f"{HOME[1:]}/{name}": content for name, content in source.files.items()}))


def feed(lab: Lab, source: Source) -> Fed:
    """Apply command files in their order, going on after a refused one; or restore databags, and converge."""
    try:
        return _restored(lab, source) if source.bags else _commanded(lab, source)
    except LabError as error:
        return Fed(failed=str(error))


def _restored(lab: Lab, source: Source) -> Fed:
    files = {f"etc/cloudstack/{name}": content for name, content in source.files.items()}
    return Fed(changes=restore(lab, lab.routers[0], packed(files)))


def _commanded(lab: Lab, source: Source) -> Fed:
    node = lab.routers[0]
    answers: list[Answer] = []
    names = iter(source.files)
    while some := list(islice(names, _TOGETHER)):
        answers.append(_applied(lab, node, some))
    files_ = [{**file, "file": name} for name, file in zip(source.files, _files(answers), strict=True)]
    changes = sum(len(answer["changes"]) for answer in answers)
    return Fed(files=tuple(files_), changes=changes, pending=tuple(answers[-1]["pending"]))


def _applied(lab: Lab, node: str, names: Sequence[str]) -> Answer:
    done = lab.run(
        node, ["vrouter", "apply", "--json", "--", *(f"{HOME}/{name}" for name in names)], timeout_s=_APPLY_S
    )
    try:
        found: Answer = json.loads(done.stdout)
    except ValueError:
        raise LabError(f"{node}: vrouter apply: {(done.stderr or done.stdout).strip()[-1000:]}") from None
    return found


def _files(answers: Sequence[Answer]) -> Iterator[Answer]:
    for answer in answers:
        yield from answer["files"]


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files by their paths below the root, for root alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
