"""Pushes commands to an agent from inside its router, as many callers at once: `pusher.py CLIENTS PREFIX`.

stdin: a JSON list of documents. Each client writes its file, renames it into the cache directory, asks the socket as
update_config does, and takes the next. stdout: JSON, for each document its exit status and text, in their order.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from itertools import count

CACHE, SOCKET = "/var/cache/cloud", "/run/vrouter/agent.sock"


def push(name: str, document: object) -> tuple[int, str]:
    """One command, and its answer."""
    path = f"{CACHE}/.{name}"
    with open(path, "w") as file:
        json.dump(document, file)
    os.rename(path, f"{CACHE}/{name}")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        connection.connect(SOCKET)
        connection.sendall(f"update_config\0{name}\0keep\n".encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    status, _, text = answer.decode().partition("\n")
    return int(status or -1), text


def main(clients: int, prefix: str) -> None:
    """Do as the module says."""
    documents = json.load(sys.stdin)
    answers: list[tuple[int, str]] = [(-2, "")] * len(documents)
    numbers = count()

    def work() -> None:
        while (number := next(numbers)) < len(documents):
            answers[number] = push(f"{prefix}.json.{number}", documents[number])

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
