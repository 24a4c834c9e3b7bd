"""The commands as click has them: a walk over all of them, and what their help says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

import click

from vrouter.__main__ import cli

_EXAMPLE = re.compile(r"^Examples?: ", re.M)


@dataclass(frozen=True)
class Described:
    """One command. path: its words. help: as `--help` prints it."""

    path: tuple[str, ...]
    command: click.Command
    help: str

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def group(self) -> bool:
        """Whether it only holds other commands."""
        return isinstance(self.command, click.Group)

    @property
    def text(self) -> str:
        """What it says of itself, without usage and options, with the lines as the source has them."""
        return inspect.cleandoc(self.command.help or "")

    def examples(self) -> list[str]:
        """The commands behind `Example:`, one a line."""
        found: list[str] = []
        for paragraph in self.text.split("\n\n"):
            place = _EXAMPLE.search(paragraph)
            if place:
                for line in paragraph[place.end() :].splitlines():
                    if not line.strip().startswith("vrouter "):
                        break
                    found.append(line.strip())
        return found

    def options(self) -> list[click.Option]:
        """Those that are shown, without the one for help."""
        found = [each for each in self.command.params if isinstance(each, click.Option) and not each.hidden]
        return [each for each in found if "--version" not in each.opts]


def commands() -> list[Described]:
    """All, groups before what is in them."""
    return list(_walk(cli, ("vrouter",), None))


def _walk(command: click.Command, path: tuple[str, ...], parent: click.Context | None) -> Iterator[Described]:
    context = click.Context(command, info_name=path[-1], parent=parent, **command.context_settings)
    yield Described(path, command, command.get_help(context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            if not found.hidden:
                yield from _walk(found, (*path, name), context)
