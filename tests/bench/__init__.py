"""The benchmarks: `make bench`, or `python -m tests.bench [NAME ...]` with the interpreter of tests/bench/environment.

    measures/   one module each; its `measure(stage)` yields rows
    inside/     what runs in the lab's namespaces, beside dmsfw and never in it
    targets     what was promised, in one table
    record      the last run of each machine, and how a new one compares
    document    docs/performance.md and its plots

Everything is measured on the real lab (tests/lab): a real Docker Engine, real iptables, a stand-in for ubus.
"""
