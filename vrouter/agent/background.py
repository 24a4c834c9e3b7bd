"""Starts the agent where no service manager does: in the lab, in a rescue shell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from vrouter.agent.client import SOCKET
from vrouter.errors import VrouterError
from vrouter.model.settings import Settings

LOG = "/var/log/vrouter-agent.log"
_SERVES_S = 30.0
_POLL_S = 0.01


def start_in_background(settings: Settings) -> None:
    """Return when it serves; what it says goes to LOG. Raises VrouterError when it ends or does not serve in time."""
    with open(LOG, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vrouter", "agent"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )  # fmt: skip
    end = time.monotonic() + _SERVES_S
    while process.poll() is None and time.monotonic() < end:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(Path(settings.run_dir, SOCKET)))
                return
            except OSError:
                time.sleep(_POLL_S)
    raise VrouterError(f"the agent does not serve; see {LOG}")
