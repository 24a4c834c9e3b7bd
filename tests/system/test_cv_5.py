"""Failure is reported as failure, and the old state serves on (contract dataplane 1.4, CV-5; 14, SU-3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.system.commands import boot, forward, tier
from tests.system.kit import Router, example
from tests.system.test_cv import HOG
from tests.system.wire import addresses, running

MAC = "02:00:4c:01:00:04"


def failed(router: Router, name: str) -> dict[str, Any]:
    """The `.error` file of a refused command; the command lies beside it."""
    assert router.run("test", "-f", f"/var/cache/cloud/failed/{name}").returncode == 0
    found: dict[str, Any] = json.loads(router.sh("router", "cat", f"/var/cache/cloud/failed/{name}.error"))
    return found


def test_cv_5_a_refused_command_changes_nothing(fresh: Router) -> None:
    before = (fresh.generation(), fresh.pid(), fresh.state())
    document = forward("192.0.2.12", 81, "10.1.1.13", 80)
    document["rules"][0]["protocol"] = "tpc"
    name = fresh.put(document)
    done = fresh.run("/opt/cloud/bin/update_config.py", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "rules[0].protocol: 'tpc'" in done.stderr
    error = failed(fresh, name)
    assert (error["file"], error["type"], error["faults"][0]["path"]) == (name, "forwardrules", "rules[0].protocol")
    assert (fresh.generation(), fresh.pid(), fresh.state()) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"type": "forwardrules"}', b'{"type": "unheard-of"}'])
def test_cv_5_bytes_that_are_no_command_change_nothing(built: Router, content: bytes) -> None:
    before = (built.generation(), built.pid(), built.state())
    name = built.put(content)
    done = built.run("/opt/cloud/bin/update_config.py", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert failed(built, name)["faults"]
    assert (built.generation(), built.pid(), built.state()) == before


def test_cv_5_a_first_command_that_fails_in_the_daemon_is_rolled_back(bare: Router) -> None:
    before = bare.state()
    with running(bare, "router", "import socket\n" + HOG, "0.0.0.0"):
        name = bare.put(boot())
        done = bare.run("/opt/cloud/bin/update_config.py", name)
        assert done.returncode == 1
        assert "dnsmasq" in done.stderr
        assert "Address already in use" in failed(bare, name)["faults"][0]["expected"]
        after = bare.state()
        assert (after["addresses"], after["routes"], after["rules"], after["bags"]) == tuple(
            before[part] for part in ("addresses", "routes", "rules", "bags")
        )
    assert bare.update_config(boot()).returncode == 0
    assert addresses(bare)["10.1.1.1"] == ("eth0", False)


def test_cv_5_su_3_a_daemon_that_refuses_leaves_the_old_one_serving(fresh: Router) -> None:
    assert fresh.lease("guest1")
    fresh.lab.add_link("router", "eth4", "guest", MAC)
    before = fresh.state()
    with running(fresh, "router", HOG, "10.1.2.1"):
        name = fresh.put(tier("eth4", MAC, "10.1.2.1"))
        done = fresh.run("/opt/cloud/bin/update_config.py", name)
        assert done.returncode == 1
        assert "10.1.2.1: Address already in use" in failed(fresh, name)["faults"][0]["expected"]
        assert fresh.state() == before
        assert fresh.dig("guest1", "@10.1.1.1", "web1.tenant1.example.com") == ["10.1.1.11"]
        assert fresh.lease("guest2")["ip"] == "10.1.1.12"
    assert fresh.update_config(tier("eth4", MAC, "10.1.2.1")).returncode == 0
    assert fresh.dig("guest1", "@10.1.2.1", "web1.tenant1.example.com") in ([], ["10.1.1.11"])


@pytest.mark.parametrize("text", ["", "{", '{"id": "ips", "eth2": [{}]}', "[]", "\\x00"])
def test_cv_5_an_unreadable_bag_is_named_and_never_taken_as_empty(fresh: Router, text: str) -> None:
    ruleset = ("nft", "list", "ruleset")
    before = (fresh.generation(), fresh.sh("router", *ruleset), addresses(fresh))
    fresh.lab.put("router", "/etc/cloudstack/ips.json", text.encode())
    name = fresh.put(example("isolated/07-forwardrules"))
    for argv in (("/opt/cloud/bin/update_config.py", name), ("vrouter", "converge")):
        done = fresh.run(*argv)
        assert done.returncode == 1
        assert "/etc/cloudstack/ips.json" in done.stderr
        assert "Traceback" not in done.stderr
    assert fresh.sh("router", "cat", "/etc/cloudstack/ips.json") == text
    assert (fresh.generation(), fresh.sh("router", *ruleset), addresses(fresh)) == before
