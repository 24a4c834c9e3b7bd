"""Plans: what is compared, in which order, and how they read."""

from __future__ import annotations

from ipaddress import IPv4Address

from vrouter.model.resources import File, HostRecord, Key, Link, Resource, Sysctl
from vrouter.model.table import Element, Match, Rule, Verdict, chain
from vrouter.plan import by_key, diff, released, renews_hosts, rereads_hosts


def element(port: str, value: str = "", origin: str = "") -> Element:
    return Element(set="s", atoms=("192.0.2.10", port), value=(value,) if value else (), origin=origin)


def test_a_plan_names_every_change_once_sorted_by_key() -> None:
    have = by_key([element("1", "a", "old"), element("3", "x"), element("9")])
    want = by_key([element("3", "y", "bag 3"), element("2", "", "bag 2"), element("9", "", "elsewhere")])
    plan = diff(have, want)
    assert plan.changes_tree() == [
        {"action": "remove", "kind": "element", "name": "s 192.0.2.10 1", "before": "a", "origin": "old"},
        {"action": "add", "kind": "element", "name": "s 192.0.2.10 2", "after": "", "origin": "bag 2"},
        {
            "action": "change",
            "kind": "element",
            "name": "s 192.0.2.10 3",
            "before": "x",
            "after": "y",
            "origin": "bag 3",
        },
    ]
    assert plan.put == (element("2"), element("3", "y"))
    assert plan.remove == (element("1", "a"),)
    assert plan.applied(have) == want


def test_only_the_given_keys_are_looked_at() -> None:
    have, want = by_key([element("1")]), by_key([element("2")])
    assert [change.action for change in diff(have, want, [element("2").key]).changes] == ["add"]
    assert not diff(have, want, [])


def test_where_a_resource_comes_from_is_no_difference() -> None:
    assert not diff(by_key([element("1", origin="a")]), by_key([element("1", origin="b")]))


def test_what_lasts_is_changed_and_never_removed() -> None:
    lasting: list[Resource] = [Link(device="eth0", mtu=1500), Sysctl(name="net/ipv4/ip_forward", value="1")]
    assert not diff(by_key(lasting), {})
    assert len(diff(by_key(lasting), by_key([Link(device="eth0", mtu=1400)])).changes) == 1
    assert len(diff({}, by_key(lasting)).changes) == 2


def test_a_file_differs_by_text_or_mode() -> None:
    one = File(path="/etc/x", text="a\n")
    assert diff(by_key([one]), by_key([File(path="/etc/x", text="b\n")]))
    assert diff(by_key([one]), by_key([File(path="/etc/x", text="a\n", mode=0o600)]))


def test_a_chain_differs_by_rule_place_and_hook_alone() -> None:
    accept, drop = Rule("a", (), Verdict("accept")), Rule("b", (Match(("iifname",), ("lo",)),), Verdict("drop"))
    one = chain("input", None, accept, drop)
    assert one == chain("input", None, accept, drop)
    assert one != chain("input", None, drop, accept)
    assert one != chain("input", None, accept)
    assert len({one.tags[1], chain("input", None, drop, accept).tags[2]}) == 2


def test_the_daemon_rereads_its_hosts_only_when_one_was_there() -> None:
    def host(lease: str) -> HostRecord:
        return HostRecord(address=IPv4Address("10.1.1.11"), lease=lease, names="10.1.1.11 web1")

    assert not rereads_hosts(diff({}, by_key([host("a")])), set())
    assert not rereads_hosts(diff({}, by_key([host("a")])), {"10.1.1.12"})
    assert rereads_hosts(diff({}, by_key([host("a")])), {"10.1.1.11"})  # an old line of the address is still held
    assert rereads_hosts(diff(by_key([host("a")]), by_key([host("b")])), set())
    assert not rereads_hosts(diff(by_key([host("a")]), {}), set())  # it is told to ignore the MAC


def test_the_daemon_is_started_anew_for_very_many_hosts() -> None:
    many = by_key(HostRecord(address=IPv4Address(n), lease="a", names="b") for n in range(2000))
    assert renews_hosts(diff({}, many)) and renews_hosts(diff(many, {}))
    assert not renews_hosts(diff({}, dict(list(many.items())[:500]))) and not renews_hosts(diff(many, many))


def test_the_daemon_is_started_anew_where_many_leases_end() -> None:
    def leased(count: int) -> dict[Key, Resource]:
        lines = (f"02:00:00:00:00:{n:02x},10.1.1.{n}" for n in range(count))
        return by_key(HostRecord(address=IPv4Address(n), lease=line, names="") for n, line in enumerate(lines))

    assert released(diff(leased(2), {})) == [(IPv4Address(n), f"02:00:00:00:00:{n:02x}") for n in range(2)]
    assert not renews_hosts(diff(leased(100), {}))
    assert renews_hosts(diff(leased(101), {})) and not renews_hosts(diff({}, leased(101)))
