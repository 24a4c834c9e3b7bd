"""`vrouter show topology`: reads the saved databags and changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vrouter.errors import VrouterError

if TYPE_CHECKING:
    from vrouter.topology.facts import Facts


@click.command()
@click.option("--svg", "svg_file", type=click.Path(), help="Write the picture to this file; - for the output.")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print text that Mermaid draws.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def topology(svg_file: str | None, as_mermaid: bool, as_json: bool) -> None:
    """Show the networks, interfaces, guests, forwards and balancers of this router, as its databags have them.

    \b
    Exit status: 0 shown, 1 a databag cannot be read or the file not written,
    64 wrong usage.
    Examples: vrouter show topology
              vrouter show topology --svg router.svg
    JSON: router, domain, networks, strays, forwards, static_nats, balancers;
    docs/lab.md describes their members.
    """
    if sum((svg_file is not None, as_mermaid, as_json)) > 1:
        raise click.UsageError("--svg, --mermaid and --json exclude each other")
    found = _facts()
    if svg_file is not None:
        from vrouter.topology.layout import layout
        from vrouter.topology.svg import svg

        _write(svg_file, svg(layout(found)))
    elif as_mermaid:
        from vrouter.topology.mermaid import mermaid

        click.echo(mermaid(found), nl=False)
    elif as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        for line in _lines(found):
            click.echo(line)


def _facts() -> Facts:
    """Of the databags on disk; an agent writes them within a second. Raises VrouterError."""
    from vrouter.features import BAGS
    from vrouter.settings import load_settings
    from vrouter.store import Store
    from vrouter.topology.facts import BALANCER_BAG, facts

    directory = load_settings(os.environ).bag_dir
    store = Store(directory)
    path = Path(directory, f"{BALANCER_BAG}.json")
    try:
        balancer = json.loads(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise VrouterError(f"databag {path} is unreadable: {error}") from error
    bags = {name: store.load(bag) for name, bag in BAGS.items()}
    return facts(bags, balancer if isinstance(balancer, dict) else {})


def _write(name: str, text: str) -> None:
    if name == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise VrouterError(f"cannot write {name}: {error.strerror}") from error


def _lines(found: Facts) -> Iterator[str]:
    """For people, in the order of the picture."""
    from vrouter.topology.tables import tables

    yield f"router {found.router}{f'  {found.domain}' if found.domain else ''}"
    for network in found.networks:
        via = f"  via {network.gateway}" if network.gateway else ""
        yield f"  {network.role:8} {network.device:8} {network.network}{via}"
        for address, use in network.addresses:
            yield f"    {address:18} {use}".rstrip()
        yield from (f"    guest {guest.address:15}  {guest.mac}  {guest.name}" for guest in network.guests)
    if found.strays:
        yield "  in no guest network"
        yield from (f"    guest {guest.address:15}  {guest.mac}  {guest.name}" for guest in found.strays)
    for name, rows in tables(found):
        yield f"  {name}"
        yield from (f"    {row.title}" for row in rows)
