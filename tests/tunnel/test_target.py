"""Every spelling of a target has one meaning, or is refused."""

# ruff: noqa: RUF001 - digits that are none are the point

from __future__ import annotations

import random
import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from trio_h2.tunnel._target import Target, parse_target

LOOPBACK = IPv4Address("127.0.0.1")
V6 = IPv6Address("2001:db8::1")

GOOD = [
    ("example.com:443", Target("example.com", 443, None)),
    ("EXAMPLE.com:443", Target("example.com", 443, None)),
    ("example.com.:443", Target("example.com", 443, None)),
    ("a_b.example:1", Target("a_b.example", 1, None)),
    ("xn--exmple-cua.com:80", Target("xn--exmple-cua.com", 80, None)),
    ("exämple.com:80", Target("xn--exmple-cua.com", 80, None)),
    ("Exämple.COM.:80", Target("xn--exmple-cua.com", 80, None)),
    ("localhost:65535", Target("localhost", 65535, None)),
    ("1.example:00080", Target("1.example", 80, None)),
    ("127.0.0.1:80", Target("127.0.0.1", 80, LOOPBACK)),
    ("127.0.0.1.:80", Target("127.0.0.1", 80, LOOPBACK)),
    ("[::ffff:127.0.0.1]:80", Target("127.0.0.1", 80, LOOPBACK)),
    ("[::FFFF:7F00:1]:80", Target("127.0.0.1", 80, LOOPBACK)),
    ("[0:0:0:0:0:ffff:127.0.0.1]:80", Target("127.0.0.1", 80, LOOPBACK)),
    ("[2001:DB8::1]:8080", Target("2001:db8::1", 8080, V6)),
    ("[2001:0db8:0:0::1]:8080", Target("2001:db8::1", 8080, V6)),
    ("[::127.0.0.1]:1", Target("::7f00:1", 1, IPv6Address("::7f00:1"))),
]

BAD = [
    # No port, or none that a packet could have.
    *["", ":", ":80", "example.com", "example.com:", "example.com:0", "example.com:00000", "example.com:65536"],
    *["example.com:99999", "example.com:100000", "example.com:-1", "example.com:+80", "example.com: 80"],
    *["example.com:0x50", "example.com:80 ", "example.com:80\n", "example.com:８０", "example.com:٨٠", "a:1:2"],
    # IPv4 as resolvers read it, and people do not.
    *["2130706433:80", "0177.0.0.1:80", "0x7f.0.0.1:80", "0x7f000001:80", "017700000001:80", "127.1:80", "127.0.1:80"],
    *[
        "127.0.0.01:80",
        "127.0.0.0x1:80",
        "256.0.0.1:80",
        "127.0.0.1.1:80",
        "0:80",
        "0x:80",
        "1.2.3:80",
        "2130706433.:80",
    ],
    *["127.0.0.1..:80", "example.0x7f:80", "example.1:80", "0X7F.1:80"],
    *["１２７.0.0.1:80", "127。0。0。1:80", "①②⑦.0.0.1:80", "２１３０７０６４３３:80"],
    # IPv6 with a zone, without brackets, with mistakes.
    *["::1:80", "[::1]", "[::1]80", "[::1]:", "[fe80::1%eth0]:80", "[fe80::1%25eth0]:80", "[::1:80", "::1]:80"],
    *["[]:80", "[1]:80", "[127.0.0.1]:80", "[example.com]:80", "[[::1]]:80", "[::ffff:127.1]:80", "[::1].:80"],
    *["[::1]@example.com:80", "[v1.a]:80"],
    # What means something elsewhere in a URL.
    *["user@example.com:80", "user:pass@example.com:80", "127.0.0.1@example.com:80", "example.com:80@127.0.0.1:80"],
    *["http://example.com:80", "//example.com:80", "example.com/:80", "example.com/a:80", "example.com:80/", "a?b:80"],
    *["example.com#:80", "example.com\\:80", "127%2e0.0.1:80", "%31%32%37.0.0.1:80", "example%00.com:80", "*:80"],
    # What is no host name.
    *[" example.com:80", "exam ple.com:80", "example..com:80", ".example.com:80", "-a.com:80", "a-.com:80", ".:80"],
    *["example.com..:80", "a\x00b:80", "a\tb:80", f"{'a' * 64}.com:80", f"{'a.' * 127}com:80", "a,b:80", "a;b:80"],
    *["xn--\x80:80", "a\u200bb\u2028:80", "☃\ud800:80"],
]


@pytest.mark.parity("L1")
@pytest.mark.parametrize(("text", "target"), GOOD)
def test_spellings_with_one_meaning(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parity("L1")
@pytest.mark.parametrize("text", BAD)
def test_spellings_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is |has |must ") as info:
        parse_target(text)
    assert str(info.value).isascii()
    assert str(info.value).isprintable()
    assert len(str(info.value)) < 300


PIECES = [
    "0",
    "1",
    "7",
    "127",
    "0x7f",
    "0X7F",
    "0177",
    "255",
    "256",
    "2130706433",
    "00",
    "08",
    "a",
    "f",
    "x",
    "e1",
    "_",
]
MARKS = [".", ".", ".", ".", "", "..", "-", "%", ":", "::", "::ffff:", "[", "]", "\u3002", "\uff11"]


@pytest.mark.parity("L1")
def test_what_the_resolver_takes_for_an_address_is_no_name() -> None:
    """The C library is asked, without looking anything up: it must see what we see."""
    seed = random.Random(5)
    addresses = names = 0
    for _ in range(40_000):
        if seed.random() < 0.5:
            host = "".join(seed.choice(PIECES) + seed.choice(MARKS) for _ in range(seed.randint(1, 5)))
        else:
            host = ".".join(seed.choice(PIECES[:12]) for _ in range(seed.randint(3, 5)))
        try:
            found = parse_target(f"{host}:80")
        except ValueError:
            continue
        try:
            read = socket.getaddrinfo(found.host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            assert found.address is None, host
            names += 1
        else:
            assert [str(one[4][0]) for one in read] == [str(found.address)], host
            addresses += 1
    assert names > 1000
    assert addresses > 10
