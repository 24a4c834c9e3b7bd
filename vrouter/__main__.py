"""The command line `vrouter`: text for people, JSON for programs.

Exit status: 0 done or nothing to change, 1 refused or failed, 64 usage; 2 changes (`plan`), something is wrong
(`status`), does not pass (`explain`), or was not seen (`trace`).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from vrouter.answers import Answer, answer_text, plain
from vrouter.asking import request as _request
from vrouter.errors import BagError, Fault, Refused, VrouterError
from vrouter.explain.packet import parse
from vrouter.explain.text import explanation_text
from vrouter.lab.cli import lab
from vrouter.past.cli import confirm, diff, history, rollback
from vrouter.settings import load_settings
from vrouter.show.cli import completion, show, status
from vrouter.topology.cli import topology
from vrouter.trace.cli import trace

FILES = click.argument("files", nargs=-1, required=True, type=click.Path())
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
USAGE, FAILED, CHANGES, STOPPED = 64, 1, 2, 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrouter")
def cli() -> None:
    """The brain of a cloud's virtual router.

    \b
    Exit status: 0 done or nothing to change, 1 refused or failed,
    2 there is something to change (`plan`), something is wrong
    (`status`), a packet does not pass (`explain`) or none was seen
    (`trace`), 64 wrong usage.
    Example: vrouter status
    """


@cli.command("validate")
@FILES
@JSON
def validate_files(files: tuple[str, ...], as_json: bool) -> int:
    """Hold command FILES against the schema of their type; changes nothing.

    \b
    Exit status: 0 all are valid, 1 one is refused, 64 wrong usage.
    Example: vrouter validate forwarding_rules.json
    JSON: files [file, type, refused, faults [path, value, expected, fix]].
    """
    found = [_validated(name) for name in files]
    if as_json:
        click.echo(json.dumps({"files": found}, indent=2))
    for file in [] if as_json else found:
        faults = [f"  {Fault(**fault)}" for fault in file["faults"]]
        click.echo(
            "\n".join([f"{plain(file['file'])} refused:", *faults]) if faults else f"{plain(file['file'])}: valid"
        )
    return FAILED if any(file["refused"] for file in found) else 0


@cli.command()
@FILES
@JSON
@click.option("--all", "every", is_flag=True, help="Every line, however many, also on a terminal.")
def plan(files: tuple[str, ...], as_json: bool, every: bool) -> int:
    """Show what applying command FILES, one after the other, would change; changes nothing.

    \b
    Exit status: 0 nothing to change, 2 changes, 1 refused.
    Example: vrouter plan forwarding_rules.json
    JSON: changes [action, kind, name, before, after, origin], pending, and
    files, each with file, type, refused, faults, changes (how many of the
    list), diffs [path, diff], daemons [name, action, why], ends {rules,
    connections, complete}, expected_ms. docs/show.md describes each.
    """
    found = _request("plan", _contents(files))
    if as_json:
        _print(found, as_json)
    else:
        from vrouter.show.plan_text import plan_text
        from vrouter.show.terminal import screen

        click.echo(plan_text(found, screen(), every))
    return _status(found) or (CHANGES if found["changes"] else 0)


@cli.command()
@FILES
@click.option(
    "--confirm",
    "seconds",
    type=click.FloatRange(1, 86400),
    metavar="SECONDS",
    help="Take the change back after so long, unless vrouter confirm keeps it.",
)
@JSON
def apply(files: tuple[str, ...], seconds: float | None, as_json: bool) -> int:
    """Apply command FILES, one after the other, as update_config does; the files stay where they are.

    \b
    Exit status: 0 done or nothing to change, 1 one was refused or failed
    (the others are done), 64 wrong usage.
    Example: vrouter apply --confirm 60 forwarding_rules.json
    JSON: changes and pending as plan has them, and files, each with file,
    type, refused, faults, changes (how many of the list), state (its
    number in vrouter history, 0 for none), elapsed_ms, stages_ms.
    """
    if seconds is None:
        found = _request("apply", _contents(files))
    else:
        from vrouter.past.confirm import start

        found = start(_contents(files), seconds)
    _print(found, as_json)
    if seconds is not None and any(file["state"] for file in found["files"]):
        click.echo(f"goes back by itself in {seconds:g} s; vrouter confirm keeps it", err=True)
    return _status(found)


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@JSON
def converge(dry_run: bool, as_json: bool) -> int:
    """Make the machine what the saved databags say: at boot, after a failure, after foreign hands.

    Where a databag cannot be read and no policy is loaded yet, a closed policy is: SSH on the control interface only.

    \b
    Exit status: 0 done or nothing to change, 1 failed, 64 wrong usage;
    with --dry-run 2 for changes.
    Example: vrouter converge --dry-run
    JSON: changes and pending as plan has them, and an empty list files.
    """
    try:
        found = _request("converge", {"dry_run": dry_run})
    except BagError:
        if not dry_run:
            from vrouter.embedded import close_policy

            close_policy()
        raise
    _print(found, as_json)
    return 2 if dry_run and found["changes"] else 0


@cli.command()
@click.argument("protocol", metavar="PROTO", type=click.Choice(["tcp", "udp", "icmp"]))
@click.argument("source", metavar="SRC[:PORT]")
@click.argument("destination", metavar="DST[:PORT]")
@click.option("--in", "device", metavar="DEV", default="", help="Where it comes in; `local`: of the router itself.")
@click.option(
    "--state", type=click.Choice(["new", "established"]), default="new", show_default=True, help="Of its connection."
)
@click.option("--type", "icmp_type", metavar="TYPE[/CODE]", default="", help="Of ICMP; 8, echo request, if not told.")
@JSON
def explain(
    protocol: str, source: str, destination: str, device: str, state: str, icmp_type: str, as_json: bool
) -> int:
    """Would this packet pass, and why? From the databags; changes nothing and sends nothing.

    Each line is a decision: where, by which rule, and the databag entry that it rests on. Without --in the interface
    is the one that leads back to the source. An established packet goes the way of its connection's first one, whether
    that would still be let in or not; the way of an answer is told with the first packet. Foreign tables and routes are
    not seen, nor whether anything listens where the packet ends.

    \b
    Exit status: 0 it passes, 2 it does not, 1 failed, 64 wrong usage.
    Examples: vrouter explain --in eth2 tcp 198.51.100.7:40000 192.0.2.12:80
              vrouter explain icmp 10.1.1.11 203.0.113.11 --type 8
    JSON: packet, guessed (its interface), verdict, passes, out and via,
    ends (after translation), steps [stage, does, chain, rule, because
    [kind, name, value, origin, command]], hint, and answer: the same of
    the way back, or null.
    """
    try:
        packet = parse(protocol, source, destination, device=device, state=state, type=icmp_type)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    found = _request("explain", packet.as_json())
    click.echo(json.dumps(found, indent=2) if as_json else explanation_text(found))
    return 0 if found["passes"] else STOPPED


@cli.command()
@click.option("--background", is_flag=True, help="Return when it serves, where no service manager runs.")
def agent(background: bool) -> int:
    """Stay resident: take commands from the socket and the cache directory, keep the machine what the databags say.

    \b
    Exit status: 0 it was stopped (with --background: it serves), 1 it cannot
    start, 64 wrong usage.
    Example: vrouter agent
    """
    settings = load_settings(os.environ)
    if background:
        from vrouter.agent.background import start_in_background

        start_in_background(settings)
    else:
        from vrouter.agent.memory import returned
        from vrouter.agent.server import Agent

        returned()
        Agent(settings).run()
    return 0


show.add_command(topology)
for command in (status, show, trace, history, diff, rollback, confirm, completion, lab):
    cli.add_command(command)


def _validated(name: str) -> Answer:
    from vrouter.validate import parse_document, validate

    faults: tuple[Fault, ...] = ()
    type = ""
    try:
        parsed = parse_document(Path(name).read_bytes())
        type = parsed.type
        validate(parsed.document, type)
    except Refused as refused:
        faults = refused.faults
    except OSError as error:
        faults = (Fault("", "", f"cannot read it: {error.strerror}"),)
    return {"file": name, "type": type, "refused": bool(faults), "faults": [fault.as_json() for fault in faults]}


def _contents(files: tuple[str, ...]) -> Answer:
    """Name and content of each file; None in place of one that cannot be read."""
    found: list[tuple[str, str | None]] = []
    for name in files:
        try:
            found.append((name, Path(name).read_bytes().decode("latin-1")))
        except OSError:
            found.append((name, None))
    return {"files": found}


def _status(found: Answer) -> int:
    return FAILED if any(file["refused"] for file in found["files"]) else 0


def _print(found: Answer, as_json: bool) -> None:
    click.echo(json.dumps(found, indent=2) if as_json else answer_text(found))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    try:
        result = cli.main(args=arguments, prog_name="vrouter", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return 130
    except VrouterError as error:
        click.echo(f"vrouter: {error}", err=True)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
