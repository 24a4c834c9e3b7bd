"""Starts what a node runs: web host, name server, DHCP client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from vrouter.lab.box import Command, entering
from vrouter.lab.errors import LabError
from vrouter.lab.rootfs import CHECKOUT, ENVIRONMENT
from vrouter.lab.topology import ZONE, Node, Service

QUERIES = "/var/log/dnsmasq-queries.log"
"""In a node that serves DNS: one line for every query, as dnsmasq writes it."""


AGENT = ["vrouter", "agent", "--background"]
"""The router's resident process."""

SERVE_S = 20.0
"""Seconds until a service must serve; it takes 0.1 on an idle machine."""


def servers(node: Node) -> Iterator[list[str]]:
    """Commands that end when the service serves; they need no links."""
    if Service.WEB in node.services:
        # no site: the web host needs nothing but the standard library, and starts in half the time
        python = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-S"]
        yield [*python, "-m", "vrouter.lab.webhost", "--background"]
    if Service.DNS in node.services:
        names = [f"--host-record={name},{address}" for name, address in sorted(node.names)]
        alone = ["--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"]
        yield ["dnsmasq", *alone, f"--local=/{ZONE}/", *names, "--log-queries", f"--log-facility={QUERIES}"]


def clients(node: Node) -> Iterator[list[str]]:
    """Commands that need the node's links, and end at once."""
    if Service.DHCP in node.services:
        yield ["dhcp-renew", "start"]


class Launch:
    """Such a command, running in a node; `finish` waits. Many run at the same time."""

    def __init__(self, node: str, pid: int, argv: list[str]) -> None:
        """pid: the PID 1 of the node."""
        self._what = f"{argv[0]} in node {node}"
        pipe = subprocess.PIPE
        self._process = Command(
            entering(pid, argv), stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, env=dict(ENVIRONMENT)
        )

    def finish(self) -> None:
        """Raises LabError with what the command printed when it failed, or took longer than SERVE_S."""
        try:
            out, _ = self._process.communicate(timeout=SERVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise LabError(f"{self._what} does not serve after {SERVE_S:g} s") from None
        if self._process.returncode != 0:
            said = out.decode(errors="replace").strip()[-500:]
            raise LabError(f"{self._what} exited {self._process.returncode}: {said}")
