"""`update_config <file> [false]`: the orchestrator's command (contract commands 2).

A thin client of the agent; where none runs, the same pipeline runs in this process, under the same lock.
"""

from __future__ import annotations

import os
import sys

from vrouter.agent.client import RUN_DIR, ask

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
    name, keep = arguments[0], len(arguments) == 1 or arguments[1].lower() != "false"
    answer = None
    if "\n" not in name and "\0" not in name:
        answer = ask(os.environ.get("VROUTER_RUN_DIR", RUN_DIR), "update_config", name, "keep" if keep else "delete")
    if answer is None:
        if sys.flags.no_site:  # the thin entry was started without installed packages, which the engine needs
            import site

            site.main()
        from vrouter.embedded import update_config  # only now: the engine's imports cost more than a command

        answer = update_config(name, keep)
    status, text = answer
    if text:
        print(text, file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
