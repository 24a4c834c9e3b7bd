"""What others have put into the packet's way: other tables of nftables, and the older iptables. Only read."""

from __future__ import annotations

import shutil
from pathlib import Path

from vrouter.errors import HostError
from vrouter.host import programs
from vrouter.host.nft import Nft

_LEGACY = Path("/proc/net/ip_tables_names")
_SAVE = "iptables-legacy-save"
_LIMIT_S = 2.0


def ruleset() -> str:
    """All tables of nftables as text, without the elements of sets, which may be many. Raises HostError."""
    nft = Nft()
    try:
        return nft.ruleset()
    finally:
        nft.close()


def legacy() -> str:
    """The tables of the older iptables, in its own words; only their names where the program is not there to read them,
    empty where the kernel has none."""
    try:
        names = _LEGACY.read_text().split()
    except OSError:
        return ""
    if not names:
        return ""
    program = shutil.which(_SAVE, path="/usr/sbin:/sbin:/usr/bin:/bin")
    try:
        return programs.run([program], _LIMIT_S) if program else "\n".join(f"*{name}" for name in names)
    except HostError:
        return "\n".join(f"*{name}" for name in names)
