"""Quick tests that need neither a network nor a firewall."""
