"""The one template environment: undefined names are errors, control characters in a value are errors. Pure."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, StrictUndefined, Template

from vrouter.data import data_text
from vrouter.errors import VrouterError


def _gate(value: object) -> str:
    """What every `{{ }}` goes through: a value never becomes a second line."""
    text = str(value)
    if not text.isprintable():
        raise VrouterError(f"a value to be written into a configuration holds a control character: {text!r:.80}")
    return text


# Nothing here is HTML; what guards the daemons' files is `_gate` and the alphabets of the values' types.
_ENVIRONMENT = Environment(
    undefined=StrictUndefined,
    finalize=_gate,
    autoescape=False,  # noqa: S701
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@cache
def _template(name: str) -> Template:
    return _ENVIRONMENT.from_string(data_text("templates", name))


def render(name: str, /, **values: object) -> str:
    """The text of `templates/<name>`. Raises VrouterError for a value that holds a control character."""
    return _template(name).render(**values)
