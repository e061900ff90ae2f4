"""Attempts to connect, and the way into a container's network, against the real kernel in a namespace of its own."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmsfw.doctor import dns, inside, kernel, names
from dmsfw.doctor.attempts import at_once, attempt, datagram
from dmsfw.doctor.containers import Container, Endpoint, Networks
from dmsfw.doctor.leaving import leaving
from dmsfw.doctor.probe import Peer, Probe, probe_tcp, probe_udp
from dmsfw.doctor.target import Target, parse_target
from dmsfw.errors import CannotTell
from tests.unit.doctor_support import NETWORK

pytestmark = pytest.mark.usefixtures("namespace")

HERE, SIX, ELSEWHERE = "127.0.0.1", "::1", "192.0.2.1"
PATIENCE_S = 0.3
"""A loopback answers within microseconds: so long a silence is one."""

TLS, BANNER, OTHER = 465, 25, 8080


def sh(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True)


@contextmanager
def server(port: int, serve: Callable[[socket.socket], None], address: str = HERE) -> Iterator[None]:
    """A listener that hands each client to `serve`, for as long as the block lasts."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family)
    clients: list[socket.socket] = []

    def accept() -> None:
        while select.select([listener, stop[0]], [], [])[0] == [listener]:
            client, _ = listener.accept()
            clients.append(client)
            serve(client)

    stop = socket.socketpair()
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        stop[1].send(b"x")
        thread.join()
        for one in (*clients, listener, *stop):
            one.close()


def tried(port: int, address: str = HERE) -> Probe:
    return probe_tcp(Peer(address, port, "smtp.example.com"), PATIENCE_S)


def answers(text: bytes) -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        if text[:1] == b"\x16":
            assert client.recv(4096).startswith(b"\x16\x03\x01")
        client.send(text)

    return serve


def resets(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.close()


@pytest.mark.parametrize("address", [HERE, SIX])
@pytest.mark.parametrize(
    ("port", "serve", "outcome", "heard"),
    [
        (TLS, answers(b"\x16\x03\x03\0\1\2"), "connects", "a TLS hello"),
        (TLS, answers(b"220 mail\r\n"), "connects", "220 mail: that is no TLS"),
        (BANNER, answers(b"220 mail\r\n"), "connects", "220 mail"),
        (OTHER, answers(b"hello"), "connects", "hello"),
        (OTHER, lambda _: None, "connects", ""),
        (TLS, lambda _: None, "silent", ""),
        (BANNER, lambda _: None, "silent", ""),
        (BANNER, resets, "reset", ""),
        (BANNER, lambda client: client.close(), "closed", ""),
    ],
)
def test_what_comes_behind_the_handshake_is_told_apart(
    address: str, port: int, serve: Callable[[socket.socket], None], outcome: str, heard: str
) -> None:
    with server(port, serve, address):
        found = tried(port, address)
    assert (found.outcome, found.heard, found.address, found.port) == (outcome, heard, address, port)
    assert found.small == (False if outcome == "silent" else None)


@pytest.mark.parametrize(
    ("rule", "outcome", "sender"),
    [
        ("-j REJECT --reject-with tcp-reset", "refused", ""),
        ("-j REJECT --reject-with icmp-port-unreachable", "refused", "ICMP from 127.0.0.1"),
        ("-j REJECT --reject-with icmp-host-unreachable", "unreachable", "ICMP from 127.0.0.1"),
        ("-j REJECT --reject-with icmp-net-unreachable", "unreachable", "ICMP from 127.0.0.1"),
        ("-j REJECT --reject-with icmp-admin-prohibited", "prohibited", "ICMP from 127.0.0.1"),
        ("-j REJECT --reject-with icmp-host-prohibited", "prohibited", "ICMP from 127.0.0.1"),
        ("-j DROP", "timeout", ""),
    ],
)
def test_each_way_of_a_firewall_to_say_no_is_told_apart(rule: str, outcome: str, sender: str) -> None:
    with server(BANNER, answers(b"220\r\n")):
        sh(f"iptables-legacy -w -A INPUT -p tcp --dport {BANNER} {rule}")
        # What comes back while the call lasts is passed over by the kernel, and asked for again after a second.
        found = probe_tcp(Peer(HERE, BANNER, HERE), PATIENCE_S if outcome == "timeout" else 5.0)
    assert found.outcome == outcome
    assert found.detail in {sender, ""}


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("-j REJECT --reject-with icmp6-port-unreachable", "refused"),
        ("-j REJECT --reject-with icmp6-adm-prohibited", "prohibited"),
        ("-j REJECT --reject-with icmp6-no-route", "unreachable"),
        ("-j REJECT --reject-with tcp-reset", "refused"),
    ],
)
def test_ipv6_has_its_own_ways(rule: str, outcome: str) -> None:
    with server(BANNER, answers(b"220\r\n"), SIX):
        sh(f"ip6tables-legacy -w -A INPUT -p tcp --dport {BANNER} {rule}")
        assert probe_tcp(Peer(SIX, BANNER, SIX), 5.0).outcome == outcome


def test_what_never_left_is_told_from_what_never_came_back() -> None:
    assert tried(BANNER, ELSEWHERE).outcome == "no route"
    assert tried(BANNER, "2001:db8::1").outcome == "no route"
    sh(f"ip route add prohibit {ELSEWHERE}")
    assert tried(BANNER, ELSEWHERE).outcome == "denied"
    sh(f"ip route replace unreachable {ELSEWHERE}")
    assert tried(BANNER, ELSEWHERE).outcome == "no route"
    assert tried(BANNER).outcome == "refused"


def test_a_datagram_is_answered_refused_or_lost() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((HERE, 5353))
        assert probe_udp(HERE, 5353, b"?", PATIENCE_S).outcome == "timeout"
        thread = threading.Thread(target=lambda: udp.sendto(b"yes", udp.recvfrom(99)[1]))
        udp.recv(9)
        thread.start()
        found = probe_udp(HERE, 5353, b"?", 5.0)
        thread.join()
    assert (found.outcome, found.heard) == ("connects", "3 bytes")
    assert probe_udp(HERE, 5353, b"?", PATIENCE_S).outcome == "refused"
    assert probe_udp(ELSEWHERE, 5353, b"?", PATIENCE_S).outcome == "no route"


def test_attempts_are_made_at_the_same_time() -> None:
    """Each waits for the others to have begun: one after the other they would wait for ever."""
    gate = threading.Barrier(3)
    assert inside.do(lambda: at_once([lambda: gate.wait() >= 0] * 3), pid=None, limit_s=20) == [True] * 3
    refused = attempt(HERE, Target("x", 9, "udp"), 1.0)()
    assert isinstance(refused, dict)
    assert refused["outcome"] == "refused"
    assert datagram(parse_target("x:53")).endswith(b"\x07example\x03com\0\0\x01\0\x01")
    assert datagram(parse_target("x:5")) == b"\n"


# A process of its own


@contextmanager
def contained() -> Iterator[int]:
    """A process in a network namespace of its own, as a container's is."""
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; ip address add 192.0.2.9/24 dev lo; echo up; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def links() -> object:
    return sorted(name for _, name in socket.if_nameindex())


def test_work_is_done_in_the_other_network_and_ours_is_not_left() -> None:
    sh("ip link add outside type veth peer name outside2")
    ours = Path("/proc/self/ns/net").readlink()
    with contained() as pid:
        assert inside.do(links, pid=pid, limit_s=10) == ["lo"]
    assert Path("/proc/self/ns/net").readlink() == ours
    assert inside.do(links, pid=None, limit_s=10) == ["lo", "outside", "outside2"]


def test_work_that_hangs_is_ended_and_told_of_meanwhile() -> None:
    ticks: list[float] = []
    with pytest.raises(CannotTell, match="no answer within 1 s"):
        inside.do(signal.pause, pid=None, limit_s=0.7, tick=ticks.append)
    assert len(ticks) >= 2
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_work_that_fails_dies_or_floods_is_told() -> None:
    with pytest.raises(CannotTell, match="TypeError"):
        inside.do(lambda: {1}, pid=None, limit_s=10)  # no JSON: the child must not go on behind its fork
    with pytest.raises(CannotTell, match="ZeroDivisionError"):
        inside.do(lambda: 1 // 0, pid=None, limit_s=10)
    with pytest.raises(CannotTell, match="ended without an answer"):
        inside.do(lambda: os.kill(os.getpid(), signal.SIGKILL), pid=None, limit_s=10)
    with pytest.raises(CannotTell):
        inside.do(lambda: "x" * (inside.ANSWER_LIMIT + 1), pid=None, limit_s=10)
    with pytest.raises(CannotTell, match="has ended meanwhile"):
        inside.do(links, pid=2**22 + 1, limit_s=10)


def test_a_route_is_asked_of_the_containers_own_kernel() -> None:
    from ipaddress import ip_address  # noqa: PLC0415 - only here

    with contained() as pid:
        container = Container("x", "x", pid, endpoints=(Endpoint(NETWORK.id, "dms", (ip_address("192.0.2.9"),)),))
        wanted = [ip_address("192.0.2.77"), ip_address("198.51.100.1"), ip_address("2001:db8::1")]
        found = leaving(container, Networks((NETWORK,)), wanted, lambda _: None)
    assert [(str(one.source), one.network) for one in found] == [
        ("192.0.2.9", NETWORK),
        ("None", None),
        ("None", None),
    ]


# The host's side


def test_a_bridge_is_there_up_down_or_not() -> None:
    assert kernel.bridge("br-x") == kernel.Bridge("br-x")
    sh("ip link add br-x type bridge")
    assert kernel.bridge("br-x") == kernel.Bridge("br-x", exists=True)
    sh("ip link set br-x up")
    assert kernel.bridge("br-x") == kernel.Bridge("br-x", exists=True, up=True)


def test_the_switches_are_those_of_the_device_that_it_comes_in_by() -> None:
    sh("ip link add br-x type bridge")
    for value in ("0", "1"):
        Path("/proc/sys/net/ipv4/ip_forward").write_text(value)
        assert kernel.switches(4, "br-x").forwards is (value == "1")
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text(value)
        assert kernel.switches(6, "br-x").forwards is (value == "1")
    Path("/proc/sys/net/ipv4/conf/br-x/forwarding").write_text("0")
    assert kernel.switches(4, "br-x").forwards is False
    assert kernel.switches(4, "gone").forwards is True


# Names


ADDRESS = bytes((203, 0, 113, 5))


@contextmanager
def nameserver(respond: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """Answers questions by UDP and TCP on loopback."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((HERE, dns.PORT))
    tcp = socket.create_server((HERE, dns.PORT))
    stop = socket.socketpair()

    def serve() -> None:
        while stop[0] not in (ready := select.select([udp, tcp, stop[0]], [], [])[0]):
            if udp in ready:
                query, peer = udp.recvfrom(512)
                if (answer := respond(query)) is not None:
                    udp.sendto(answer, peer)
            if tcp in ready:
                client, _ = tcp.accept()
                query = client.recv(514)[2:]
                whole = answered(query)
                client.sendall(len(whole).to_bytes(2, "big") + whole[:20])
                client.sendall(whole[20:])
                client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop[1].send(b"x")
        thread.join()
        for one in (udp, tcp, *stop):
            one.close()


def answered(query: bytes, flags: int = 0x8180) -> bytes:
    head = query[:2] + flags.to_bytes(2, "big") + b"\0\1\0\1\0\0\0\0"
    return head + query[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + ADDRESS


def asked(timeout_s: float = 5.0) -> dns.Answer:
    return dns.ask(HERE, "smtp.example.com", dns.A, timeout_s)


def test_a_name_server_is_asked_by_udp_and_by_tcp_where_it_does_not_fit() -> None:
    with nameserver(answered):
        assert asked() == dns.Answer(HERE, "answer", ("203.0.113.5",))
    with nameserver(lambda query: query[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + query[12:]):
        assert asked() == dns.Answer(HERE, "answer", ("203.0.113.5",))


def test_a_lost_question_is_asked_again() -> None:
    left = [None]
    with nameserver(lambda query: left.pop() if left else answered(query)):
        assert asked(2.0).result == "answer"


def test_a_name_server_that_is_not_there_says_nonsense_or_keeps_silent() -> None:
    assert asked().result == "refused"
    with nameserver(lambda _: b"nonsense"):
        assert asked().result == "malformed"
    with nameserver(lambda _: None):
        assert asked(0.4).result == "timeout"
    assert dns.ask(ELSEWHERE, "x", dns.A, 1.0).result == "unreachable"


def test_a_name_is_resolved_as_the_process_does_in_its_network(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "resolv.conf").write_text(f"nameserver {HERE}\n")
    (tmp_path / "etc" / "hosts").write_text("203.0.113.7 told.example.com\n")
    child = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.chroot({str(tmp_path)!r}); print('up', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    try:
        with nameserver(answered):
            found = names.in_the_container(child.pid, "smtp.example.com", (), 1.0, lambda _: None)
            told = names.in_the_container(child.pid, "told.example.com", (), 1.0, lambda _: None)
        silent = names.in_the_container(child.pid, "smtp.example.com", (), 1.0, lambda _: None)
        upstream = names.upstreams(child.pid, ("192.0.2.53",), lambda _: None)
    finally:
        child.kill()
        child.communicate()
    assert (found.addresses, found.source) == (("203.0.113.5",), HERE)
    assert found.asked == (names.Asked(HERE, ((HERE, "router"),), "answer"),)
    assert (told.addresses, told.source) == (("203.0.113.7",), "/etc/hosts of the container")
    assert (silent.addresses, silent.failure) == ((), "refused")
    assert upstream == ("192.0.2.53",)


def test_the_host_resolves_as_its_programs_do() -> None:
    assert "127.0.0.1" in names.on_the_host("localhost", 1.0, lambda _: None).addresses
    nobody = names.on_the_host("nobody.invalid", 5.0, lambda _: None)
    assert (nobody.addresses, nobody.failure != "") == ((), True)
    assert names.Lookup(("198.18.0.7", "203.0.113.5")).fake == ("198.18.0.7",)
