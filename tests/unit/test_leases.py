"""The lease file: what is read of it, and what is taken out of it while its daemon does not run."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from vrouter.host.leases import forget, leases
from vrouter.model.values import Mac

ONE = "0 02:00:00:00:00:0A 10.1.1.10 web1 *\n"
OTHERS = (
    "1790000000 02:00:00:00:00:0b 10.1.1.11 * 01:02:00:00:00:00:0b\n"
    "duid 00:01:00:01:2a:2a:2a:2a:02:00:00:00:00:01\n"
    "1790000000 123456 2001:db8::11 * 00:03:00:01:02:00:00:00:00:0b\n"
)


def test_only_leases_of_the_address_and_the_mac_go(tmp_path: Path) -> None:
    file = tmp_path / "dnsmasq.leases"
    file.write_text(ONE + OTHERS)
    moved = (IPv4Address("10.1.1.11"), Mac("02:00:00:00:00:0a"))
    forget(str(file), [moved])
    assert file.read_text() == ONE + OTHERS
    forget(str(file), [moved, (IPv4Address("10.1.1.10"), Mac("02:00:00:00:00:0a"))])
    assert file.read_text() == OTHERS
    assert [str(lease.address) for lease in leases(str(file))] == ["10.1.1.11"]


def test_without_a_file_there_is_nothing_to_forget(tmp_path: Path) -> None:
    forget(str(tmp_path / "none"), [(IPv4Address("10.1.1.10"), Mac("02:00:00:00:00:0a"))])
    assert not (tmp_path / "none").exists()
