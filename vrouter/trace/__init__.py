"""What becomes of real packets: nftables traces them, this names what decided. Changes nothing but what is traced.

`asked` is which packets, and the table that chooses them; `rules` names rules by their handles; `walk` makes a way of
each packet from what the kernel tells; `answer` finds the elements and commands behind our rules, `text` the words;
`cli` runs it. Only `cli` and `host/nft_trace` touch the machine.
"""
