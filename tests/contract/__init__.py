"""One suite over the tables in memory and over the kernel's, in namespaces of its own (see run)."""
