"""Chains of nftables' own: the ruleset as `nft -j list ruleset` gives it, and a packet's way through one base chain.

model.py       tables, chains, rules, sets: what a listing is made of
listing.py     the listing, read and validated
values.py      what is known of a packet's field, and whether it lies in an interval
fields.py      what a rule may ask of a packet, and how nft writes its values
tracking.py    the same of its connection
names.py       numbers by the names that nft writes
lookups.py     matches, sets, maps
needs.py       what other statements take from a packet
verdicts.py    what ends a rule: accept, drop, jump, reject
translate.py   masquerade, snat, dnat, redirect
statements.py  a rule's words become operations
walk.py        the walk through one base chain
text.py        rules as nft prints them
beside.py      chains of devices and bridges, which are not followed, but said
chains.py      where the whole cannot be read: which chains are asked at all
"""
