"""Every databag and every command type. A new feature is its module and its line here."""

from __future__ import annotations

from typing import Any

from vrouter.contracts import Bag, Command
from vrouter.features import cmdline, dhcpconfig, dhcpentry, firewallrules, forwardingrules, guestnetwork, ips, restore

_MODULES = (cmdline, ips, guestnetwork, dhcpentry, dhcpconfig, firewallrules, forwardingrules)

BAGS: dict[str, Bag[Any]] = {module.BAG.name: module.BAG for module in _MODULES}
COMMANDS: dict[str, Command] = {command.type: command for module in _MODULES for command in module.COMMANDS}
COMMANDS[restore.TYPE] = restore.command(BAGS)
