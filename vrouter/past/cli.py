"""`vrouter history`, `diff`, `rollback` and `confirm`."""

from __future__ import annotations

import json
import os
import time

import click

from vrouter.answers import Answer, answer_text
from vrouter.errors import VrouterError

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.command()
@JSON
def history(as_json: bool) -> int:
    """The last states of the databags, one after each command that edited something; at most 50.

    \b
    Exit status: 0, or 1 failed.
    Example: vrouter history
    JSON: states [number, time, file, type, edits {databag: {added,
    changed, removed}}], oldest first.
    """
    from vrouter.past.text import history_text

    found = _request("history", {})
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    click.echo(json.dumps(found, indent=2) if as_json else history_text(found, now))
    return 0


@click.command()
@click.argument("first", type=int)
@click.argument("last", type=int, required=False)
@JSON
def diff(first: int, last: int | None, as_json: bool) -> int:
    """What differs in the databags from state FIRST to state LAST, or to now. Numbers are those of `vrouter history`.

    \b
    Exit status: 0, or 1 failed.
    Example: vrouter diff 41 42
    JSON: first, last, edits [bag, key, before, after].
    """
    from vrouter.past.text import difference_text

    found = _request("diff", {"first": first, "last": last})
    click.echo(json.dumps(found, indent=2) if as_json else difference_text(found))
    return 0


@click.command()
@click.argument("number", type=int)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@JSON
def rollback(number: int, dry_run: bool, as_json: bool) -> int:
    """Make the router what it was in state NUMBER of `vrouter history`. It is a change like any other: the next
    rollback can take it back.

    \b
    Exit status: 0 done or nothing to change, 1 refused or failed;
    with --dry-run 2 for changes.
    Example: vrouter rollback 41
    JSON: as of plan and apply.
    """
    found = _request("rollback", {"to": number, "dry_run": dry_run})
    click.echo(json.dumps(found, indent=2) if as_json else answer_text(found))
    if any(file["refused"] for file in found["files"]):
        return 1
    return 2 if dry_run and found["changes"] else 0


@click.command()
@click.option("--wait", "seconds", type=float, hidden=True, help="Be the process that applies, waits and takes back.")
def confirm(seconds: float | None) -> int:
    """Keep what `vrouter apply --confirm SECONDS` has changed; without it, it goes back by itself.

    \b
    Exit status: 0 kept, 1 nothing waits.
    Example: vrouter confirm
    """
    from vrouter.past.confirm import Unconfirmed, apply_and_wait
    from vrouter.settings import load_settings

    settings = load_settings(os.environ)
    if seconds is not None:
        apply_and_wait(settings, seconds, _request)
        return 0
    if not Unconfirmed(settings).close():
        raise VrouterError("nothing waits for a confirmation")
    click.echo("kept")
    return 0


def _request(verb: str, question: Answer) -> Answer:
    from vrouter.asking import request

    return request(verb, question)
