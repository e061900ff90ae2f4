"""The model of a packet's way held against the kernel: rulesets made by chance, and real packets through both."""
