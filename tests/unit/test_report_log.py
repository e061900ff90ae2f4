"""Log lines reach logd with their priority, or stderr; a bound datagram socket plays logd."""

import io
import json
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from dmsfw.report import log
from dmsfw.report import syslog as syslog_module
from dmsfw.report.syslog import MAX_LINE, Syslog

HOSTILE = 'evil\n<24>kernel: \x1b[31m" level=error'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Interrupted(io.StringIO):
    """Writes character by character, so that two threads in it at once would mix."""

    def write(self, text: str) -> int:
        return sum(super(Interrupted, self).write(character) for character in text)


class Logd:
    """A datagram socket where logd's would be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)

    def line(self) -> str:
        return self.socket.recv(65536).decode()

    def drain(self) -> list[str]:
        self.socket.settimeout(0)
        lines = []
        try:
            while True:
                lines.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            return lines
        finally:
            self.socket.settimeout(5)

    def close(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _the_log_is_put_back() -> Iterator[None]:
    yield
    log.configure("info", stream=io.StringIO(), dev_log="")
    logging.getLogger().removeHandler(log._library)
    structlog.reset_defaults()


@pytest.fixture
def logd(tmp_path: Path) -> Iterator[Logd]:
    server = Logd(tmp_path / "log")
    yield server
    server.close()


def fail() -> NoReturn:
    raise RuntimeError(HOSTILE)


def configured(
    logd: Logd, level: log.Level = "debug", form: log.Format = "text"
) -> structlog.typing.FilteringBoundLogger:
    log.configure(level, form, stream=io.StringIO(), dev_log=str(logd.path))
    return structlog.get_logger()


@pytest.mark.parametrize(("level", "priority"), [("debug", 31), ("info", 30), ("warning", 28), ("error", 27)])
def test_a_line_reaches_logd_with_its_priority_and_tag_and_no_time(logd: Logd, level: str, priority: int) -> None:
    getattr(configured(logd), level)("network opened", network="dms-network", rules=3)
    assert logd.line() == f"<{priority}>dmsfw[{os.getpid()}]: network opened network=dms-network rules=3\n"


def test_a_hostile_name_stays_one_line_and_one_value(logd: Logd) -> None:
    configured(logd).info("network opened", network=HOSTILE, rules=3)
    assert (
        logd.line().split(": ", 1)[1]
        == 'network opened network="evil\\n<24>kernel: \\x1b[31m\\" level=error" rules=3\n'
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", '"a b"'),
        ("", '""'),
        ('""', r'"\"\""'),
        ("back\\slash", '"back\\slash"'),
        ("end\\", '"end\\\\"'),
        ('\\" x=1', r'"\\\" x=1"'),
        (("wan", "wanb"), "wan,wanb"),
        ({"b", "a"}, "a,b"),
        ([], '""'),
        (None, "None"),
        ("邮件", "邮件"),
    ],
)
def test_a_value_is_quoted_where_it_could_be_mistaken(logd: Logd, value: object, written: str) -> None:
    configured(logd).info("m", value=value)
    assert logd.line().split(": ", 1)[1] == f"m value={written}\n"


def test_a_long_line_is_cut_below_1024_bytes_and_stays_text(logd: Logd) -> None:
    configured(logd).info("m", **{f"key{number}": "邮" * 300 for number in range(9)})
    line = logd.line()
    assert MAX_LINE - 4 < len(line.encode()) <= MAX_LINE
    assert line.endswith("\u2026\n")


def test_a_long_json_line_stays_an_object(logd: Logd) -> None:
    logger = configured(logd, form="json")
    logger.info("short", a=1, b=None, c=["x", HOSTILE], d="")
    logger.info("long", **{f"key{number}": "邮" * 300 for number in range(9)})
    logger.info("endless", **{f"key{number}": "邮" * 300 for number in range(200)})
    short, long, endless = (json.loads(logd.line().split(": ", 1)[1]) for _ in range(3))
    assert list(short) == ["level", "event", "a", "b", "c", "d"]
    assert short["c"][1] == 'evil\\n<24>kernel: \\x1b[31m" level=error'
    assert (long["event"], len(long)) == ("long", 11)
    assert endless == {"level": "info", "event": "endless", "cut": True}


def test_a_traceback_is_lines_that_all_carry_priority_error(logd: Logd) -> None:
    logger = configured(logd)
    try:
        fail()
    except RuntimeError:
        logger.exception("pass failed", attempt=2)
    lines = logd.drain()
    assert len(lines) > 3
    assert all(line.startswith("<27>dmsfw[") and line.count("\n") == 1 and "\x1b" not in line for line in lines)
    assert "pass failed attempt=2" in lines[0]
    assert all(": | " in line for line in lines[1:])


@pytest.mark.parametrize("given", ["itself", "triple", "nothing"])
def test_an_exception_may_be_given_in_any_of_its_forms(logd: Logd, given: str) -> None:
    error = ValueError("why")
    forms = {"itself": error, "triple": (ValueError, error, None), "nothing": (None, None, None)}
    configured(logd, form="json").error("m", exc_info=forms[given])
    lines = [json.loads(line.split(": ", 1)[1]) for line in logd.drain()]
    assert [line.get("line") for line in lines] == [None] + ([] if given == "nothing" else ["ValueError: why"])


def test_logd_may_restart_and_the_next_line_reaches_it(logd: Logd) -> None:
    logger = configured(logd)
    logger.info("one")
    logd.close()
    again = Logd(logd.path)
    logger.info("two")
    assert again.line().endswith(": two\n")
    again.close()


def test_lines_that_nobody_takes_are_counted_and_told_later(logd: Logd) -> None:
    logger = configured(logd)
    logd.close()
    for _ in range(3):
        logger.info("lost")
    again = Logd(logd.path)
    logger.info("two")
    assert again.line() == f"<28>dmsfw[{os.getpid()}]: log lines dropped count=3\n"
    assert again.line().endswith(": two\n")
    logger.info("three")
    assert again.line().endswith(": three\n")
    again.close()


def test_a_log_that_refuses_every_line_costs_no_more_than_those_lines(logd: Logd) -> None:
    logger = configured(logd)
    logd.socket.shutdown(socket.SHUT_RD)
    logger.info("refused")
    logd.close()
    again = Logd(logd.path)
    logger.info("taken")
    assert again.line().endswith("log lines dropped count=1\n")
    assert again.line().endswith(": taken\n")
    again.close()


def test_a_full_log_never_blocks_and_the_count_is_right(logd: Logd) -> None:
    logger = configured(logd)
    for number in range(5000):
        logger.info("flood", number=number)
    taken = len(logd.drain())
    assert taken < 5000
    logger.info("after")
    assert logd.line().endswith(f"log lines dropped count={5000 - taken}\n")
    assert logd.line().endswith(": after\n")


def test_a_burst_that_the_kernel_does_not_queue_reaches_a_reader_that_reads(
    logd: Logd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(syslog_module, "PATIENCE_MS", 10_000)  # however busy this machine is
    logger = configured(logd)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(logd.line() for _ in range(2000)))
    reader.start()
    for number in range(2000):
        logger.info("burst", number=number)
    reader.join()
    assert [line.split("number=")[-1] for line in lines] == [f"{number}\n" for number in range(2000)]


def test_a_stream_whose_reader_is_gone_is_opened_anew(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "log"))
        server.listen()
        syslog = Syslog(str(tmp_path / "log"), "t")
        syslog.write("info", "first")
        server.accept()[0].close()
        syslog.write("info", "second")
        accepted, _ = server.accept()
        assert accepted.recv(100).endswith(b": second\n")
        accepted.close()
        syslog.close()


def test_a_stream_socket_serves_too_and_no_line_is_taken_in_part(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        syslog = Syslog(str(path), "t")
        syslog.write("info", "first")
        accepted, _ = server.accept()
        while not syslog.dropped:
            syslog.write("info", "x" * 900)
        accepted.settimeout(0.2)
        received = drained(accepted)
        syslog.write("info", "last")
        received += drained(accepted)
        accepted.close()
        syslog.close()
    lines = received.decode().splitlines()
    assert lines[0].endswith(": first")
    assert re.fullmatch(r"<28>t\[\d+\]: log lines dropped count=1", lines[-2])
    assert lines[-1].endswith(": last")
    assert {len(line) for line in lines[1:-2]} == {len(f"<30>t[{os.getpid()}]: ") + 900}


def drained(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except TimeoutError:
        pass
    return received


def test_the_level_can_be_changed_for_loggers_that_are_held(logd: Logd) -> None:
    logger = configured(logd, level="info").bind(network="a")
    logger.debug("not said")
    log.set_level("debug")
    logger.debug("said")
    log.set_level("error")
    logger.warning("not said")
    assert [line.split(": ", 1)[1] for line in logd.drain()] == ["said network=a\n"]


def test_without_a_log_socket_lines_go_to_stderr_with_time_and_level(tmp_path: Path) -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream, dev_log=str(tmp_path / "none"))
    structlog.get_logger().warning("policy selects no network", policy="smtps")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"
    assert re.fullmatch(stamp + r" warning policy selects no network policy=smtps\n", stream.getvalue())


def test_json_on_stderr_has_a_time(tmp_path: Path) -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream=stream, dev_log=str(tmp_path / "none"))
    structlog.get_logger().info("m", network=HOSTILE)
    assert list(json.loads(stream.getvalue())) == ["timestamp", "level", "event", "network"]
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_is_preferred_to_the_log_and_is_coloured(logd: Logd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    log.configure("info", stream=stream, dev_log=str(logd.path))
    structlog.get_logger().error("m", network=HOSTILE)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "\x1b[31merror" in stream.getvalue()
    assert re.fullmatch(r"\d\d:\d\d:\d\d error   m {22}network=\"evil.*\"\n", plain)
    assert "\x1b" not in plain
    assert logd.drain() == []


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, value)
    stream = Terminal()
    log.configure("info", stream=stream, dev_log="")
    structlog.get_logger().info("m", a=1)
    assert "\x1b" not in stream.getvalue()
    assert re.fullmatch(r"\d\d:\d\d:\d\d info    m {22}a=1\n", stream.getvalue())


def test_a_closed_stderr_does_not_stop_the_caller() -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream, dev_log="")
    stream.close()
    structlog.get_logger().info("nobody reads this")
    log.configure("info", stream=stream, dev_log="")
    structlog.get_logger().info("nor this")


def test_stderr_is_the_streams_default(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", dev_log="")
    structlog.get_logger().info("m")
    assert capsys.readouterr().err.endswith(" info m\n")


def test_a_file_in_the_place_of_the_log_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    assert not log.is_socket(str(tmp_path / "log"))
    assert not log.is_socket("")
    assert not log.is_socket("with\0nul")


def test_libraries_warnings_are_for_debugging_and_their_errors_are_warnings(logd: Logd) -> None:
    configured(logd, level="info")
    configured(logd, level="info")
    logging.getLogger("urllib3.connectionpool").warning("Retrying %s", "again")
    logging.getLogger("docker").error("odd %s")
    log._library.emit(logging.LogRecord("docker", logging.ERROR, "", 0, "odd %s %s", (1,), None))
    assert [line.split(": ", 1)[1] for line in logd.drain()] == ['library message library=docker text="odd %s"\n']


def test_threads_do_not_mix_their_lines() -> None:
    before = sys.getswitchinterval()
    stream = Interrupted()
    log.configure("info", stream=stream, dev_log="")
    threads = [threading.Thread(target=say_often, args=(number,)) for number in range(8)]
    try:
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
    finally:
        sys.setswitchinterval(before)
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 800
    assert all(re.search(r" info m number=(\d) text=\1{20}$", line) for line in lines)


def say_often(number: int) -> None:
    for _ in range(100):
        structlog.get_logger().info("m", number=number, text=str(number) * 20)


def test_no_descriptor_is_left_open(logd: Logd) -> None:
    before = descriptors()
    for _ in range(20):
        configured(logd).info("m")
    log.configure("info", stream=sys.stderr, dev_log="")
    assert descriptors() == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_set_level_before_configure_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_writer", None)
    log.set_level("debug")
