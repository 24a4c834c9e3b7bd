"""What the system tests work with: a lab's router, its guests and hosts, packets and daemons. Nothing is mocked."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vrouter.lab.lab import Lab

EXAMPLES = Path(__file__).parent.parent / "examples"
ISOLATED = sorted((EXAMPLES / "isolated").glob("*.json"))

Document = Mapping[str, Any]
T = TypeVar("T")


def example(name: str) -> dict[str, Any]:
    """An example command by its path below tests/examples, without `.json`."""
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return found


@contextmanager
def isolated(*, agent: bool = False, told: bool = True) -> Iterator[Router]:
    """A router in a lab of its own, with an agent or without; told: it serves the isolated example."""
    assert os.geteuid() == 0, "these tests build network namespaces: run them as root"
    with Lab.up("isolated", f"t{uuid.uuid4().hex[:10]}", agent=agent) as lab:
        router = Router(lab)
        if told:
            router.send(*(example(f"isolated/{path.stem}") for path in ISOLATED))
        yield router


def eventually(probe: Callable[[], T], limit_s: float = 5.0) -> T:
    """The first true result of a probe; the last one when the limit is reached."""
    end = time.monotonic() + limit_s
    while not (result := probe()) and time.monotonic() < end:
        time.sleep(0.05)
    return result


@dataclass
class Router:
    """The router of a lab, and the nodes around it."""

    lab: Lab
    count: int = 0

    # -- commands -----------------------------------------------------------------------------------------------------

    def sh(self, node: str, *argv: str, limit_s: float = 30, ok: bool = True) -> str:
        """Run a program in a node; its stdout. ok: fail the test on another exit status than 0."""
        done = self.lab.run(node, argv, timeout_s=limit_s)
        assert done.returncode == 0 or not ok, f"{node}: {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout)

    def run(self, *argv: str, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program in the router."""
        return self.lab.run("router", argv, timeout_s=limit_s)

    def put(self, document: Document | bytes, name: str = "") -> str:
        """Drop a command file into the cache directory; its name."""
        self.count += 1
        name = name or f"command.json.{self.count:08d}"
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.lab.put("router", f"/var/cache/cloud/{name}", content)
        return name

    def update_config(self, document: Document | bytes, name: str = "", *more: str) -> subprocess.CompletedProcess[str]:
        """Drop a command file and call update_config on it, as the orchestrator does."""
        return self.run("/opt/cloud/bin/update_config.py", self.put(document, name), *more)

    def send(self, *documents: Document) -> dict[str, Any]:
        """Apply documents in one process; what `vrouter apply --json` says. Fails the test when one is refused."""
        return self._vrouter("apply", documents, (0,))

    def plan(self, *documents: Document) -> dict[str, Any]:
        """What `vrouter plan --json` says."""
        return self._vrouter("plan", documents, (0, 2))

    def _vrouter(self, verb: str, documents: Sequence[Document], good: tuple[int, ...]) -> dict[str, Any]:
        paths = []
        for document in documents:
            self.count += 1
            paths.append(f"/tmp/c{self.count:04d}.json")
            self.lab.put("router", paths[-1], json.dumps(document).encode())
        done = self.run("vrouter", verb, "--json", *paths)
        assert done.returncode in good, f"{verb}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    # -- the router's state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that makes two states equal (design 4a)."""
        return {
            "nft": canonical(json.loads(self.sh("router", "nft", "-j", "list", "ruleset"))),
            "addresses": sorted(
                (link["ifname"], a["local"], a["prefixlen"], a.get("secondary", False))
                for link in json.loads(self.sh("router", "ip", "-j", "-4", "addr"))
                for a in link["addr_info"]
            ),
            "routes": sorted(self.sh("router", "ip", "-4", "route", "list", "table", "all").splitlines()),
            "rules": self.sh("router", "ip", "-4", "rule").splitlines(),
            "files": self.files("/etc/dnsmasq.d", "/etc/dnsmasq-resolv.conf", "/etc/resolv.conf", "/var/lib/vrouter",
                                "/etc/iproute2"),
            "bags": {name: sorted_lists(json.loads(text)) for name, text in self.files("/etc/cloudstack").items()},
        }  # fmt: skip

    def files(self, *paths: str) -> dict[str, str]:
        """Every file below the paths, with its text."""
        root = Path(f"/proc/{self.lab.pid('router')}/root")
        found = [file for path in paths for top in [root / path[1:]] for file in [top, *top.rglob("*")]]
        return {
            f"/{file.relative_to(root)}": file.read_bytes().decode(errors="replace")
            for file in sorted(found)
            if file.is_file() and not file.is_symlink()
        }

    def generation(self) -> int:
        """The nftables generation id: it steps with every change of any table."""
        script = (
            "import socket,struct\n"
            "s=socket.socket(socket.AF_NETLINK,socket.SOCK_RAW,12)\n"
            "s.send(struct.pack('=IHHIIBBH',20,(10<<8)|16,1,1,0,0,0,0))\n"
            "print(struct.unpack('!I',s.recv(512)[24:28])[0])"
        )  # NFT_MSG_GETGEN of nfnetlink's subsystem 10; the first attribute of the answer is the id
        return int(self.sh("router", "python3", "-c", script))

    def elements(self, name: str) -> list[Any]:
        """The elements of a set or map of ours."""
        listing = json.loads(self.sh("router", "nft", "-j", "list", "table", "ip", "vrouter"))["nftables"]
        found = next(
            item[kind] for item in listing for kind in ("set", "map") if item.get(kind, {}).get("name") == name
        )
        elements: list[Any] = found.get("elem", [])
        return elements

    def pid(self, program: str = "dnsmasq") -> int:
        """The one process of a daemon in the router."""
        return int(self.sh("router", "pidof", "-s", program))

    # -- packets ------------------------------------------------------------------------------------------------------

    def http(self, node: str, url: str, limit_s: float = 2) -> str:
        """The body that a web host answers: the client's address as the host saw it; empty when nothing answers."""
        argv = ("curl", "-s", "--max-time", str(limit_s), f"http://{url}/")
        return self.sh(node, *argv, limit_s=limit_s + 5, ok=False).strip()

    def ping(self, node: str, address: str, *options: str) -> bool:
        """Whether an echo request is answered within a second."""
        argv = ("ping", "-c", "1", "-W", "1", *options, address)
        return self.lab.run(node, argv).returncode == 0

    def dig(self, node: str, *query: str) -> list[str]:
        """The short answers to a DNS query; none when nothing answers, of which dig complains in lines of `;`."""
        lines = self.sh(node, "dig", "+short", "+time=1", "+tries=1", *query, ok=False).splitlines()
        return [word for line in lines if not line.startswith(";") for word in line.split()]

    def lease(self, guest: str) -> dict[str, str]:
        """What a guest's DHCP client gets now: its variables; empty when no lease is given."""
        self.lab.run(guest, ("rm", "-f", "/run/dhcp/eth0"))
        if self.lab.run(guest, ("dhcp-renew",)).returncode:
            return {}
        lines = self.sh(guest, "cat", "/run/dhcp/eth0").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @contextmanager
    def udp_server(self, node: str, port: int) -> Iterator[None]:
        """A UDP server that answers each datagram with the address and port it came from."""
        script = (
            "import socket,sys\n"
            "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('',int(sys.argv[1])));print('up',flush=True)\n"
            "while True:\n d,a=s.recvfrom(2048);s.sendto(('%s %d %s'%(a[0],a[1],sys.argv[1])).encode(),a)\n"
        )
        with self._server(node, script, str(port)):
            yield

    @contextmanager
    def tcp_server(self, node: str, port: int) -> Iterator[None]:
        """A TCP server that says the client's address and its own port, then echoes lines until the client leaves."""
        script = (
            "import socket,sys,threading\n"
            "s=socket.create_server(('',int(sys.argv[1])),backlog=64);print('up',flush=True)\n"
            "def serve(c,a):\n"
            " c.sendall(('%s %s\\n'%(a[0],sys.argv[1])).encode())\n"
            " while (d:=c.recv(65536)): c.sendall(d)\n"
            "while True:\n c,a=s.accept();threading.Thread(target=serve,args=(c,a),daemon=True).start()\n"
        )
        with self._server(node, script, str(port)):
            yield

    @contextmanager
    def _server(self, node: str, script: str, *argv: str) -> Iterator[None]:
        process = self.lab.popen(node, ("python3", "-c", script, *argv), stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() in ("up", b"up")
            yield
        finally:
            process.kill()
            process.wait()

    def udp(self, node: str, address: str, port: int, text: str = "hello") -> str:
        """What a UDP server answers; empty when nothing comes back within a second."""
        script = (
            "import socket,sys\n"
            "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(1);s.connect((sys.argv[1],int(sys.argv[2])))\n"
            "s.send(sys.argv[3].encode())\n"
            "try: print(s.recv(2048).decode())\nexcept OSError: pass\n"
        )
        return self.sh(node, "python3", "-c", script, address, str(port), text).strip()

    def tcp(self, node: str, address: str, port: int) -> str:
        """The first line that a TCP server says; empty when it cannot be reached within two seconds."""
        script = (
            "import socket,sys\n"
            "to=(sys.argv[1],int(sys.argv[2]))\n"
            "try: print(socket.create_connection(to,2).recv(2048).decode().splitlines()[0])\n"
            "except (OSError, IndexError): pass\n"
        )
        return self.sh(node, "python3", "-c", script, address, str(port)).strip()

    @contextmanager
    def stream(self, node: str, address: str, port: int) -> Iterator[Stream]:
        """A TCP connection to a `tcp_server` that stays open."""
        script = (
            "import socket,sys\n"
            "s=socket.create_connection((sys.argv[1],int(sys.argv[2])),3);f=s.makefile('r');print(f.readline().strip(),flush=True)\n"
            "s.settimeout(2)\n"
            "for line in sys.stdin:\n"
            " try:\n  s.sendall(line.encode());print(f.readline().strip() or 'closed',flush=True)\n"
            " except OSError as e: print('lost',flush=True)\n"
        )
        process = self.lab.popen(
            node, ("python3", "-c", script, address, str(port)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield Stream(process)
        finally:
            process.kill()
            process.wait()


class Stream:
    """An open TCP connection; the far end echoes."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self._process = process
        self.greeting = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return (line.decode() if isinstance(line, bytes) else line).strip()

    def echoes(self, text: str = "ping") -> bool:
        """Whether a line comes back; False when the connection is lost or nothing comes within two seconds."""
        assert self._process.stdin is not None
        raw: Any = self._process.stdin
        raw.write((text + "\n").encode() if "b" in getattr(raw, "mode", "b") else text + "\n")
        raw.flush()
        return self._line() == text


def canonical(listing: Any) -> list[str]:
    """`nft -j list ruleset` without handles and counter values, objects and elements sorted (design 4a)."""
    return sorted(json.dumps(_bare(item), sort_keys=True) for item in listing["nftables"] if "metainfo" not in item)


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _bare(item) for key, item in value.items() if key not in ("handle", "packets", "bytes")}
        if "elem" in kept and isinstance(kept["elem"], list):
            kept["elem"] = sorted(kept["elem"], key=lambda item: json.dumps(item, sort_keys=True))
        return kept
    return [_bare(item) for item in value] if isinstance(value, list) else value


def sorted_lists(value: Any) -> Any:
    """A bag with its lists sorted: their order does not count (design 4a)."""
    if isinstance(value, dict):
        return {key: sorted_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value
