"""Input that is wrong or hostile: refused with its place; nothing of it gets into a file, a rule or a shell."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.system.kit import Router, example
from tests.unit.test_schemas import HOSTILE, TEXTS, refused
from vrouter.parse import spelled

ATTACKS = (
    "$(touch /pwned)",
    "`touch /pwned`",
    "; touch /pwned",
    "\ntouch /pwned",
    '" } ; add table ip pwned ; "',
    "' || touch /pwned #",
    "{{ cycler.__init__.__globals__.os.system('touch /pwned') }}",
    "{% include '/pwned' %}",
    "../../../../pwned",
    "pwned\x00",
    "pwned,set:pwned",
    "%pwned%\r\nConnection: close",
    "-pwned",
)
FORWARD = example("forwardrules")["rules"][0]


def call(
    router: Router, content: bytes | dict[str, Any], name: str = "", *more: str
) -> subprocess.CompletedProcess[str]:
    """One command through update_config; never a traceback."""
    done = router.update_config(content, name, *more)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def error_file(router: Router, name: str) -> dict[str, Any]:
    """What `failed/` says of a command, whose file lies beside it."""
    assert router.run("test", "-e", f"/var/cache/cloud/failed/{name}").returncode == 0
    found: dict[str, Any] = json.loads(router.sh("router", "cat", f"/var/cache/cloud/failed/{name}.error"))
    assert set(found) == {"file", "type", "time", "faults"} and found["file"] == name
    return found


def apply_all(router: Router, documents: list[bytes]) -> list[dict[str, Any]]:
    """What `vrouter apply --json` says of each; it never fails as a whole."""
    script = "import json,os,sys\nos.makedirs('/tmp/bad',exist_ok=True)\nfor i,t in enumerate(json.load(sys.stdin)):\n"
    script += " open(f'/tmp/bad/{i:05d}','wb').write(t.encode('latin-1'))\n"
    texts = json.dumps([document.decode("latin-1") for document in documents]).encode()
    router.lab.run("router", ("python3", "-c", script), stdin=texts, check=True)
    done = router.run(
        "sh", "-c", "cd /tmp/bad && vrouter apply --json *; status=$?; rm -r /tmp/bad; exit $status", limit_s=200
    )
    assert "Traceback" not in done.stderr and done.returncode in (0, 1), done.stderr
    files: list[dict[str, Any]] = json.loads(done.stdout)["files"]
    assert len(files) == len(documents)
    return files


def text(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=True).encode()


def test_hostile_text_in_every_field_is_refused_with_its_place(built: Router) -> None:
    before = (built.generation(), built.pid(), built.state())
    sent = []
    for spot in TEXTS:
        own = spot.value if isinstance(spot.value, str) else ""
        for hostile in (*ATTACKS, *HOSTILE[::3], "a" * 65536):
            if refused(spot.document(own + hostile)):
                sent.append((spot, text(spot.document(own + hostile))))
    assert len(sent) > 500
    for (spot, content), answer in zip(sent, apply_all(built, [content for _, content in sent]), strict=True):
        assert answer["refused"] and answer["changes"] == 0, content[:2000]
        own_faults = [fault for fault in answer["faults"] if fault["path"] == spelled(spot.place)]
        assert own_faults, (spot.place, answer)
        for fault in own_faults:
            assert fault["expected"] and (fault["value"] or fault["expected"].startswith("must be")), fault
            assert all(part.isprintable() and len(part) < 500 for part in fault.values())
    assert (built.generation(), built.pid(), built.state()) == before


def test_hostile_text_that_a_schema_takes_goes_no_further_than_the_bag(fresh: Router) -> None:
    documents = [
        text(spot.document(hostile)) for spot in TEXTS for hostile in ATTACKS if not refused(spot.document(hostile))
    ]
    odd = {"pwned": ATTACKS, "deep": {"pwned;": [None, 1.5]}}
    for name in ("ips", "forwardrules", "firewallrules", "dhcpentry", "staticnatrules", "guestnetwork"):
        document = example(name) | odd
        for rule in (*document.get("rules", ()), *document.get("ip_address", ())):
            rule.update(odd)
        documents.append(text(document))
    assert len(documents) > 30
    answers = apply_all(fresh, documents)
    assert sum(not answer["refused"] for answer in answers) > 20
    state = fresh.state()
    assert "pwned" in json.dumps(state.pop("bags"))
    assert "pwned" not in json.dumps(state)
    assert fresh.run("test", "-e", "/pwned").returncode == 1
    assert fresh.run("find", "/tmp", "/run/vrouter", "-name", "*pwned*").stdout == ""


MALFORMED = {
    "empty": (b"", "not JSON at line 1"),
    "truncated": (text(example("forwardrules"))[:-30], "not JSON at line 1"),
    "bytes": (b"\xff\xfe\x00", "not UTF-8 at byte 1"),
    "list": (b"[]", "a list of 0 is not a JSON object"),
    "no type": (b'{"rules": []}', "type: must be present"),
    "wrong type": (b'{"type": "forwardrules", "rules": "x"}', "rules: 'x' is not a list of rules"),
    "10 MB": (text(example("dhcpentry") | {"host_name": "a" * 10_000_000}), "host_name: 'aaa"),
    "nested": (b'{"type": "ips", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 64 levels"),
    "repeated": (
        b'{"type": "forwardrules", "rules": [{"protocol": "tcp", "protocol": "udp"}]}',
        "rules[0].protocol: given",
    ),
    "number": (b'{"type": "ips", "ip_address": [], "x": 1e999}', "x: a number beyond 1e308"),
    "later": (text({"type": "loadbalancer"}), "not supported yet: loadbalancer"),
    "unknown": (text({"type": "nonsense"}), "unknown type: nonsense"),
    "kind": (text(example("cmdline-vpc")), "cmd_line.type: not supported yet: router kind 'vpcrouter'"),
    "redundant": (text(example("cmdline-redundant")), "cmd_line.redundant_router: not supported yet"),
    "private gateway": (text(example("ips-private-gateway")), "ip_address[0].is_private_gateway: not supported yet"),
}


def test_a_malformed_command_is_kept_with_its_reason(built: Router) -> None:
    before = (built.generation(), built.pid(), built.state())
    for place, (case, (content, said)) in enumerate(MALFORMED.items()):
        name = f"forwarding_rules.json.bad{place}"
        done = call(built, content, name)
        assert (done.returncode, done.stdout) == (1, ""), case
        assert done.stderr.startswith(f"{name} refused:\n") and said in done.stderr, (case, done.stderr[:500])
        [fault, *_] = error_file(built, name)["faults"]
        assert set(fault) == {"path", "value", "expected", "fix"} and fault["expected"], case
    again = built.run("/opt/cloud/bin/update_config.py", "forwarding_rules.json.bad0")
    assert again.returncode == 1 and "was refused:\nnot JSON at line 1" in again.stderr
    assert (built.generation(), built.pid(), built.state()) == before


def test_every_fault_names_field_value_and_expectation(built: Router) -> None:
    rule = FORWARD | {"protocol": "tpc", "source_port_range": "80-", "destination_ip_address": 5}
    done = call(built, {"type": "forwardrules", "rules": [FORWARD, rule]}, "forwarding_rules.json.many")
    assert done.returncode == 1
    found = error_file(built, "forwarding_rules.json.many")
    assert found["type"] == "forwardrules"
    assert [(fault["path"], fault["value"], fault["expected"]) for fault in found["faults"]] == [
        ("rules[1].destination_ip_address", "5", "the IPv4 address of a host"),
        ("rules[1].protocol", "'tpc'", "tcp or udp"),
        ("rules[1].source_port_range", "'80-'", '"first:last" within 1:65535'),
    ]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b.json", "..", "", "x" * 201])
def test_a_name_that_is_a_path_is_refused(built: Router, name: str) -> None:
    before = built.state()
    done = built.run("/opt/cloud/bin/update_config.py", name)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("update_config: ")
    assert built.state() == before


def test_hostile_names_are_data(built: Router) -> None:
    for place, name in enumerate(
        ("$(touch pwned)", "; touch pwned", "a\nb", "-rf", "`id`", "{{7*7}}", "\udcff.json.x")
    ):
        done = call(built, {"type": "firewallrules", "rules": []}, name)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (place, done.stderr)
    assert built.run("vrouter", "apply", "none\n$(touch pwned)").returncode == 1
    assert built.run("find", "/tmp", "/root", "/var/cache", "/run", "/etc", "-name", "pwned").stdout == ""
