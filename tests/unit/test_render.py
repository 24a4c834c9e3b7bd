"""The one gate between values and configuration files."""

from __future__ import annotations

from ipaddress import IPv4Address
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from tests.chance import examples
from vrouter.errors import VrouterError
from vrouter.render import render


def names(text: object) -> str:
    return render("dnsmasq/names.j2", host=SimpleNamespace(address=IPv4Address("10.1.1.11"), name=text))


def test_a_value_is_written_as_it_is() -> None:
    assert names("web1") == "10.1.1.11 web1"
    assert names("<a&b>{{ 1 }}") == "10.1.1.11 <a&b>{{ 1 }}"


@pytest.mark.parametrize("text", ["a\nb", "\r", "\0", "a\x1b[2J", "\u2028", "\u202e", "\x85", "\t", "\ud800"])
def test_a_control_character_is_an_error(text: str) -> None:
    with pytest.raises(VrouterError, match="control character") as error:
        names(text)
    assert str(error.value).isprintable()


@examples()
@given(st.text())
def test_a_value_never_becomes_a_second_line(text: str) -> None:
    try:
        assert names(text).splitlines() in (["10.1.1.11 " + text], ["10.1.1.11"])
    except VrouterError:
        assert not text.isprintable()


def test_an_absent_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("dnsmasq/names.j2")
