"""The packet policy in the kernel: read and changed through libnftables in process, one transaction a change."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

import orjson

from vrouter.errors import HostError
from vrouter.host import nft_json, nft_text
from vrouter.model.resources import Key, Resource
from vrouter.model.table import TABLE
from vrouter.plan import Holding, Plan

# Bits of nft_ctx_output_set_flags (libnftables(3)).
_NETFILTER, _GETGEN = 12, (10 << 8) | 16  # NETLINK_NETFILTER; NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
_HANDLE, _JSON, _NUMERIC, _TERSE = 1 << 3, 1 << 4, (1 << 7) | (1 << 8) | (1 << 9), 1 << 11


class Nft:
    """A libnftables context, kept because its cache makes the second transaction cheap."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("nftables") or "libnftables.so.1"
        try:
            lib = ctypes.CDLL(name)
        except OSError as error:
            raise HostError(f"cannot load {name}; install the package libnftables1") from error
        lib.nft_ctx_new.restype = ctypes.c_void_p
        for function in (lib.nft_ctx_get_output_buffer, lib.nft_ctx_get_error_buffer):
            function.restype = ctypes.c_char_p
            function.argtypes = [ctypes.c_void_p]
        for function in (lib.nft_ctx_buffer_output, lib.nft_ctx_buffer_error, lib.nft_ctx_free):
            function.argtypes = [ctypes.c_void_p]
        lib.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        lib.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._lib = lib
        before = _sockets()
        self._context = ctypes.c_void_p(lib.nft_ctx_new(0))
        self._netlink = socket.socket(fileno=os.dup(next(fd for name, fd in _sockets().items() if name not in before)))
        lib.nft_ctx_buffer_output(self._context)
        lib.nft_ctx_buffer_error(self._context)

    def observe(self) -> dict[Key, Resource]:
        """Everything in our table; empty when it is not there. Raises HostError."""
        # In a context of its own: the library keeps what it has read, and a long list is large.
        reader = Nft()
        try:
            return reader._read()
        finally:
            reader.close()
            ctypes.CDLL(None).malloc_trim(0)  # tens of megabytes were needed for a moment (malloc_trim(3))

    def _read(self) -> dict[Key, Resource]:
        # Listing a table that is absent is an error, listing all is not. As text: 1.0.6 writes a foreign table's flags
        # as broken JSON.
        if f"table ip {TABLE}" not in self._run("list tables ip", 0).decode().splitlines():
            return {}
        try:
            listing = orjson.loads(self._run(f"list table ip {TABLE}", _JSON | _NUMERIC))
        except ValueError as error:
            raise HostError(
                f"cannot read the packet policy: table {TABLE} has flags, it is another process's"
            ) from error
        return {resource.key: resource for resource in nft_json.resources(listing["nftables"])}

    def ruleset(self, handles: bool = False) -> str:
        """Every table, ours or not, as text and without the elements of sets. Raises HostError."""
        return self._run("list ruleset", _TERSE | (_HANDLE if handles else 0)).decode(errors="replace")

    def add(self, table: str) -> None:
        """Add a table that is not the packet policy, told as text. Raises HostError."""
        self._run(table, 0)

    def check(self, plan: Plan, want: Holding) -> None:
        """Try the transaction without making it real. Raises HostError with the kernel's or the parser's words."""
        # In a context of its own: a dry run leaves its elements in the cache, where the next transaction meets them.
        trial = Nft()
        self._lib.nft_ctx_set_dry_run(trial._context, True)
        try:
            trial.apply(plan, want)
        finally:
            trial.close()

    def apply(self, plan: Plan, want: Holding) -> None:
        """Make the table's part of the plan real in one transaction. Raises HostError; then nothing has changed."""
        text = nft_text.transaction(plan, want)
        if text:
            self._run(text, 0)

    def generation(self) -> int:
        """The kernel's generation id: it steps with every transaction, ours or another's."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
            netlink.send(struct.pack("=IHHIIBBH", 20, _GETGEN, 1, 1, 0, 0, 0, 0))  # nlmsghdr and nfgenmsg
            return int(struct.unpack_from("!I", netlink.recv(512), 24)[0])  # the first attribute is the id

    def port(self) -> int:
        """The netlink port of the library's socket, which the kernel names as the sender of our transactions."""
        return int(self._netlink.getsockname()[0])

    def close(self) -> None:
        """Free the context."""
        self._netlink.close()
        self._lib.nft_ctx_free(self._context)

    def _run(self, command: str, flags: int) -> bytes:
        self._lib.nft_ctx_output_set_flags(self._context, flags)
        status = self._lib.nft_run_cmd_from_buffer(self._context, command.encode())
        output = self._lib.nft_ctx_get_output_buffer(self._context) or b""
        error = self._lib.nft_ctx_get_error_buffer(self._context) or b""
        if status:
            first = error.decode(errors="replace").strip().splitlines()[:3]
            raise HostError(f"cannot change the packet policy: {' '.join(first)}")
        return bytes(output)


def _sockets() -> dict[str, int]:
    """This process's sockets: the kernel's name of each, and its descriptor."""
    found = {}
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the directory that is being listed
            found[os.readlink(f"/proc/self/fd/{descriptor}")] = int(descriptor)
    return {name: descriptor for name, descriptor in found.items() if name.startswith("socket:")}


def is_policy(resources: Iterable[Resource]) -> bool:
    """Whether any of them is part of the table's fixed shape, which a transaction's acknowledgement does not verify."""
    return any(resource.key[0] in ("chain", "set", "map", "helper") for resource in resources)
