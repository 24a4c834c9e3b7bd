"""Where everything of the picture is: facts become boxes, lines and texts, in pixels. Pure.

From top to bottom: the networks outside, the router with its interfaces, each guest network with its guests in a grid,
then tables of what is translated. Boxes beside each other never overlap, and a box holds the boxes inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vrouter.topology.facts import Facts, Guest, Network
from vrouter.topology.measure import cut, length
from vrouter.topology.tables import LINE, Row, tables

WIDTH = 1240
_MARGIN = 28
_GAP = 24  # between boxes
_PAD = 14  # inside a box
_COLUMNS = 4  # of networks outside
_ADDRESS = 114  # the longest IPv4 address
_MOST_ADDRESSES = 8  # of one network
_ROOMY = 24  # guests of one network that are shown with their MAC
_FEW = 48  # guests of one network in six columns, more in eight
_LONG = 12  # rows of a table
_CELL_GAP = 8
_INNER = WIDTH - 2 * _MARGIN


@dataclass(frozen=True)
class Text:
    """One line. y: of its base line. kind: its class. end: it ends at x."""

    x: float
    y: float
    text: str
    kind: str = "small"
    end: bool = False


@dataclass(frozen=True)
class Box:
    """kind: its class. title: what is told when it is pointed at; it holds every value whole."""

    kind: str
    x: float
    y: float
    w: float
    h: float
    texts: tuple[Text, ...] = ()
    inside: tuple[Box, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class Line:
    """Points from the first to the last, joined."""

    kind: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Picture:
    """boxes: in the order in which they are read."""

    width: float
    height: float
    title: str
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def layout(facts: Facts) -> Picture:
    """The picture of a router; as wide as WIDTH, as high as it needs."""
    outside = [network for network in facts.networks if network.role != "guest"]
    guests = [network for network in facts.networks if network.role == "guest"]
    header = _header(facts)
    around = list(_outside(outside, _bottom([header]) + _GAP))
    router = _router(facts, _bottom([header, *around]) + _GAP)
    panels: list[Box] = []
    for panel in _panels(facts, guests):
        panels.append(_moved(panel, _bottom([router, *panels]) + _GAP))
    listed: list[Box] = []
    for table in _tables(facts):
        listed.append(_moved(table, _bottom([router, *panels, *listed]) + _GAP))
    boxes = (header, *around, router, *panels, *listed)
    lines = (*_down(around, outside, router), *_trunk(router, panels))
    return Picture(WIDTH, _bottom(boxes) + _MARGIN, f"router {facts.router}", boxes, lines)


# -- the parts --------------------------------------------------------------------------------------------------------


def _header(facts: Facts) -> Box:
    counts = [(len(facts.networks), "network"), (len(facts.guests), "guest"), (len(facts.forwards), "port forward"),
              (len(facts.static_nats), "static NAT"), (len(facts.balancers), "balancer")]  # fmt: skip
    text = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count)
    name = Text(_MARGIN, _MARGIN + 20, cut(f"router {facts.router}", "h1", _INNER), "h1")
    said = " · ".join(part for part in (facts.domain, text or "nothing configured") if part)
    about = Text(_MARGIN, _MARGIN + 40, cut(said, "muted", _INNER), "muted")
    return Box("header", _MARGIN, _MARGIN, _INNER, 46, (name, about), title=f"{facts.router} {facts.domain}")


def _outside(networks: Sequence[Network], y: float) -> Iterator[Box]:
    """The public and control networks, some beside each other; those of a row are of one height."""
    width = (_INNER - (_COLUMNS - 1) * _GAP) / _COLUMNS
    for begin in range(0, len(networks), _COLUMNS):
        row = networks[begin : begin + _COLUMNS]
        height = max(_PAD * 2 + 14 + LINE * (1 + _shown(network)) for network in row)
        for place, network in enumerate(row):
            x = _MARGIN + place * (width + _GAP)
            yield Box(network.role, x, y, width, height, tuple(_said(network, x, y, width)), title=_about(network))
        y += height + _GAP


def _said(network: Network, x: float, y: float, width: float) -> Iterator[Text]:
    left, right, room = x + _PAD, x + width - _PAD, width - 2 * _PAD
    yield Text(left, y + _PAD + 10, cut(f"{network.role} {network.device}", "h2", room), "h2")
    via = f"{network.network}  via {network.gateway}" if network.gateway else network.network
    yield Text(left, y + _PAD + 10 + LINE, cut(via, "mono", room), "mono")
    for place, (address, use) in enumerate(network.addresses[:_MOST_ADDRESSES], start=2):
        line = y + _PAD + 10 + LINE * place
        yield Text(left, line, cut(address, "mono", _ADDRESS), "mono")
        if use:
            yield Text(right, line, cut(use, "small", room - _ADDRESS - 4), "small", end=True)
    if (more := len(network.addresses) - _MOST_ADDRESSES) > 0:
        yield Text(left, y + _PAD + 10 + LINE * (2 + _MOST_ADDRESSES), f"and {more} more", "muted")


def _shown(network: Network) -> int:
    more = len(network.addresses) > _MOST_ADDRESSES
    return min(len(network.addresses), _MOST_ADDRESSES) + more


def _about(network: Network) -> str:
    lines = [f"{address} {use}".strip() for address, use in network.addresses]
    via = f" via {network.gateway}" if network.gateway else ""
    return "\n".join([f"{network.role} {network.device} {network.network}{via}", *lines])


def _router(facts: Facts, y: float) -> Box:
    """The router, and in it one box an interface."""
    devices: dict[str, list[Network]] = {}
    for network in sorted(facts.networks, key=lambda network: (len(network.device), network.device)):
        devices.setdefault(network.device, []).append(network)
    width = (_INNER - 2 * _PAD - (_COLUMNS - 1) * _CELL_GAP) / _COLUMNS
    height = 2 * LINE + 8
    inside = []
    top = y + _PAD + 24
    for place, (device, held) in enumerate(devices.items()):
        x = _MARGIN + _PAD + place % _COLUMNS * (width + _CELL_GAP)
        cell_y = top + place // _COLUMNS * (height + _CELL_GAP)
        first = held[0]
        more = sum(len(network.addresses) for network in held) - 1
        said = first.addresses[0][0] + (f"  and {more} more" if more else "")
        texts = (
            Text(x + 8, cell_y + 17, cut(f"{device}  {first.role}", "h3", width - 16), "h3"),
            Text(x + 8, cell_y + 17 + LINE, cut(said, "mono", width - 16), "mono"),
        )
        title = "\n".join(_about(network) for network in held)
        inside.append(Box(f"nic {first.role}", x, cell_y, width, height, texts, title=title))
    name = Text(_MARGIN + _PAD, y + _PAD + 12, cut(facts.router, "h2", _INNER - 2 * _PAD), "h2")
    bottom = _bottom(inside) if inside else y + _PAD + 16
    return Box("router", _MARGIN, y, _INNER, bottom + _PAD - y, (name,), tuple(inside), title=facts.router)


def _panels(facts: Facts, networks: Sequence[Network]) -> Iterator[Box]:
    for network in networks:
        own = ", ".join(address for address, _ in network.addresses)
        yield _panel("guest", f"guest {network.device}", f"{network.network}   router {own}", network.guests)
    if facts.strays:
        yield _panel("stray", "in no guest network", "the router has no address there", facts.strays)


def _panel(kind: str, name: str, about: str, guests: Sequence[Guest]) -> Box:
    """A guest network at y 0: a head, and its guests in a grid."""
    columns = 8 if len(guests) > _FEW else 6
    roomy = len(guests) <= _ROOMY
    width = (_INNER - 2 * _PAD - (columns - 1) * _CELL_GAP) / columns
    height = 3 * LINE + 6 if roomy else 2 * LINE + 6
    left = _MARGIN + _PAD
    cells = []
    for place, guest in enumerate(guests):
        x = left + place % columns * (width + _CELL_GAP)
        y = 40 + place // columns * (height + _CELL_GAP)
        cells.append(Box("vm", x, y, width, height, tuple(_vm(guest, x, y, width, roomy)), title=_vm_title(guest)))
    count = f"{len(guests)} guest{'' if len(guests) == 1 else 's'}"
    texts = (
        Text(left, 25, cut(name, "h2", 300), "h2"),
        Text(left + 310, 25, cut(about, "mono", _INNER - 310 - 2 * _PAD - 100), "mono"),
        Text(_MARGIN + _INNER - _PAD, 25, count, "muted", end=True),
    )
    bottom = (_bottom(cells) if cells else 28) + _PAD
    return Box(kind, _MARGIN, 0, _INNER, bottom, texts, tuple(cells), title=f"{name} {about}")


def _vm(guest: Guest, x: float, y: float, width: float, roomy: bool) -> Iterator[Text]:
    badge = " ".join([*(["1:1"] if guest.static_nat else []), *([f"{guest.forwards} fwd"] if guest.forwards else [])])
    room = width - 16 - (8 * len(badge) if badge else 0)
    yield Text(x + 8, y + 16, cut(guest.name, "h3", room), "h3")
    if badge:
        yield Text(x + width - 8, y + 16, badge, "badge", end=True)
    yield Text(x + 8, y + 16 + LINE, cut(guest.address, "mono", width - 16), "mono")
    if roomy:
        yield Text(x + 8, y + 16 + 2 * LINE, cut(guest.mac, "mac", width - 16), "mac")


def _vm_title(guest: Guest) -> str:
    lines = [guest.name, guest.address, guest.mac]
    lines += [f"static NAT {guest.static_nat}"] if guest.static_nat else []
    return "\n".join([*lines, *([f"{guest.forwards} port forwards"] if guest.forwards else [])])


def _tables(facts: Facts) -> Iterator[Box]:
    """Each at y 0; long ones in two columns, unless an address would be cut there."""
    whole = _INNER - 2 * _PAD
    half = (whole - _GAP) / 2
    for name, rows in tables(facts):
        columns = 2 if len(rows) > _LONG and all(_fits(row, half) for row in rows) else 1
        width = half if columns > 1 else whole
        deep = -(-len(rows) // columns)
        inside = [
            _row(row, _MARGIN + _PAD + place // deep * (width + _GAP), 38 + place % deep * (LINE + 2), width)
            for place, row in enumerate(rows)
        ]
        head = Text(_MARGIN + _PAD, 24, f"{name} ({len(rows)})", "h2")
        yield Box("table", _MARGIN, 0, _INNER, _bottom(inside) + _PAD, (head,), tuple(inside), title=name)


def _row(row: Row, x: float, y: float, width: float) -> Box:
    texts = []
    at = x
    for value, kind, share in row.cells:
        room = width * share
        texts.append(Text(at, y + 13, cut(value, kind, room - _CELL_GAP), kind))
        at += room
    return Box("row", x, y, width, LINE, tuple(texts), title=row.title)


def _fits(row: Row, width: float) -> bool:
    return all(length(value, kind) <= width * share - _CELL_GAP for value, kind, share in row.cells if kind == "mono")


# -- lines ------------------------------------------------------------------------------------------------------------


def _down(around: Sequence[Box], networks: Sequence[Network], router: Box) -> Iterator[Line]:
    """From each network outside to the router; past the rows below it in the gap on its right."""
    last = max((box.y for box in around), default=0.0)
    for box, network in zip(around, networks, strict=True):
        if box.y == last:
            middle = box.x + box.w / 2
            yield Line(network.role, ((middle, box.y + box.h), (middle, router.y)))
        else:
            side, level = box.x + box.w + _GAP / 2, box.y + box.h / 2
            end = min(side, router.x + router.w)
            yield Line(network.role, ((box.x + box.w, level), (side, level), (side, router.y - 8), (end, router.y - 8),
                                      (end, router.y)))  # fmt: skip


def _trunk(router: Box, panels: Sequence[Box]) -> Iterator[Line]:
    """From the router along the left margin to each guest network."""
    side, level = _MARGIN / 2, router.y + router.h / 2
    for panel in (panel for panel in panels if panel.kind == "guest"):
        yield Line("guest", ((router.x, level), (side, level), (side, panel.y + 20), (panel.x, panel.y + 20)))


def _bottom(boxes: Sequence[Box]) -> float:
    return max(box.y + box.h for box in boxes)


def _moved(box: Box, by: float) -> Box:
    """The box and all in it further down."""
    texts = tuple(replace(text, y=text.y + by) for text in box.texts)
    return replace(box, y=box.y + by, texts=texts, inside=tuple(_moved(inner, by) for inner in box.inside))
