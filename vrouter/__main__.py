"""The command line `vrouter`: text for people, JSON for programs.

Exit status: 0 done or nothing to change, 1 refused or failed, 2 changes (only `plan`), 64 usage.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from vrouter.command import REGISTRY, changes_text, outcome_text, outcomes_json, plain, session
from vrouter.errors import BagError, Fault, Refused, VrouterError
from vrouter.host.host import Host
from vrouter.lab.cli import lab
from vrouter.pipeline import Outcome, close
from vrouter.plan import Plan
from vrouter.settings import load_settings
from vrouter.validate import parse_document, validate

FILES = click.argument("files", nargs=-1, required=True, type=click.Path())
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
USAGE, FAILED, CHANGES = 64, 1, 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrouter")
def cli() -> None:
    """The brain of a cloud's virtual router.

    \b
    Exit status: 0 done or nothing to change, 1 refused or failed,
    2 there is something to change (only `plan`), 64 wrong usage.
    """


@cli.command("validate")
@FILES
@JSON
def validate_files(files: tuple[str, ...], as_json: bool) -> int:
    """Hold command FILES against the schema of their type; changes nothing.

    Example: vrouter validate forwarding_rules.json
    """
    outcomes = [_validated(name) for name in files]
    _print(outcomes, as_json, "valid", ())
    return _status(outcomes)


@cli.command()
@FILES
@JSON
def plan(files: tuple[str, ...], as_json: bool) -> int:
    """Show what applying command FILES, one after the other, would change; changes nothing.

    Example: vrouter plan forwarding_rules.json
    """
    with session(waiting=False) as current:
        outcomes = []
        for name in files:
            try:
                outcomes.append(current.router.plan(name, Path(name).read_bytes()))
            except OSError as error:
                outcomes.append(Outcome(name, faults=(Fault("", "", f"cannot read it: {error.strerror}"),)))
        _print(outcomes, as_json, "", current.router.pending())
    return _status(outcomes) or (CHANGES if any(outcome.plan for outcome in outcomes) else 0)


@cli.command()
@FILES
@JSON
def apply(files: tuple[str, ...], as_json: bool) -> int:
    """Apply command FILES, one after the other, as update_config does; the files stay where they are.

    Example: vrouter apply forwarding_rules.json
    """
    with session() as current:
        outcomes = []
        for name in files:
            try:
                outcomes.append(current.router.run(current.intake.copy_in(name)))
            except VrouterError as error:
                outcomes.append(Outcome(name, faults=(Fault("", "", str(error)),)))
        _print(outcomes, as_json, "", current.router.pending())
    return _status(outcomes)


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@JSON
def converge(dry_run: bool, as_json: bool) -> int:
    """Make the machine what the saved databags say: at boot, after a failure, after foreign hands.

    Where a databag cannot be read and no policy is loaded yet, a closed policy is: SSH on the control interface only.

    Example: vrouter converge --dry-run
    """
    try:
        with session(waiting=not dry_run) as current:
            _print_plan(current.router.converge(dry_run), as_json)
    except BagError:
        if not dry_run:
            with Host(load_settings(os.environ)) as host:
                close(REGISTRY, host)
        raise
    return 0


cli.add_command(lab)


def _validated(name: str) -> Outcome:
    try:
        parsed = parse_document(Path(name).read_bytes())
        validate(parsed.document, parsed.type)
    except Refused as refused:
        return Outcome(name, faults=refused.faults)
    except OSError as error:
        return Outcome(name, faults=(Fault("", "", f"cannot read it: {error.strerror}"),))
    return Outcome(name, parsed.type)


def _status(outcomes: list[Outcome]) -> int:
    return FAILED if any(outcome.faults for outcome in outcomes) else 0


def _print(outcomes: list[Outcome], as_json: bool, good: str, pending: object) -> None:
    waiting = tuple(pending) if isinstance(pending, tuple) else ()
    if as_json:
        click.echo(json.dumps(outcomes_json(outcomes, waiting), indent=2))
        return
    for outcome in outcomes:
        click.echo(f"{plain(outcome.file)}: {good}" if good and not outcome.faults else outcome_text(outcome))
    for item in waiting:
        click.echo(f"  pending: {item.origin} waits for {item.needs}")


def _print_plan(made: Plan, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"changes": made.changes_tree()}, indent=2))
    else:
        click.echo("\n".join(["changes:", *changes_text(made.changes_tree())]) if made else "nothing to change")


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
