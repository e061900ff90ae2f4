"""Work in the network namespace of a container: in a child process, never in ours.

Nothing is needed inside the image, since only the network namespace is entered; the program is our own. The child also
makes an end of what hangs: name resolution knows no time limit, and a container may hang whoever reads its files.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from dmsfw.errors import CannotTell

CLONE_NEWNET: Final = 0x40000000
TICK_S: Final = 0.2
ANSWER_LIMIT: Final = 2**20
"""Bytes of a child's answer at most."""

Tick = Callable[[float], None]
"""Told again and again how long it has been waited, in seconds."""


def _silence(_: float) -> None:
    """Tell nobody."""


def do(work: Callable[[], object], *, pid: int | None, limit_s: float, tick: Tick = _silence) -> object:
    """Return what `work()` returns, as JSON has it, from the network namespace of `pid` (None: our own).

    Raises: CannotTell when the namespace cannot be entered, the work fails, or it takes longer than `limit_s`.
    """
    namespace = None if pid is None else _namespace(pid)
    try:
        return _answer(*_fork(work, namespace), limit_s, tick)
    finally:
        if namespace is not None:
            os.close(namespace)


def _namespace(pid: int) -> int:
    """Raises: CannotTell."""
    try:
        return os.open(Path("/proc") / str(pid) / "ns" / "net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CannotTell("the container has ended meanwhile: start it, and ask again") from None
    except PermissionError:
        raise CannotTell("no permission to enter the container's network: run dmsfw as root") from None


def _fork(work: Callable[[], object], namespace: int | None) -> tuple[int, int]:
    """Return the child's process id and the pipe's end that its answer comes out of."""
    out, into = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(out)
        _work(work, namespace, into)
    os.close(into)
    return child, out


def _work(work: Callable[[], object], namespace: int | None, into: int) -> NoReturn:
    """The child's whole life. It leaves without the parent's exit handlers and buffers."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if namespace is not None:
            _enter(namespace)
        answer = json.dumps({"value": work()})
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
    try:
        with os.fdopen(into, "wb") as pipe:
            pipe.write(answer.encode())
    finally:
        os._exit(0)  # also where the parent has given up: what stands behind the fork is the parent's to do


def _enter(namespace: int) -> None:
    """Enter a network namespace. `os.setns` is there from Python 3.12 on. Raises: OSError."""
    if sys.version_info >= (3, 12):
        os.setns(namespace, CLONE_NEWNET)
        return
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _answer(child: int, out: int, limit_s: float, tick: Tick) -> object:
    """Raises: CannotTell."""
    try:
        received = _received(out, limit_s, tick)
    finally:
        os.close(out)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # it has written all that it had to say, or too late
        os.waitpid(child, 0)
    try:
        answer = json.loads(received)
    except ValueError:
        raise CannotTell("the question was broken off: its process ended without an answer") from None
    if "error" in answer:
        raise CannotTell(f"the question could not be asked from inside the container: {answer['error']}")
    value: object = answer["value"]
    return value


def _received(out: int, limit_s: float, tick: Tick) -> bytes:
    """All that comes out of the pipe until its end. Raises: CannotTell when that takes too long or is too much."""
    began, received = time.monotonic(), b""
    while (waited := time.monotonic() - began) < limit_s and len(received) <= ANSWER_LIMIT:
        if select.select([out], [], [], min(TICK_S, limit_s - waited))[0]:
            piece = os.read(out, 2**16)
            if not piece:
                return received
            received += piece
        else:
            tick(time.monotonic() - began)
    raise CannotTell(f"there was no answer within {limit_s:.0f} s: the name server may hang, or the container")
