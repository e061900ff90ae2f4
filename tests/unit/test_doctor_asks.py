"""What is asked and how: HOST:PORT, the client's hello, a name server's answers, a container's files and names."""

from __future__ import annotations

import os
import ssl
import struct
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.doctor import dns, hello, rooted
from dmsfw.doctor.resolv import candidates, in_hosts, parse_resolv_conf, ways_of
from dmsfw.doctor.target import MalformedTarget, Target, parse_target

SERVER_PEM = Path(__file__).parents[1] / "cases" / "doctor" / "server.pem"
"""A key and its own certificate, for tests only."""


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("smtp.example.com:465", "smtp.example.com", 465, "smtp.example.com:465"),
        ("localhost:1", "localhost", 1, "localhost:1"),
        ("_dmarc.x-1.example.:65535", "_dmarc.x-1.example.", 65535, "_dmarc.x-1.example.:65535"),
        ("203.0.113.5:465", "203.0.113.5", 465, "203.0.113.5:465"),
        ("[2001:db8::0005]:465", "2001:db8::5", 465, "[2001:db8::5]:465"),
    ],
)
def test_a_host_and_a_port_are_read(text: str, host: str, port: int, shown: str) -> None:
    target = parse_target(text, "udp")
    assert (target.host, target.port, target.proto, str(target)) == (host, port, "udp", shown)
    assert (target.address is None) == host[0].isalpha() or host.startswith("_") or target.address == ip_address(host)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("smtp.example.com", "HOST:PORT is meant"),
        (":465", "the name"),
        ("smtp.example.com:", "HOST:PORT is meant"),
        ("smtp.example.com:mail", "HOST:PORT is meant"),
        ("smtp.example.com:0", "port 0 is not one of 1 to 65535"),
        ("smtp.example.com:65536", "port 65536"),
        ("2001:db8::5:465", "HOST:PORT is meant"),
        ("[2001:db8::5]", "HOST:PORT is meant"),
        ("[203.0.113.5:465", "HOST:PORT is meant"),
        ("[smtp.example.com]:465", "cannot be read"),
        ("203.0.113.500:465", "cannot be read"),
        ("1.2.3:465", "cannot be read"),
        ("[fe80::1%br-a]:465", "no router passes it on"),
        ("-x.example.com:465", "the name"),
        ("x..example.com:465", "the name"),
        ("邮件.example.com:465", "xn--"),
        ("x" * 64 + ".com:465", "the name"),
        (".".join(["x" * 63] * 4) + ".com:465", "the name"),
        ("a;reboot:465", "the name"),
        ("a b:465", "the name"),
        ("a\n:465", "the name"),
        ("", "HOST:PORT is meant"),
    ],
)
def test_what_is_no_host_and_port_is_refused_with_what_would_be(text: str, part: str) -> None:
    with pytest.raises(MalformedTarget, match=part):
        parse_target(text)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("host", ["smtp.example.com", "203.0.113.5", "2001:db8::5"])
def test_a_real_tls_server_answers_the_hello_with_its_own(newest: ssl.TLSVersion, host: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SERVER_PEM)
    context.maximum_version = newest
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(hello.client_hello(host))
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    answer = outgoing.read()
    assert hello.describe(answer, "tls") == "a TLS hello"
    assert answer[5] == 2  # a server hello, no alert and no retry
    assert named == [host if host[0] == "s" else None]


def test_a_servers_first_word_is_told_apart() -> None:
    assert hello.describe(b"\x15\x03\x03\x00\x02\x02\x28", "tls").startswith("a TLS alert")
    assert hello.describe(b"220 mail ready\r\n", "tls") == "220 mail ready: that is no TLS"
    assert hello.describe(b"220 mail \x1b[31mready\r\nmore", "banner") == "220 mail \\x1b[31mready"
    assert [hello.first_word(port) for port in (465, 993, 443, 25, 587, 8080)] == [
        *("tls", "tls", "tls", "banner", "banner", ""),
    ]


QUERY = dns.question("smtp.example.com", dns.A, 7)


def answered(*records: tuple[int, bytes], query: bytes = QUERY, flags: int = 0x8180) -> bytes:
    """An answer to a query, each record named by a pointer to the question."""
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for kind, data in records)
    return head + query[12:] + body


@pytest.mark.parametrize(
    ("received", "result", "addresses"),
    [
        (answered((1, bytes((203, 0, 113, 5)))), "answer", ("203.0.113.5",)),
        (answered((5, b"\x01x\x00"), (1, bytes((203, 0, 113, 5)))), "answer", ("203.0.113.5",)),
        (answered((28, bytes(16))), "no address", ()),
        (answered(), "no address", ()),
        (answered(flags=0x8183), "no such name", ()),
        (answered(flags=0x8182), "failed", ()),
        (answered(flags=0x8185), "failed", ()),
    ],
)
def test_a_name_servers_answer_is_read(received: bytes, result: str, addresses: tuple[str, ...]) -> None:
    assert dns.parse("127.0.0.11", QUERY, received) == dns.Answer("127.0.0.11", result, addresses)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "received",
    [
        b"",
        QUERY,
        answered((1, b"\x01")),
        answered((1, bytes(5))),
        answered((1, bytes(4)))[:-2],
        b"\x00\x08" + answered((1, bytes(4)))[2:],
        answered()[:12] + b"\x3f",
    ],
)
def test_what_is_no_answer_to_the_question_is_malformed(received: bytes) -> None:
    with pytest.raises((dns.Malformed, struct.error, IndexError)):
        dns.parse("127.0.0.11", QUERY, received)


@given(st.binary(max_size=200), st.booleans())
def test_no_answer_can_do_more_than_be_malformed(noise: bytes, begins: bool) -> None:  # noqa: FBT001
    received = QUERY[:2] + b"\x81\x80\x00\x01\x00\x05\x00\x00\x00\x00" + noise if begins else noise
    with suppress(dns.Malformed, struct.error, IndexError):
        assert dns.parse("::1", QUERY, received).result in {"answer", "no such name", "no address", "failed"}


CONF = """\
# written by Docker
nameserver 127.0.0.11
nameserver 203.0.113.53 # no address follows
nameserver not-an-address
nameserver fe80::1
nameserver 192.0.2.4
search example.com lan
options edns0 ndots:2
# ExtServers: [host(127.0.0.1) 203.0.113.53]
"""


def test_a_resolv_conf_is_read_as_resolvers_read_it() -> None:
    conf = parse_resolv_conf(CONF)
    assert conf.servers == ("127.0.0.11", "203.0.113.53", "fe80::1")
    assert (conf.search, conf.ndots, conf.external) == (("example.com", "lan"), 2, ("127.0.0.1", "203.0.113.53"))
    assert parse_resolv_conf("nameserver\noptions ndots:x\n\n").servers == ()
    assert candidates("mail.lan", conf) == ("mail.lan.example.com", "mail.lan.lan", "mail.lan")
    assert candidates("a.b.c", conf) == ("a.b.c", "a.b.c.example.com", "a.b.c.lan")
    assert candidates("mail.", conf) == ("mail.",)


def test_a_hosts_file_is_read() -> None:
    text = "127.0.0.1 localhost\n203.0.113.5\tMail.Example.com mail # not: mail2\n::5 mail\nnonsense mail\n"
    assert in_hosts(text, "mail.example.COM") == ("203.0.113.5",)
    assert in_hosts(text, "mail") == ("203.0.113.5", "::5")
    assert in_hosts(text, "mail2") == ()


@pytest.mark.parametrize(
    ("server", "upstream", "ways"),
    [
        ("127.0.0.11", ("127.0.0.1",), (("127.0.0.1", "dockerd"),)),
        ("127.0.0.11", ("203.0.113.53",), (("203.0.113.53", "outside"),)),
        ("127.0.0.11", ("192.168.1.1",), (("192.168.1.1", "router"),)),
        ("127.0.0.11", ("::1", "203.0.113.53"), (("::1", "dockerd"), ("203.0.113.53", "outside"))),
        ("203.0.113.53", ("127.0.0.1",), (("203.0.113.53", "outside"),)),
        ("192.168.1.1", (), (("192.168.1.1", "router"),)),
    ],
)
def test_the_three_ways_of_a_containers_questions_are_told_apart(
    server: str, upstream: tuple[str, ...], ways: tuple[tuple[str, str], ...]
) -> None:
    assert ways_of(server, upstream, ours=("192.168.1.1",)) == ways


def test_a_containers_file_is_read_as_far_as_the_limit_goes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hosts").write_bytes(b"x" * 100 + b"\xff")
    assert rooted.read(tmp_path, "etc", "hosts") == "x" * 100 + "\ufffd"
    assert rooted.read(tmp_path, "etc", "hosts", limit=3) == "xxx"


def test_no_link_leads_out_of_a_container(tmp_path: Path) -> None:
    """Neither the file, nor its folder; and no pipe keeps us waiting, nor does a device."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "hosts").write_text("root's own")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "hosts").symlink_to(secret / "hosts")
    (root / "lib").symlink_to(secret)
    os.mkfifo(root / "etc" / "pipe")
    (root / "etc" / "folder").mkdir()
    for parts in (("etc", "hosts"), ("lib", "hosts"), ("etc", "pipe"), ("etc", "folder"), ("etc", "none")):
        with pytest.raises(OSError, match=r"."):
            rooted.read(root, *parts)


def test_a_target_at_one_of_its_addresses_keeps_its_name() -> None:
    address = ip_address("203.0.113.5")
    assert Target("x", 1).at(address) == Target("x", 1, "tcp", address)
