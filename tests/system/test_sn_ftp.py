"""FTP through NAT with a server of few words (contract dataplane 2.4, SN-8)."""

from __future__ import annotations

from tests.system.commands import egress, forward, ingress
from tests.system.kit import Router
from tests.system.wire import connections, running

SERVER = """
import socket
def serve(c, a):
    f = c.makefile('rb'); c.sendall(b'220 ready\\r\\n')
    for line in f:
        if line.startswith(b'USER'): c.sendall(b'230 come in\\r\\n')
        elif line.startswith(b'PORT'):
            n = line.split()[1].decode().split(',')
            with socket.create_connection(('.'.join(n[:4]), int(n[4]) * 256 + int(n[5])), 2) as d:
                d.sendall(a[0].encode())
        elif line.startswith(b'PASV'):
            l = socket.create_server((c.getsockname()[0], 0)); l.settimeout(3); p = l.getsockname()[1]
            host = c.getsockname()[0].replace('.', ',')
            c.sendall(('227 Entering Passive Mode (%s,%d,%d)\\r\\n' % (host, p // 256, p % 256)).encode())
            with l, l.accept()[0] as d: d.sendall(d.getpeername()[0].encode())
s = socket.create_server(('', 21)); print('up', flush=True)
while True:
    c, a = s.accept()
    try: serve(c, a)
    except OSError: pass
    c.close()
"""
CLIENT = """
import re, socket, sys
c = socket.create_connection((sys.argv[1], 21), 3); c.settimeout(4); f = c.makefile('rb'); f.readline()
c.sendall(b'USER anonymous\\r\\n'); f.readline()  # the helper reads no line that has none before it
if sys.argv[2] == 'active':
    l = socket.create_server((c.getsockname()[0], 0)); l.settimeout(3); p = l.getsockname()[1]
    c.sendall(('PORT %s,%d,%d\\r\\n' % (c.getsockname()[0].replace('.', ','), p // 256, p % 256)).encode())
    try:
        d, e = l.accept(); print(e[0], d.recv(99).decode())
    except OSError: print('no data')
else:
    c.sendall(b'PASV\\r\\n'); n = re.search(rb'\\((.*)\\)', f.readline()).group(1).decode().split(',')
    try:
        d = socket.create_connection(('.'.join(n[:4]), int(n[4]) * 256 + int(n[5])), 2)
        print('.'.join(n[:4]), d.recv(99).decode())
    except OSError: print('no data')
"""


def ftp(router: Router, node: str, server: str, mode: str) -> str:
    """Where the data connection came from (active) or went to (passive), and what address the server saw."""
    return router.sh(node, "python3", "-c", CLIENT, server, mode).strip()


def test_sn_8_ftp_of_a_guest_to_the_world(own: Router) -> None:
    """Only the control connection's port is let out: the data connections are related to it."""
    assert own.lease("guest3")
    assert own.lease("guest1")
    own.send(egress(901, "tcp", 21, 21))
    with running(own, "public1", SERVER):
        assert ftp(own, "guest3", "203.0.113.11", "active") == "203.0.113.11 192.0.2.10"
        assert ftp(own, "guest3", "203.0.113.11", "passive") == "203.0.113.11 192.0.2.10"
        assert ftp(own, "guest1", "203.0.113.11", "active") == "203.0.113.11 192.0.2.11"  # static NAT
    assert any("helper=ftp" in line for line in connections(own, "-p", "tcp", "--orig-port-dst", "21"))
    assert own.tcp("guest3", "203.0.113.11", 22) == ""


def test_sn_8_ftp_of_the_world_to_a_guest(own: Router) -> None:
    assert own.lease("guest3")
    own.send(forward("192.0.2.10", 21, "10.1.1.13", 21), ingress(901, "192.0.2.10", "tcp", 21))
    with running(own, "guest3", SERVER):
        assert ftp(own, "public1", "192.0.2.10", "passive") == "192.0.2.10 203.0.113.11"
        assert ftp(own, "public1", "192.0.2.10", "active") == "192.0.2.10 203.0.113.11"
