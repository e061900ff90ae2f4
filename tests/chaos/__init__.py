"""dmsfw under everything that can go wrong, on the real lab, with judges that share no code with it.

    python -m tests.chaos.deaths     killed with SIGKILL at every call that changes the outside
    python -m tests.chaos.kills      killed at random moments under load
    python -m tests.chaos.writers    beside writers that edit the same tables
    python -m tests.chaos            a seeded random walk of faults

`expected` says from the configuration, Docker and netifd what must stand in the tables, `tables` reads what does, and
`verdict` compares the two. Each command takes a seed and prints it with what it found; the same seed does the same.
"""
