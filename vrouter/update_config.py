"""`update_config <file> [false]`: the orchestrator's command (contract commands 2)."""

from __future__ import annotations

import sys

from vrouter.command import outcome_text, plain, session
from vrouter.errors import VrouterError

USAGE = """usage: update_config FILE [false]
  FILE   name of a file in /var/cache/cloud
  false  delete the file when it is done, instead of archiving it
exit status: 0 done, 1 refused, failed or wrong usage"""


def main(arguments: list[str] | None = None) -> int:
    """The exit status; silent when the command is done, so that the orchestrator's detail text stays empty."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) not in (1, 2):
        print(USAGE, file=sys.stderr)
        return 1
    keep = len(arguments) == 1 or arguments[1].lower() != "false"
    try:
        return _run(arguments[0], keep)
    except VrouterError as error:
        print(f"update_config: {error}", file=sys.stderr)
        return 1


def _run(name: str, keep: bool) -> int:
    with session(asked=name) as open_session:
        intake = open_session.intake
        claimed = intake.claim(name)
        outcome = open_session.router.run(claimed, keep) if claimed else open_session.finished.get(name)
        if outcome is None:
            if intake.was_done(name):
                return 0  # by an earlier call (contract commands 7.1, K3)
            why = intake.was_refused(name)
            shown = plain(name)
            print(f"{shown} was refused:\n{why}" if why else f"{shown}: no such file in the cache", file=sys.stderr)
            return 1
        if outcome.faults:
            print(outcome_text(outcome), file=sys.stderr)
        return 1 if outcome.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
