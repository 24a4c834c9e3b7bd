"""The web host of a lab's nodes: answers whoever connects with the address it sees, one line of text.

`python -m vrouter.lab.webhost [--background]`: TCP 80 and 443 (plain HTTP on both; TLS when the first byte says so),
UDP 7. With `--background` the command ends when all ports listen. Standard library only and few imports: many of these
run at once.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # 5 MB that only a node asked for TLS pays
    import ssl

SILENCE_S = 0.3
"""A client that says nothing for so long, or stops in the middle, gets its answer."""

IDLE_S = 60.0
"""How long a kept HTTP connection may wait for its next request."""

_TLS_HANDSHAKE = b"\x16"
_CERTIFICATE = Path("/run/webhost.pem")
_LOG = "/var/log/webhost.log"
_LIMIT_BYTES = 65536
_making = threading.Lock()


def main() -> int:
    """Listen and answer until killed."""
    tcp = [_listen(port) for port in (80, 443)]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 7))
    udp.setblocking(False)
    if "--background" in sys.argv[1:]:
        _detach()
    threading.stack_size(256 * 1024)
    while True:
        for ready in select.select([*tcp, udp], [], [])[0]:
            with suppress(OSError):  # the client gave up, or cannot be reached
                if ready is udp:
                    _, peer = udp.recvfrom(_LIMIT_BYTES)
                    udp.sendto(f"{peer[0]}\n".encode(), peer)
                else:
                    connection, peer = ready.accept()
                    threading.Thread(target=_serve, args=(connection, peer[0]), daemon=True).start()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def _detach() -> None:
    """Go on in a child that has no terminal and no caller; the caller returns."""
    if os.fork():
        os._exit(0)
    os.setsid()
    log = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(number, target)


def _serve(connection: socket.socket, peer: str) -> None:
    """One connection to its end; what the client breaks ends only that connection."""
    with suppress(OSError), connection:  # ssl.SSLError is an OSError
        connection.settimeout(SILENCE_S)
        if _peek(connection) == _TLS_HANDSHAKE and (context := _tls()):
            connection.settimeout(IDLE_S)
            with context.wrap_socket(connection, server_side=True) as secured:
                _answer(secured, peer)
        else:
            _answer(connection, peer)


def _peek(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return b""


def _answer(connection: socket.socket, peer: str) -> None:
    """Answer requests while the client keeps the connection; what is not HTTP gets the bare line and the end."""
    body = f"{peer}\n".encode()
    connection.settimeout(SILENCE_S)
    rest = b""
    while True:
        head, rest = _head(connection, rest)
        line = head.split(b"\n", 1)[0].rstrip(b"\r")
        version = line.rsplit(b" ", 1)[-1]
        if not version.startswith(b"HTTP/"):
            connection.sendall(body)
            return
        headers = _headers(head)
        wish = headers.get(b"connection", b"").lower()
        keep = b"keep-alive" in wish or (version >= b"HTTP/1.1" and b"close" not in wish)
        keep = keep and head.endswith(b"\r\n\r\n")
        rest = _skip(connection, rest, headers.get(b"content-length", b"0"))
        answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        ).encode()
        connection.sendall(answer + (b"" if line.startswith(b"HEAD ") else body))
        if not keep:
            return
        if not rest and not (rest := connection.recv(_LIMIT_BYTES)):
            return
        connection.settimeout(SILENCE_S)


def _head(connection: socket.socket, data: bytes) -> tuple[bytes, bytes]:
    """A request's head and what follows it; cut short by silence, by the end, and after a line that is not HTTP."""
    while len(data) < _LIMIT_BYTES:
        line, newline, _ = data.partition(b"\n")
        if newline and b" HTTP/" not in line:
            break
        if b"\r\n\r\n" in data:
            head, end, rest = data.partition(b"\r\n\r\n")
            return head + end, rest
        try:
            more = connection.recv(_LIMIT_BYTES)
        except TimeoutError:
            break
        if not more:
            break
        data += more
    return data, b""


def _headers(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _skip(connection: socket.socket, data: bytes, content_length: bytes) -> bytes:
    """Read a body that nobody wants; what follows it."""
    length = int(content_length) if content_length.isdigit() else 0
    connection.settimeout(IDLE_S)
    while len(data) < length:
        length -= len(data)
        data = connection.recv(_LIMIT_BYTES)
        if not data:
            return b""
    return data[length:]


@cache
def _context() -> ssl.SSLContext | None:
    import ssl

    subject = ["-subj", "/CN=lab", "-days", "3650"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    try:
        subprocess.run(
            ["openssl", "req", "-x509", *key, *subject, "-keyout", str(_CERTIFICATE), "-out", f"{_CERTIFICATE}.crt"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{_CERTIFICATE}.crt", _CERTIFICATE)
    return context


def _tls() -> ssl.SSLContext | None:
    """The node's own certificate, made when it is first asked for; None without openssl."""
    with _making:
        return _context()


if __name__ == "__main__":
    raise SystemExit(main())
