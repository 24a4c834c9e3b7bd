"""Settings of the machine as a value: directories, binaries, and how daemons are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Supervisor = Literal["systemd", "process"]


@dataclass(frozen=True)
class Settings:
    """Each field is a key of the settings file.

    cache_dir: where command files arrive. bag_dir: the databags. run_dir: lock, pids and the agent's socket.
    history_dir: the last states of the databags.
    dnsmasq: the program. dnsmasq_conf: its configuration. dnsmasq_dir: a small file for each guest.
    dnsmasq_leases: where it keeps the leases. dnsmasq_log: where it logs. dnsmasq_resolv: the resolvers that it asks.
    resolv: the router's own resolver. rt_tables: names of the routing tables.
    supervisor: `systemd` on the appliance, `process` where no service manager runs (the lab).
    watch: the agent takes files that appear in the cache directory. repair: it undoes what foreign hands change.
    device_wait_s: seconds to wait for a device that was just plugged (IF-4).
    program_limit_s: seconds that a program may take, such as the start of a daemon.
    """

    cache_dir: str = "/var/cache/cloud"
    bag_dir: str = "/etc/cloudstack"
    run_dir: str = "/run/vrouter"
    history_dir: str = "/var/log/vrouter/history"
    dnsmasq: str = "/usr/sbin/dnsmasq"
    dnsmasq_conf: str = "/etc/dnsmasq.d/cloud.conf"
    dnsmasq_dir: str = "/var/lib/vrouter/dnsmasq"
    dnsmasq_leases: str = "/var/lib/misc/dnsmasq.leases"
    dnsmasq_log: str = "/var/log/dnsmasq.log"
    dnsmasq_resolv: str = "/etc/dnsmasq-resolv.conf"
    resolv: str = "/etc/resolv.conf"
    rt_tables: str = "/etc/iproute2/rt_tables.d/vrouter.conf"
    supervisor: Supervisor = "systemd"
    watch: bool = True
    repair: bool = True
    device_wait_s: float = 2.0
    program_limit_s: float = 30.0
