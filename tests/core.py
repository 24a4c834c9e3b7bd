"""The pure core without a machine: command files in, bags and resources out, and all of it as a tree of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vrouter.features import BAGS, COMMANDS
from vrouter.handlers import HANDLERS
from vrouter.host import nft_text
from vrouter.model.bag import Changes, Entry, effective, updated
from vrouter.model.intents import Intent
from vrouter.model.machine import Device, Machine
from vrouter.model.resources import File, HostRecord, Key, Resource, Unit
from vrouter.model.table import Element
from vrouter.model.values import Mac
from vrouter.pending import pending
from vrouter.plan import Plan, diff
from vrouter.validate import parse_document, validate
from vrouter.wanted import Source, Wanted

Document = Mapping[str, Any]
Tree = dict[str, str]

FIXED_KINDS = ("chain", "set", "map", "helper")
NETWORK_KINDS = ("link", "address", "route", "rule")


def machine(devices: Mapping[str, str]) -> Machine:
    """A machine with these devices, by name with their MACs."""
    return Machine(devices=tuple(sorted(Device(name, Mac(mac)) for name, mac in devices.items())))


class Core:
    """The databags of one router and all that they ask for."""

    def __init__(self, on: Machine, saved: Mapping[str, Any] | None = None) -> None:
        """saved: the JSON of databags by name, as their files hold it."""
        self.machine = on
        self.bags: dict[str, dict[str, Entry]] = {
            name: dict(bag.load((saved or {}).get(name, {}))) for name, bag in BAGS.items()
        }
        self.wanted = Wanted(HANDLERS, on)
        self.wanted.change({s: self.asked(s[0], entry) for s, entry in self.entries()})

    def entries(self) -> Iterator[tuple[Source, Entry]]:
        """Every entry of every bag."""
        return (((name, key), entry) for name, bag in self.bags.items() for key, entry in bag.items())

    def asked(self, bag: str, entry: Entry | None) -> tuple[Intent, ...]:
        """What an entry asks for; nothing where there is none."""
        return tuple(BAGS[bag].desired(entry, self.machine)) if entry else ()

    def merged(self, document: Document) -> dict[str, Changes]:
        """What a command changes, after it went through parser and schema. Raises Refused."""
        parsed = parse_document(json.dumps(document).encode())
        validate(parsed.document, parsed.type)
        command = COMMANDS[parsed.type]
        changes = command.merge(parsed.document, {name: self.bags[name] for name in command.bags}, self.machine)
        return {name: effective(self.bags[name], change) for name, change in changes.items()}

    def run(self, *documents: Document) -> Plan:
        """Take commands one after the other; the plan of them all."""
        before = dict(self.resources)
        for document in documents:
            self.change(self.merged(document))
        return diff(before, self.resources)

    def change(self, changes: Mapping[str, Changes]) -> dict[Key, Resource | None]:
        """Take changes of bags; what was wanted before at the keys that this touches."""
        asked = {
            (name, key): self.asked(name, entry) for name, change in changes.items() for key, entry in change.items()
        }
        for name, change in changes.items():
            self.bags[name] = updated(self.bags[name], change)
        return self.wanted.change(asked)

    @property
    def resources(self) -> dict[Key, Resource]:
        """All that is wanted."""
        return self.wanted.resources

    def saved(self) -> dict[str, Any]:
        """The JSON of every bag, as it comes back from its file."""
        texts = {name: json.dumps(BAGS[name].dump(bag), sort_keys=True) for name, bag in self.bags.items()}
        return {name: json.loads(text) for name, text in texts.items()}

    def tree(self) -> Tree:
        """Everything as texts by path, sorted inside. The fixed part of the packet policy is `policy`."""
        resources = [self.resources[key] for key in sorted(self.resources)]
        bags = {
            f"bags/{name}.json": json.dumps(saved, indent=2, sort_keys=True) + "\n"
            for name, saved in self.saved().items()
            if self.bags[name]
        }
        files = {f"files{r.path}": r.text for r in resources if isinstance(r, File)}
        hosts = [
            f"{r.address}{' tagged' if r.tagged else ''}\n  {r.lease}\n  {r.names}"
            for r in resources
            if isinstance(r, HostRecord)
        ]
        waiting = [f"{item.origin} needs {item.needs}" for item in pending(self.wanted.intents(), self.machine)]
        texts = {
            "elements.nft": _lines(_elements(resources)),
            "hosts.txt": _lines(hosts),
            "network.txt": _lines(_described(resources, lambda r: r.key[0] in NETWORK_KINDS)),
            "pending.txt": _lines(waiting),
            "sysctl.txt": _lines(_described(resources, lambda r: r.key[0] == "sysctl")),
            "units.txt": _lines(
                f"{r.name} {r.stamp[:12]} serves {' '.join(map(str, r.serves))}{' dns' if r.dns else ''}"
                for r in resources
                if isinstance(r, Unit)
            ),
        }  # fmt: skip
        return bags | files | {path: text for path, text in texts.items() if text}

    def policy(self) -> str:
        """The table without its elements."""
        return nft_text.script({key: r for key, r in self.resources.items() if key[0] in FIXED_KINDS})


def _elements(resources: Iterable[Resource]) -> Iterator[str]:
    """As nftables is told, one element a line."""
    for resource in resources:
        if isinstance(resource, Element):
            yield from nft_text.script({resource.key: resource}).splitlines()


def _described(resources: Iterable[Resource], among: Callable[[Resource], bool]) -> Iterator[str]:
    return (f"{' '.join(r.key)}: {r.describe()}" for r in resources if among(r))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def read_tree(directory: Path) -> Tree:
    """Every file below a directory, by its path in it."""
    return {str(p.relative_to(directory)): p.read_text() for p in sorted(directory.rglob("*")) if p.is_file()}


def documents(directory: Path) -> Sequence[Document]:
    """The command files of a directory, in the order of their names."""
    return [json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))]
