"""Would this packet pass, and why? A pure evaluator over what is wanted; the same one judges the kernel in the tests.

`packet` is what is asked, `flow` the packet on its way and its connection, `lookup` sets and maps, `chains` the rules,
`fib` routes, `source` the reverse path, `walk` the way through the kernel, `answer` the result, `text` its words.

Its knowledge ends where vrouter's does: foreign tables, routes and settings are not seen, no more than whether the
next hop answers ARP, whether a daemon listens where a packet is delivered, or whether an interface on which nothing is
wanted any more is still up from before. Not modelled are TTL, fragments, options, other protocols than TCP, UDP and
ICMP, multicast groups, and the router's own copy of what it broadcasts. A source port stays as it is, although the
kernel chooses another one where two connections would become the same.
"""
