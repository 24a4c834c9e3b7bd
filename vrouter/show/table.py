"""What a table is: the fields of its rows for programs, and its columns for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vrouter.show.layout import Column, Row, Screen, Style, columns_text, folded

FieldType = Literal["text", "number", "texts", "flag"]
_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "flag": {"type": "boolean"},
}


@dataclass(frozen=True)
class Field:
    """One member of a row's JSON. unknown: it may be null."""

    name: str
    type: FieldType
    says: str
    unknown: bool = False


@dataclass(frozen=True)
class Table:
    """One `vrouter show` table. of: what its rows are, in the plural. asks: the options of its example."""

    name: str
    says: str
    of: str
    fields: tuple[Field, ...]
    columns: tuple[Column, ...]
    asks: str = ""

    @property
    def example(self) -> str:
        """A command line."""
        return f"vrouter show {self.name} {self.asks}".strip()

    def schema(self) -> dict[str, Any]:
        """JSON schema of one row."""
        members = {field.name: _schema(field) for field in self.fields}
        return {"type": "object", "properties": members, "required": sorted(members), "additionalProperties": False}

    def shape(self) -> list[str]:
        """The members of a row, one a line, for help and documentation."""
        width = max(len(field.name) for field in self.fields)
        kinds = {"texts": "list of texts", "flag": "true or false"}
        typed = (
            (field, kinds.get(field.type, field.type) + (" or null" if field.unknown else "")) for field in self.fields
        )
        return [f"{field.name:{width}}  {type}: {field.says}" for field, type in typed]


def _schema(field: Field) -> dict[str, Any]:
    found = _SCHEMAS[field.type]
    return {"anyOf": [found, {"type": "null"}]} if field.unknown else found


STANDING = (
    Field("state", "text", "in effect; pending; differs (the machine does not hold it so); overruled (another entry "
          "takes all of its packets); foreign (no databag asks for it)"),
    Field("detail", "text", "what it waits for, or how the machine differs"),
    Field("origin", "text", "the databag entry that it comes from, empty where there is none"),
)  # fmt: skip

_COLOURS: dict[str, Style] = {"differs": "red", "foreign": "red", "pending": "yellow", "overruled": "yellow"}


def state_style(row: Row) -> Style:
    """What needs an eye stands out."""
    return _COLOURS.get(row["state"], "")


def _state(row: Row) -> str:
    if row["state"] == "in effect":
        return "ok"
    return f"{row['state']}: {row['detail']}" if row["detail"] else str(row["state"])


STATE = Column("STATE", _state, wraps=True, style=state_style)
ORIGIN = Column("DATABAG ENTRY", lambda row: row["origin"], rank=9, label="", style=lambda _: "dim")


def table_text(table: Table, found: Row, screen: Screen, total: int | None = None) -> str:
    """For people: the rows, what was left out, and on a terminal how many stand how. total: how many there are where
    only some were chosen."""
    rows = found["rows"]
    notes = [line for note in found["notes"] for line in folded(note, screen, "  ")]
    if not rows:
        return "\n".join([f"none of {total} {table.of}" if total else f"no {table.of}", *notes])
    lines = columns_text(table.columns, rows, screen)
    if screen.width is not None:
        lines.append(screen.styled(_count(table, rows, total), "dim"))
    return "\n".join([*lines, *notes])


def _count(table: Table, rows: Sequence[Row], total: int | None) -> str:
    states = Counter(row["state"] for row in rows if "detail" in row)
    parts = [f"{count} {state}" for state, count in sorted(states.items(), key=lambda item: item[0] != "in effect")]
    among = f" of {total}" if total is not None and total > len(rows) else ""
    noun = "row" if len(rows) == 1 and not among else table.of
    return f"{len(rows)}{among} {noun}" + (f": {', '.join(parts)}" if parts else "")


def chosen(rows: Sequence[Row], find: str, wrong: bool) -> list[Row]:
    """The rows in which a text occurs, in any letter case; wrong: only those that are not simply in effect."""
    wanted = find.lower()
    return [
        row
        for row in rows
        if (not wanted or any(wanted in text.lower() for value in row.values() for text in _texts(value)))
        and not (wrong and row.get("state", "in effect") == "in effect")
    ]


def _texts(value: object) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return [] if value is None or isinstance(value, bool) else [str(value)]
