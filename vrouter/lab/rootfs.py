"""What a box shows of the machine, and what it has of its own: files, directories, sysctls."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from vrouter.lab.topology import Node, Service

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"PATH": PATH, "HOME": "/root", "USER": "root", "LANG": "C.UTF-8", "TERM": "xterm"}
)
"""Of every command in a box; nothing is inherited from the caller."""

CHECKOUT = Path(__file__).absolute().parents[2]
"""The directory that holds the package `vrouter`: the checkout, or site-packages."""

BOX = Path(__file__).absolute().parent / "files" / "box.sh"

ROUTER_OWN = (
    "/etc/cloudstack",
    "/etc/dnsmasq.d",
    "/etc/vrouter",
    "/var/cache/cloud",
    "/var/lib/misc",
    "/var/lib/vrouter",
    "/var/log/vrouter",
)
"""Directories of a router that hold nothing of the machine's."""

ROUTER_EMPTY = ("/var/cache/cloud/failed", "/var/cache/cloud/processed")

ROUTER_FORGETS = (
    "/etc/dnsmasq-resolv.conf",
    "/etc/iproute2/rt_tables.d/vrouter.conf",
    "/etc/rpsrfsenable",
    "/var/log/dnsmasq.log",
)
"""Files that a router writes itself and does not take over from the machine."""

_PRIVATE = ("/tmp", "/run", "/dev", "/proc", "/sys")  # noqa: S108  # not used as such
_ENTRIES = {
    "/opt/cloud/bin/update_config.py": "vrouter.update_config",
    "/usr/local/bin/update_config": "vrouter.update_config",
    "/usr/local/bin/vrouter": "vrouter.__main__",
}


@dataclass(frozen=True)
class OwnFile:
    """A file that a box has in place of the machine's."""

    data: bytes
    mode: int = 0o644


def own_files(node: Node) -> dict[str, OwnFile]:
    """Absolute path to file. Names and resolvers of the machine would show in DHCP and DNS tests, so they are ours."""
    files = {
        "/etc/hostname": OwnFile(f"{node.hostname}\n".encode()),
        "/etc/hosts": OwnFile(b"127.0.0.1 localhost\n"),
        "/etc/resolv.conf": OwnFile(b""),
    }
    if Service.DHCP in node.services:
        files["/usr/local/bin/dhcp-renew"] = OwnFile(BOX.with_name("dhcp-renew").read_bytes(), 0o755)
        files["/usr/local/lib/vrouter-lab/udhcpc"] = OwnFile(BOX.with_name("udhcpc").read_bytes(), 0o755)
    if node.router:
        files["/etc/vrouter/vrouter.toml"] = OwnFile(b'supervisor = "process"\n')
        for path, module in _ENTRIES.items():
            files[path] = OwnFile(_entry(module).encode(), 0o755)
    return files


_THIN = ("vrouter.update_config",)
"""Entries that need no installed package unless they fall back to the engine; they start in a third of the time."""


def _entry(module: str) -> str:
    """A command that runs the checkout's code, installed or not, under the interpreter that started the lab."""
    return (
        f"#!{sys.executable}{' -S' if module in _THIN else ''}\n"
        "import sys\n\n"
        f"sys.path.insert(0, {str(CHECKOUT)!r})\n"
        f"from {module} import main\n\n"
        "raise SystemExit(main())\n"
    )


def write_files(directory: Path, node: Node) -> None:
    """Write the node's own files below `directory`, as box.sh lays them over the root; modes whatever the umask is."""
    directory.mkdir()
    for name, file in own_files(node).items():
        path = directory / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    for name in ROUTER_EMPTY if node.router else ():
        (directory / name[1:]).mkdir(parents=True)
    for parent, _, _ in os.walk(directory):
        os.chmod(parent, 0o755)  # noqa: S103  # as every directory of a system


def mount_points() -> list[str]:
    """Where this machine has mounts; / is not one of them in a chroot to a plain directory."""
    return [_unescape(line.split(" ")[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def arguments(node: Node, points: Sequence[str]) -> list[str]:
    """The last arguments of box.sh. points: where the machine has mounts."""
    return [*_router_arguments(node), *_bind_arguments(points), *_sysctl_arguments(node)]


def _router_arguments(node: Node) -> Iterator[str]:
    if not node.router:
        return
    for path in ROUTER_OWN:
        yield from ("hide", path)
    for path in ROUTER_FORGETS:
        yield from ("forget", path)


def _bind_arguments(points: Sequence[str]) -> Iterator[str]:
    """The checkout always, so that an edit shows at once; the interpreter where the overlay does not show it."""
    interpreter = [path for prefix in (sys.prefix, sys.base_prefix) for path in _names(prefix) if hidden(path, points)]
    bound: list[Path] = []
    for path in [*_names(CHECKOUT), *interpreter]:
        if not any(path.is_relative_to(other) for other in bound):
            bound.append(path)
            yield from ("bind", str(Path(path).resolve()), str(path))


def _names(path: str | Path) -> list[Path]:
    """A directory as it was named and as it is, where symbolic links lead to it."""
    return list(dict.fromkeys((Path(path).absolute(), Path(path).resolve())))


def hidden(path: Path, points: Iterable[str]) -> bool:
    """Whether an overlay of the root file system alone does not show `path`. points: where the machine mounts."""
    roots = (*_PRIVATE, *(point for point in points if point != "/"))
    return any(path.is_relative_to(root) for root in roots)


def _unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo: space, tab, newline, backslash."""
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, character)
    return text


def _sysctl_arguments(node: Node) -> Iterator[str]:
    """The kernel's defaults whatever the machine has set (a new namespace inherits the machine's IPv4 values)."""
    wanted = {
        "net/ipv4/ip_forward": int(node.forwards),  # first: it resets others
        "net/ipv4/conf/all/rp_filter": 0,
        "net/ipv4/conf/default/rp_filter": 0,
    }
    if not node.router:
        wanted |= {"net/ipv6/conf/all/disable_ipv6": 1, "net/ipv6/conf/default/disable_ipv6": 1}
    for name, value in wanted.items():
        yield from ("set", name, str(value))
