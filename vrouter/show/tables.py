"""All tables by name. A new one is its module, its line here, and a line in `cli.py` and `answer.py`."""

from __future__ import annotations

from vrouter.show.guests import DHCP, LEASES
from vrouter.show.network import ADDRESSES, NETWORKS, ROUTES
from vrouter.show.policy import FORWARDS, NAT, RULES
from vrouter.show.table import Table
from vrouter.show.traffic import CONNECTIONS, COUNTERS

TABLES: dict[str, Table] = {
    table.name: table
    for table in (NETWORKS, ADDRESSES, ROUTES, RULES, FORWARDS, NAT, DHCP, LEASES, CONNECTIONS, COUNTERS)
}
