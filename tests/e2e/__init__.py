"""End to end: a real Docker Engine, real iptables, real connections; only the state of the world is judged."""
