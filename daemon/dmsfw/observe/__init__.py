"""What the world is like: one file per source, each read in a thread of its own, off the pass.

    watch (netlink, inotify)  ->  poke  ->  Source: pace, read, keep the last good reading  ->  wake
    events (Docker's stream)  ->  poke

Events carry nothing but "look again". `World` owns the sources and gives the last good readings as one `Snapshot`.
"""
