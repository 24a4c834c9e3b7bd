"""docs/reference.md: commands, options and exit statuses, from the command line itself."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields

import click

from tests.docs.commands import Described, commands
from vrouter.model.settings import Settings
from vrouter.update_config import USAGE

_HEAD = """\
# Reference of commands

Made by `make docs` from the code; `vrouter COMMAND --help` says the same.

Exit status of every `vrouter` command: 0 done or nothing to change, 1 refused or failed, 2 as the command says,
64 wrong usage, 128 + n ended by signal n (130: Ctrl-C). JSON is printed to the standard output, what went wrong to the
standard error.
"""

_UPDATE_CONFIG = """\
## update_config

{usage}

What the orchestrator calls: take the command file `/var/cache/cloud/FILE` through the pipeline, and return when it is
in the kernel, in the daemons and on the disk. FILE is a name without directory. Where it is done, nothing is printed. A
refused file moves to `failed/`, beside a `.error` file with its faults.
"""


_SETTINGS = """
## Settings

Keys of `/etc/vrouter/vrouter.toml`; each can be overridden by `VROUTER_<KEY>` in the environment, as
`VROUTER_BAG_DIR=/tmp/bags`. An unknown key is an error.
"""


def reference() -> str:
    """The page."""
    usage = _UPDATE_CONFIG.format(usage=textwrap.indent(USAGE, "    "))
    return "\n".join([_HEAD, *_contents(), "", *_sections(), usage + _SETTINGS, *_settings(), ""])


def _contents() -> Iterator[str]:
    yield "| command | what it does |"
    yield "|---|---|"
    for described in commands():
        if not described.group:
            yield f"| [`{described.name}`](#{described.name.replace(' ', '-')}) | {_cell(_summary(described))} |"
    yield "| [`update_config`](#update_config) | take a command file of the orchestrator through the pipeline |"


def _settings() -> Iterator[str]:
    words = re.sub(r" \([A-Z]+-\d+\)", "", " ".join(inspect.cleandoc(Settings.__doc__ or "").split()))
    told = dict(re.findall(r"(\w+): (.*?\.)(?= \w+: |$)", words))
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for field in fields(Settings):
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        yield f"| `{field.name}` | `{default}` | {_cell(told[field.name].rstrip('.'))} |"


def _summary(described: Described) -> str:
    """The first sentence."""
    first = described.text.split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\w)[.:;] ", first, maxsplit=1)[0].rstrip(".")


def _sections() -> Iterator[str]:
    for described in commands():
        if len(described.path) > 1:
            yield from _section(described)


def _section(described: Described) -> Iterator[str]:
    context = click.Context(described.command, info_name=described.name)
    usage = " ".join(context.command.get_usage(context).removeprefix("Usage:").split())
    yield f"## {described.name}\n"
    yield f"    {usage}\n"
    for paragraph in _paragraphs(described.text):
        yield f"{paragraph}\n"
    rows = [record for option in described.options() if (record := option.get_help_record(context))]
    if rows:
        yield "| option | meaning |"
        yield "|---|---|"
        yield from (f"| `{_cell(names)}` | {_cell(_bounds(says))} |" for names, says in rows)
        yield ""


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs as they are; what the help keeps line by line becomes paragraphs and blocks of code."""
    for paragraph in text.split("\n\n"):
        if not paragraph.startswith("\b\n"):
            yield from _lined(paragraph) if "Example: " in paragraph else [" ".join(paragraph.split())]
        else:
            yield from _lined(paragraph.removeprefix("\b\n"))


def _lined(text: str) -> Iterator[str]:
    """One that starts at each `Word: `; lines that belong to no such word are a block."""
    parts = re.split(r"^(?=Exit status: |Examples?: |JSON: )", text, flags=re.M)
    for part in filter(None, parts):
        head = re.match(r"(Examples?): ", part)
        if head:
            body = "\n".join(f"    {line.strip()}" for line in part[head.end() :].splitlines())
            yield f"{head[1]}:\n\n{body}"
        elif part.startswith(("Exit status: ", "JSON: ")):
            yield " ".join(part.split())
        else:
            yield "\n".join(f"    {line}" for line in part.rstrip().splitlines())


def _bounds(text: str) -> str:
    """click's `[1<=x<=86400]` in words."""
    text = re.sub(r"\s*\[(\d+)<=x<=(\d+)\]", r" (\1 to \2)", text)
    return re.sub(r"\s*\[x>=([\d.]+)\]", r" (at least \1)", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
