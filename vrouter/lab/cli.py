"""`vrouter lab ...`: the grammar is used from outside and fixed (design 4a)."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from vrouter.answers import plain
from vrouter.lab import lab as labs
from vrouter.lab import snapshot as snapshots
from vrouter.lab import state
from vrouter.lab.enter import execute
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab

if TYPE_CHECKING:
    from vrouter.lab.starting import Started, Wish

_LONGEST_NAME = 24  # of a lab, with room for a number behind it
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group("lab")
def lab() -> None:
    """Build a cloud corner on this machine: routers, guests and the world around them, in namespaces.

    \b
    Exit status: 0 done, 1 failed, 64 wrong usage; exec: that of its command.
    Example: vrouter lab up isolated --name mine
    """


@lab.command()
@click.argument("topology", required=False)
@click.option(
    "--from", "directory", type=click.Path(), help="Directory of command files, or a copy of /etc/cloudstack."
)
@click.option("--name", help="Name of the lab; by default that of the topology or the directory.")
@click.option("--no-apply", is_flag=True, help="With --from: put the files into the router, and leave them there.")
@click.option("--count", type=click.IntRange(1, 1000), help="Start NAME-1 to NAME-COUNT.")
@click.option("--agent/--no-agent", default=True, help="Start the resident agent in the router, or not.")
@_JSON
def up(
    topology: str | None,
    directory: str | None,
    name: str | None,
    no_apply: bool,
    count: int | None,
    agent: bool,
    as_json: bool,
) -> int:
    """Start a lab: of a TOPOLOGY by its name, or the one that an operator's files imply.

    Nothing is applied to the router of a named topology. The files of a directory are applied one after the other, in
    the order of their names; a refused one is told, and the rest goes on.

    \b
    Exit status: 0 up, 1 not up, or a file was refused (then the lab stays up),
    64 wrong usage.
    Examples: vrouter lab up isolated --name mine
              vrouter lab up --from ./commands --name try
    JSON: labs, a list; docs/lab.md describes its members.
    """
    if (topology is None) == (directory is None):
        raise click.UsageError("give the name of a topology, or --from DIR")
    if no_apply and directory is None:
        raise click.UsageError("--no-apply goes with --from")
    from vrouter.lab import starting  # it imports features, which no other command of the lab needs

    _end_on_signals()
    wish = _wish(topology, directory, not no_apply, agent)
    name = name or topology or _name_of(str(directory))
    started = starting.start_many(wish, name, count) if count else [starting.start(wish, name)]
    if as_json:
        click.echo(json.dumps({"labs": [_started_row(each) for each in started]}, indent=2))
    for line in () if as_json else _started_lines(started):
        click.echo(line)
    return 0 if all(each.good for each in started) else 1


@lab.command()
@click.argument("name")
@click.argument("snap", required=False)
@_JSON
def snapshot(name: str, snap: str | None, as_json: bool) -> None:
    """Save the state of the lab's router as SNAP, by default the next number; one of that name is replaced.

    \b
    Exit status: 0 saved, 1 not, 64 wrong usage.
    Example: vrouter lab snapshot mine before
    JSON: name, snapshot.
    """
    saved = snapshots.save(Lab.open(name), snap or "")
    if as_json:
        click.echo(json.dumps({"name": name, "snapshot": saved}))
    else:
        click.echo(f"lab {name}: saved {saved}; back to it: vrouter lab reset {name} {saved}")


@lab.command()
@click.argument("name")
@click.argument("snap", required=False)
@_JSON
def reset(name: str, snap: str | None, as_json: bool) -> None:
    """Bring the lab's router back to SNAP, by default to what it was right after `lab up`.

    \b
    Exit status: 0 it is back, 1 not, 64 wrong usage.
    Example: vrouter lab reset mine before
    JSON: name, snapshot, changes (null: it was started anew), took_s.
    """
    begin = time.monotonic()
    changes = snapshots.reset(Lab.open(name), snap or snapshots.UP)
    took_s = time.monotonic() - begin
    if as_json:
        row = {"name": name, "snapshot": snap or snapshots.UP, "changes": changes, "took_s": round(took_s, 3)}
        click.echo(json.dumps(row))
        return
    done = (
        "the router was started anew"
        if changes is None
        else f"the router made {changes} change{'' if changes == 1 else 's'}"
    )
    click.echo(f"lab {name} is back at {snap or snapshots.UP} after {took_s:.1f} s; {done}")


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name")
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str, node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in a NODE, with its input and output.

    \b
    Exit status: that of the command, 128 + n when signal n killed it,
    1 when there is no such lab or node, 64 wrong usage.
    Example: vrouter lab exec mine guest1 -- dhcp-renew
    """
    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise click.UsageError("no command given")
    raise SystemExit(execute(Lab.open(name), node, argv))


@lab.command("list")
@_JSON
def list_(as_json: bool) -> None:
    """Labs that are up, or of which something is left.

    \b
    Exit status: 0.
    Example: vrouter lab list
    JSON: a list of name, state, topology, started, nodes, snapshots.
    """
    rows = [_row(name) for name in labs.names()]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        click.echo(f"{row['name']:31}  {row['state']:10}  {row['topology'] or '-':12}  {row['started'] or '-'}")


@lab.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every lab, also what a killed command left.")
@_JSON
def down(name: str | None, every: bool, as_json: bool) -> None:
    """End a lab; nothing of it is left.

    \b
    Exit status: 0 it is down, 1 there is none of that name, 64 wrong usage.
    Examples: vrouter lab down mine
              vrouter lab down --all
    JSON: down, a list of names.
    """
    if every == (name is not None):
        raise click.UsageError("give the name of a lab, or --all")
    ended = []
    for each in labs.names() if name is None else [name]:
        if labs.end(each):
            ended.append(each)
            if not as_json:
                click.echo(f"lab {each} is down")
        elif not every:
            raise LabError(f"lab {each} does not exist")
    if as_json:
        click.echo(json.dumps({"down": ended}))


@lab.command()
def demo() -> None:
    """Show a router at work: the isolated example, command by command, then proven with packets. Needs root.

    \b
    Exit status: 0 all is proven, 1 not.
    Example: vrouter lab demo
    """
    from vrouter.lab import demo as demonstration  # it imports the engine, which no other command of the lab needs

    _end_on_signals()
    if not demonstration.run(click.echo):
        raise LabError("a proof failed")


def _row(name: str) -> dict[str, object]:
    """One lab as `list --json` shows it. state: up; incomplete (being started, or its start was killed); broken."""
    found = state.load(name)
    if found is None:
        return {"name": name, "state": "incomplete", "topology": None, "started": None, "nodes": {}, "snapshots": []}
    return {
        "name": name,
        "state": "up" if Lab(found).complete() else "broken",
        "topology": found.topology.name,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.started)),
        "nodes": found.nodes,
        "snapshots": snapshots.names(name),
    }


def _wish(topology: str | None, directory: str | None, apply: bool, agent: bool) -> Wish:
    from vrouter.lab import source, starting

    if directory is None:
        return starting.Wish(topology=str(topology), agent=agent)
    found = source.read(directory)
    derived = found.derived()
    return starting.Wish(topology=derived.topology, agent=agent, source=found, apply=apply, notes=derived.notes)


def _name_of(directory: str) -> str:
    """A directory's name as that of a lab."""
    words = re.findall(r"[a-z0-9]+", Path(directory).absolute().name.lower())
    return "-".join(words)[:_LONGEST_NAME].rstrip("-") or "from"


def _started_row(started: Started) -> dict[str, object]:
    fed = started.fed
    return {
        **_row(started.lab.name),
        "up_s": round(started.up_s, 3),
        "took_s": round(started.took_s, 3),
        "notes": list(started.wish.notes),
        "fed": fed.as_json() if fed else None,
    }


def _started_lines(started: Sequence[Started]) -> Iterator[str]:
    """Of many labs all of the first, and of the others what differs: that they are up, and what went wrong."""
    for place, each in enumerate(started):
        lines = list(each.lines())
        yield from map(plain, lines if place == 0 or not each.good else lines[:1])
    name = started[0].lab.name
    yield f"  enter a node   vrouter lab exec {name} router -- bash"
    yield f"  end it         vrouter lab down {name}"


def _end_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind like Ctrl-C, so that a half-started lab is taken down."""

    def unwind(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)
