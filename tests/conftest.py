"""What all tests need."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # Under nohup: no shell can catch a signal that was ignored at its start, and dmsfw's stand-ins have to. A handler
    # of ours ignores it as well, and is not handed on.
    signal.signal(signal.SIGHUP, lambda *_: None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In the background of a script, likewise: a test interrupts a program, and waits for its end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
