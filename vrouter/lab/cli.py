"""`vrouter lab ...`: the grammar is used from outside and fixed (design 4a)."""

from __future__ import annotations

import json
import signal
import time
from types import FrameType
from typing import NoReturn

import click

from vrouter.lab import lab as labs
from vrouter.lab import state
from vrouter.lab.enter import execute
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab


@click.group("lab")
def lab() -> None:
    """Build a cloud corner on this machine: routers, guests and the world around them, in namespaces."""


@lab.command()
@click.argument("topology")
@click.option("--name", help="Name of the lab; that of the topology by default.")
@click.option("--agent/--no-agent", default=True, help="Start the resident agent in the router, or not.")
def up(topology: str, name: str | None, agent: bool) -> None:
    """Start a lab. Nothing is applied to its router."""
    _end_on_signals()
    begin = time.monotonic()
    started = Lab.up(topology, name, agent)
    click.echo(f"lab {started.name} is up after {time.monotonic() - begin:.1f} s: {' '.join(started.nodes)}")
    click.echo(f"  enter a node   vrouter lab exec {started.name} router -- bash")
    click.echo(f"  end it         vrouter lab down {started.name}")


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name")
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str, node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in a node, with its input, output and exit status: vrouter lab exec NAME NODE -- COMMAND..."""
    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise click.UsageError("no command given")
    raise SystemExit(execute(Lab.open(name), node, argv))


@lab.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:
    """Labs that are up, or of which something is left."""
    rows = [_row(name) for name in labs.names()]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        click.echo(f"{row['name']:31}  {row['state']:10}  {row['topology'] or '-':12}  {row['started'] or '-'}")


@lab.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every lab, also what a killed command left.")
def down(name: str | None, every: bool) -> None:
    """End a lab; nothing of it is left."""
    if every == (name is not None):
        raise click.UsageError("give the name of a lab, or --all")
    for each in labs.names() if name is None else [name]:
        if labs.end(each):
            click.echo(f"lab {each} is down")
        elif not every:
            raise LabError(f"lab {each} does not exist")


@lab.command()
def demo() -> None:
    """Show a router at work: the isolated example, command by command, then proven with packets. Needs root."""
    from vrouter.lab import demo as demonstration  # it imports the engine, which no other command of the lab needs

    _end_on_signals()
    if not demonstration.run(click.echo):
        raise LabError("a proof failed")


def _row(name: str) -> dict[str, object]:
    """One lab as `list --json` shows it. state: up; incomplete (being started, or its start was killed); broken."""
    found = state.load(name)
    if found is None:
        return {"name": name, "state": "incomplete", "topology": None, "started": None, "nodes": {}}
    return {
        "name": name,
        "state": "up" if Lab(found).complete() else "broken",
        "topology": found.topology,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.started)),
        "nodes": found.nodes,
    }


def _end_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind like Ctrl-C, so that a half-started lab is taken down."""

    def unwind(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)
