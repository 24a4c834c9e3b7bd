"""`vrouter status` and `vrouter show ...`: what a router is and how it stands. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from vrouter.answers import Answer
from vrouter.asking import look

WRONG = 2
_MOST_OF_AGENT = 2000  # connections: a longer list is made by the asking process, the agent has other work

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_WATCH = click.option(
    "--watch", metavar="[SECONDS]", type=click.FloatRange(min=0.1), is_flag=False, flag_value=2.0,
    help="Again and again, every 2 seconds or as said, until Ctrl-C (exit 130).",
)  # fmt: skip

# The names of the tables, and what they are about: known here so that help and completion need no engine.
TABLES = {
    "networks": "Networks, each with its device, gateway and guests.",
    "addresses": "Addresses of the router, and what each is used for.",
    "routes": "Routes and routing rules, ours and others'.",
    "rules": "Firewall rules, ingress and egress.",
    "forwards": "Port forwards, and whom the firewall lets in to them.",
    "nat": "Static NAT and source NAT.",
    "dhcp": "Guests that DHCP serves, and whether they have their lease.",
    "leases": "Leases in dnsmasq's file.",
    "connections": "Tracked connections, by guest or public address.",
    "counters": "Traffic, drops and errors of interfaces, nftables and kernel.",
}


@click.command()
@_JSON
@_WATCH
def status(as_json: bool, watch: float | None) -> int:
    """One screen: what this router is, how it stands, and what is wrong.

    It names what is wrong first, each with the command to go on with: a daemon that is dead or stopped, what differs
    from the databags, refused commands, files that wait, an agent that hangs, and tables, routes or rules of others
    that can stop packets.

    \b
    Exit status: 0 all well, 2 something is wrong, 1 it cannot be told.
    Example: vrouter status
    JSON: well, problems [what, says, look], notes, router, told, networks,
    interfaces, daemons, agent, commands, queue, connections, disks,
    drift {count, changes}, pending, foreign. docs/show.md describes each.
    """

    def once() -> tuple[str, int]:
        from vrouter.show.status_text import status_text
        from vrouter.show.terminal import screen

        found = look("status", {})
        return _json(found, watch) if as_json else status_text(found, screen()), 0 if found["well"] else WRONG

    return _printed(once, watch)


class _Tables(click.Group):
    """The tables as commands, each made when it is asked for; other commands may be added beside them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*TABLES, *(name for name in super().list_commands(ctx) if name not in TABLES)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _table_command(cmd_name) if cmd_name in TABLES else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their short help, without making them."""
        others = [
            (name, self.commands[name].get_short_help_str()) for name in self.list_commands(ctx) if name not in TABLES
        ]
        with formatter.section("Commands"):
            formatter.write_dl([*TABLES.items(), *others])


@click.group(cls=_Tables)
def show() -> None:
    """Show what the router holds: a table for people, plain columns when piped, JSON with --json.

    Each row says where it stands: in effect, pending (saved, but waiting for something), differs (the machine does not
    hold it so), overruled or foreign; and names the databag entry that it comes from.

    \b
    Exit status: 0, 1 failed, 64 wrong usage.
    Example: vrouter show forwards --find 192.0.2.10
    JSON: {"what": the table, "rows": [...], "notes": [...]};
    the help of each table describes its rows.
    """


def _table_command(name: str) -> click.Command:
    options: list[click.Parameter] = [
        _option("--find", metavar="TEXT", default="", help="Only rows in which TEXT occurs, in any letter case."),
        _option("--wrong", is_flag=True, help="Only rows that are not simply in effect."),
    ]
    if name in ("connections", "counters"):
        options.pop()
    if name == "connections":
        options += [
            _option("--guest", metavar="IP", multiple=True, help="Only those of a guest, before or after translation."),
            _option("--public", metavar="IP", multiple=True, help="Only those of a public address."),
            _option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True,
                    help="How many at most."),
        ]  # fmt: skip
    command = _Table(name, callback=_shower(name), params=options, short_help=TABLES[name])
    return _JSON(_WATCH(command))


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, **settings)


class _Table(click.Command):
    """Its help is made of the table, so that both stay the same."""

    def get_help(self, ctx: click.Context) -> str:
        from vrouter.show.tables import TABLES as tables

        table = tables[str(self.name)]
        shape = "\n".join(table.shape())
        self.help = (
            f"{table.says}\n\n\b\nExit status: 0, 1 failed, 64 wrong usage.\nExample: {table.example}\n\n"
            f'JSON: {{"what": "{table.name}", "rows": [...], "notes": [...]}}; each row has\n\n\b\n{shape}'
        )
        return super().get_help(ctx)


def _shower(name: str) -> Callable[..., int]:
    def run(
        as_json: bool, watch: float | None, find: str, wrong: bool = False, guest: tuple[str, ...] = (),
        public: tuple[str, ...] = (), limit: int = 1000,
    ) -> int:  # fmt: skip
        question: Answer = {"what": name}
        if name == "connections":
            question |= {"addresses": _addresses(guest + public), "most": limit}

        def once() -> tuple[str, int]:
            from vrouter.show.table import chosen, table_text
            from vrouter.show.tables import TABLES as tables
            from vrouter.show.terminal import screen

            found = look("show", question, alone=name == "connections" and limit > _MOST_OF_AGENT)
            total = len(found["rows"])
            found["rows"] = chosen(found["rows"], find, wrong)
            return _json(found, watch) if as_json else table_text(tables[name], found, screen(), total), 0

        return _printed(once, watch)

    return run


def _addresses(texts: tuple[str, ...]) -> list[str]:
    from ipaddress import AddressValueError, IPv4Address

    try:
        return [str(IPv4Address(text)) for text in texts]
    except AddressValueError as error:
        raise click.UsageError(f"not an IPv4 address: {error}") from error


def _json(found: Answer, watch: float | None) -> str:
    """Watched, each look is one line, so that a program can read one after the other."""
    return json.dumps(found, indent=None if watch else 2)


def _printed(once: Callable[[], tuple[str, int]], watch: float | None) -> int:
    if watch:
        from vrouter.show.terminal import repeat

        return repeat(watch, once)
    text, code = once()
    click.echo(text)
    return code


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print what makes a SHELL complete vrouter's commands and options.

    \b
    Exit status: 0, 64 wrong usage.
    Example: vrouter completion bash > /etc/bash_completion.d/vrouter
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None  # click knows all three
    click.echo(made(ctx.find_root().command, {}, "vrouter", "_VROUTER_COMPLETE").source())
    return 0
