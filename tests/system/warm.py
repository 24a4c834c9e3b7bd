"""The command `vrouter` without the start of its interpreter: a process that has imported it and forks for each call.

`warm.py CHECKOUT` in the router: one call a line on stdin, a JSON list of arguments; its answer a line on stdout, a
JSON list of exit status, stdout and stderr. The same code runs as in a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile


def main() -> None:
    """Answer until stdin ends."""
    import vrouter.__main__  # noqa: F401

    print("up", flush=True)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            if not (child := os.fork()):
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                _call(json.loads(line))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        print(json.dumps([status, *texts]), flush=True)


def _call(arguments: list[str]) -> None:
    """Never returns."""
    from vrouter.__main__ import main as vrouter

    status = 70  # whatever escapes is a fault of the program
    try:
        status = vrouter(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    main()
